"""Duplicate rows and rows with contradicting labels: found, shown, and resolved by a stated rule.

A pair is a query with a target. An exact duplicate is a pair that occurs again with the same label; a
conflict is a pair that occurs with both labels. Near-duplicate queries differ in case, accents, blanks or
punctuation only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from competition_utils.data.columns import group_codes, over_unique
from competition_utils.errors import UserError

# Letters that differ from their plain form by more than a combining mark.
_PLAIN_LETTERS = {"ß": "ss", "đ": "d", "ł": "l", "ø": "o", "ı": "i", "æ": "ae", "œ": "oe"}


def _fold_letters(texts: pa.Array) -> pa.Array:
    texts = pc.utf8_lower(pc.utf8_normalize(texts, "NFKD"))
    # Latin and Greek accents only: Thai vowels and the marks of kana are combining marks that distinguish
    # words.
    texts = pc.replace_substring_regex(texts, r"[\x{300}-\x{36f}]+", "")
    for letter, plain in _PLAIN_LETTERS.items():
        texts = pc.replace_substring(texts, letter, plain)
    return pc.utf8_normalize(texts, "NFC")


def near_key(texts: pd.Series) -> pd.Series:
    """A key that near-duplicates share: letter case, accents, blanks and punctuation do not count.

    "Café-Tisse  2x" and "cafe tisse 2X" have one key. A text without any letter or digit is its own key.
    """

    def key(unique: pa.Array) -> pa.Array:
        folded = pc.replace_substring_regex(_fold_letters(unique), r"[^\p{L}\p{M}\p{N}]+", "")
        return pc.if_else(pc.equal(folded, ""), unique, folded)

    return over_unique(texts, key)


def exact_duplicates(table: pd.DataFrame) -> pd.Series:
    """bool: the same query, target and label (where there is one) stand in an earlier row."""
    return table.duplicated([column for column in ("query", "target", "label") if column in table])


def conflicts(table: pd.DataFrame) -> pd.DataFrame:
    """Pairs that occur with both labels: `query, target, positive, negative` (rows of each), `ids` (of all)."""
    clashing = table[_pair_statistics(table).clashing]
    by_pair = clashing.groupby(["query", "target"], sort=True)
    found = by_pair["label"].agg(positive="sum", rows="size").astype("int64")
    found["negative"] = found["rows"] - found["positive"]
    found["ids"] = by_pair["id"].agg(list)
    return found.reset_index()[["query", "target", "positive", "negative", "ids"]]


def near_duplicate_queries(queries: pd.Series) -> pd.DataFrame:
    """Groups of different queries with one key: `key, queries` (tuple, sorted), `rows`; the largest first."""
    counts = queries.value_counts().rename_axis("query").rename("rows").reset_index().sort_values("query")
    counts["key"] = near_key(counts["query"])
    counts = counts[counts.duplicated("key", keep=False)]
    by_key = counts.groupby("key")
    found = pd.DataFrame({"queries": by_key["query"].agg(tuple), "rows": by_key["rows"].sum()}).reset_index()
    return found.sort_values(["rows", "key"], ascending=[False, True], ignore_index=True)


def overlap(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """How much of each split stands in another one: `split, other, kind, rows, share`.

    `kind` is "pair", "query" or "near query"; `share` (0–1) is of the rows of `split`.
    """
    keys = {
        name: {
            "pair": table["query"] + "\0" + table["target"],
            "query": table["query"],
            "near query": near_key(table["query"]),
        }
        for name, table in tables.items()
    }
    rows = []
    for first, second in combinations(tables, 2):
        for split, other in ((second, first), (first, second)):
            for kind, column in keys[split].items():
                count = int(column.isin(keys[other][kind]).sum())
                share = count / max(len(column), 1)
                rows.append({"split": split, "other": other, "kind": kind, "rows": count, "share": share})
    return pd.DataFrame(rows, columns=["split", "other", "kind", "rows", "share"])


@dataclass(frozen=True)
class _PairStatistics:
    """By row: rows of its pair, positive rows of its pair, and whether its pair occurs with both labels."""

    rows: np.ndarray
    positive: np.ndarray

    @property
    def clashing(self) -> np.ndarray:
        return (self.positive > 0) & (self.positive < self.rows)


def _pair_statistics(table: pd.DataFrame) -> _PairStatistics:
    pair, n_pairs = group_codes(table["query"], table["target"])
    rows = np.bincount(pair, minlength=n_pairs)
    positive = np.bincount(pair, table["label"].astype("float64"), minlength=n_pairs)
    return _PairStatistics(rows[pair], positive[pair])


def _outvoted(table: pd.DataFrame, pairs: _PairStatistics) -> np.ndarray:
    majority = np.sign(2 * pairs.positive - pairs.rows)
    own = np.where(table["label"].astype("int64") == 1, 1, -1)
    return pairs.clashing & (own != majority)


# What becomes of pairs with both labels: which of their rows are dropped.
CONFLICT_RULES: dict[str, tuple[str, Callable[[pd.DataFrame, _PairStatistics], np.ndarray]]] = {
    "majority": ("the label of most rows stays, a tie drops all rows of the pair", _outvoted),
    "drop": ("all rows of the pair go", lambda table, pairs: pairs.clashing),
    "keep_all": ("all rows stay", lambda table, pairs: np.zeros(len(table), dtype=bool)),
}


def resolve(table: pd.DataFrame, rule: str = "majority") -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table without later exact duplicates and with conflicts resolved, and the count of what went.

    `rule` is a name of CONFLICT_RULES. The vote counts all rows, exact duplicates too. The report has the
    columns `reason, rows, description`; rows before minus all its rows is rows after.
    """
    if rule not in CONFLICT_RULES:
        raise UserError(f"conflict rule: expected one of {', '.join(CONFLICT_RULES)}, found {rule!r}.")
    description, choose = CONFLICT_RULES[rule]
    lost = choose(table, _pair_statistics(table))
    repeated = exact_duplicates(table).to_numpy() & ~lost
    report = pd.DataFrame(
        [
            {"reason": f"label conflict ({rule})", "rows": int(lost.sum()), "description": description},
            {
                "reason": "exact duplicate",
                "rows": int(repeated.sum()),
                "description": "the first row of its kind stays",
            },
        ]
    )
    return table[~lost & ~repeated].reset_index(drop=True), report
