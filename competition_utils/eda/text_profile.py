"""What the texts are made of: tokens, lengths, words that go with a label, words that query and target share.

Tokens are lower-case words: runs of letters, marks and digits. Japanese is written without blanks: there, a change of
script ends a word (商品|カバー|の). Thai has neither blanks nor scripts to change: there, a word of four characters or
more (a letter with its marks) gives its overlapping threes. Neither needs a dictionary.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from competition_utils.data.columns import split_words, text_array
from competition_utils.eda.profile import train_rows

_RUN = re.compile(
    r"[\u0e00-\u0e7f]+|[\u3040-\u309f]+|[\u30a0-\u30ff]+|[\u3400-\u9fff々]+|[^\u0e00-\u0e7f\u3040-\u9fff]+"
)
_THAI_CHARACTER = re.compile(r"[\u0e40-\u0e44]?[\u0e00-\u0e7f][\u0e30-\u0e3a\u0e45\u0e47-\u0e4e]*")
_THAI_WINDOW = 3
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def _tokenize(texts: pd.Series) -> tuple[np.ndarray, np.ndarray, pd.Index]:
    """Place of the text, and of the token, of each token in different texts, in their order; and the tokens."""
    words = split_words(text_array(texts))
    encoded = pc.list_flatten(words).dictionary_encode()
    tokens_of_word = [_tokens_of_word(word) for word in encoded.dictionary.to_pylist()]
    pieces = np.array([len(found) for found in tokens_of_word], dtype=np.int64)
    token_of_piece, tokens = pd.factorize(
        pd.Series([token for found in tokens_of_word for token in found], dtype="str")
    )
    word, text = encoded.indices.to_numpy(), pc.list_parent_indices(words).to_numpy()
    piece = np.repeat((np.cumsum(pieces) - pieces)[word], pieces[word]) + _count_up(pieces[word])
    return np.repeat(text, pieces[word]), token_of_piece[piece], pd.Index(tokens)


def _count_up(sizes: np.ndarray) -> np.ndarray:
    """0 … size-1 for each size, one after another."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _tokens_of_word(word: str) -> list[str]:
    tokens = []
    for run in _RUN.findall(word):
        if "\u0e00" <= run[0] <= "\u0e7f":
            letters = _THAI_CHARACTER.findall(run)
            starts = range(max(len(letters) - _THAI_WINDOW + 1, 1))
            tokens += ["".join(letters[start : start + _THAI_WINDOW]) for start in starts]
        else:
            tokens.append(run)
    return tokens


def count_tokens(texts: pd.Series) -> pd.Series:
    """Number of tokens in each text."""
    place, unique = pd.factorize(texts)
    text, _, _ = _tokenize(pd.Series(unique, dtype="str"))
    return pd.Series(np.bincount(text, minlength=len(unique))[place], index=texts.index)


def token_pairs(texts: pd.Series) -> tuple[pd.DataFrame, pd.Index]:
    """`row, token` (both int64; place in `texts`, place in the tokens), each pair once; and the tokens."""
    place, unique = pd.factorize(texts)
    text, token, tokens = _tokenize(pd.Series(unique, dtype="str"))
    pairs = pd.DataFrame({"text": text, "token": token}).drop_duplicates()
    rows = pd.DataFrame({"row": np.arange(len(texts)), "text": place})
    return rows.merge(pairs, on="text")[["row", "token"]], tokens


def lengths(rows: pd.DataFrame) -> pd.DataFrame:
    """Lengths in train: `task, language, label, field, unit, p5, p25, p50, p75, p95, mean`.

    `field` is "query" or "target", `unit` "characters" or "tokens".
    """
    train = train_rows(rows)
    parts = []
    for field in ("query", "target"):
        measures = {"characters": train[field].str.len(), "tokens": count_tokens(train[field])}
        for unit, values in measures.items():
            by_group = train.assign(value=values).groupby(["task", "language", "label"])["value"]
            spread = by_group.quantile(list(_QUANTILES)).unstack()
            spread.columns = [f"p{100 * q:.0f}" for q in _QUANTILES]
            parts.append(spread.assign(mean=by_group.mean(), field=field, unit=unit).reset_index())
    columns = ["task", "language", "label", "field", "unit"]
    found = pd.concat(parts, ignore_index=True)
    return found[columns + [column for column in found if column not in columns]]


def token_counts(rows: pd.DataFrame, field: str = "query") -> pd.DataFrame:
    """`task, language, token, rows, positive` of train: in how many rows a token stands, how many are positive."""
    train = train_rows(rows).reset_index(drop=True)
    pairs, tokens = token_pairs(train[field])
    group, keys = pd.factorize(train["task"] + "\0" + train["language"])
    cell = group[pairs["row"]] * len(tokens) + pairs["token"].to_numpy()
    cells, place = np.unique(cell, return_inverse=True)
    positive = np.bincount(place, train["label"].to_numpy()[pairs["row"]])
    task, language = zip(*(key.split("\0") for key in keys), strict=True) if len(keys) else ((), ())
    of_group = cells // max(len(tokens), 1)
    return pd.DataFrame(
        {
            "task": np.array(task, dtype=object)[of_group],
            "language": np.array(language, dtype=object)[of_group],
            "token": tokens[cells % max(len(tokens), 1)],
            "rows": np.bincount(place),
            "positive": positive.astype("int64"),
        }
    ).astype({"task": "str", "language": "str"})


def frequent_tokens(counts: pd.DataFrame, each: int = 15) -> pd.DataFrame:
    """The `each` most frequent tokens a task and language, out of `token_counts`."""
    ordered = counts.sort_values(["task", "language", "rows", "token"], ascending=[True, True, False, True])
    return ordered.groupby(["task", "language"]).head(each).reset_index(drop=True)


def skewed_tokens(counts: pd.DataFrame, labelled: pd.DataFrame, each: int = 8, fewest: int = 10) -> pd.DataFrame:
    """Tokens whose rows are positive much more or less often than their language's: `… , rate, usual, z`.

    `labelled` is `profile.positive_rate_by_language`. `z` is the distance from the usual rate in standard
    errors; left out are tokens in fewer than `fewest` rows, and languages whose rows are of one class.
    The `each` lowest and highest a task and language.
    """
    usual = labelled.set_index(["task", "language"])["rate"].rename("usual")
    found = counts[counts["rows"] >= fewest].join(usual, on=["task", "language"])
    found = found[found["usual"].between(0, 1, inclusive="neither")]
    rate = found["positive"] / found["rows"]
    spread = np.sqrt(found["usual"] * (1 - found["usual"]) / found["rows"])
    found = found.assign(rate=rate, z=(rate - found["usual"]) / spread)
    ordered = found.sort_values(["task", "language", "z", "token"])
    by_language = ordered.groupby(["task", "language"])
    shown = pd.concat([by_language.head(each), by_language.tail(each)]).drop_duplicates()
    return shown.sort_values(["task", "language", "z", "token"], ignore_index=True)


def unseen_tokens(rows: pd.DataFrame, field: str = "query") -> pd.DataFrame:
    """Token occurrences in dev and test that train never has: `task, split, language, tokens, unseen, share`."""
    rows = rows.reset_index(drop=True)
    pairs, tokens = token_pairs(rows[field])
    task = pd.factorize(rows["task"])[0][pairs["row"]]
    train = (rows["split"] == "train").to_numpy()[pairs["row"]]
    key = task * len(tokens) + pairs["token"].to_numpy()
    seen = np.isin(key, key[train])
    other = rows.iloc[pairs["row"].to_numpy()[~train]].assign(unseen=~seen[~train])
    found = other.groupby(["task", "split", "language"])["unseen"].agg(tokens="size", unseen="sum").reset_index()
    found["share"] = found["unseen"] / found["tokens"]
    return found


def draw(rows: pd.DataFrame, most: int = 20_000, seed: int = 0) -> pd.DataFrame:
    """Up to `most` random rows of train a task: enough to estimate a share within a percent, few to translate."""
    shuffled = train_rows(rows).sample(frac=1, random_state=seed)
    return shuffled.groupby("task").head(most).sort_index()


def shared_words(drawn: pd.DataFrame, query_en: pd.Series | None = None) -> pd.DataFrame:
    """Overlap of query and target: `task, language, label, text, rows, jaccard, any`; `drawn` is what `draw` gives.

    `jaccard` is the mean share of common tokens among all tokens of both; `any` the share of rows with one common token
    at least. `text` is "query", and "with translation" where `query_en` (English of the queries, "" for none, index as
    `drawn`) is given: query and translation together.
    """
    texts = {"query": drawn["query"]}
    if query_en is not None:
        texts["with translation"] = drawn["query"] + " " + query_en
    keys = ["task", "language", "label"]
    parts = []
    for name, text in texts.items():
        measured = drawn[keys].assign(jaccard=_jaccard(text, drawn["target"]))
        measured["any"] = measured["jaccard"] > 0
        by_group = measured.groupby(keys)
        means = by_group[["jaccard", "any"]].mean().assign(rows=by_group.size(), text=name)
        parts.append(means.reset_index())
    return pd.concat(parts, ignore_index=True)[[*keys, "text", "rows", "jaccard", "any"]]


def _jaccard(left: pd.Series, right: pd.Series) -> np.ndarray:
    """Common tokens over all tokens of two text columns, by row; 0 where neither has one."""
    n = len(left)
    pairs, tokens = token_pairs(pd.concat([left, right], ignore_index=True))
    row, token = pairs["row"].to_numpy(), pairs["token"].to_numpy()
    key = (row % max(n, 1)) * max(len(tokens), 1) + token
    common = np.intersect1d(key[row < n], key[row >= n], assume_unique=True) // max(len(tokens), 1)
    shared = np.bincount(common, minlength=n)
    total = np.bincount(row[row < n], minlength=n) + np.bincount(row[row >= n] - n, minlength=n)
    return shared / np.maximum(total - shared, 1)
