"""Where figures are lost: F1 and AUC by how the query was read, where it landed, its length, and kind of language.

All functions take measured rows as `decide.mistakes` does: `language, query, target, label, score, prediction`, and
`query_en`, `target_en` and `category_hint` where there are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from competition_utils.data.columns import english_query, hint, relations_of, words_by_row
from competition_utils.decide.metrics import basic_metrics

NOT_LATIN = r"[^\p{Latin}\P{L}]"  # a letter of another script
ENGLISH, WHOLE, PART, NONE = "English", "whole", "part", "none"
TRANSLATED, FOREIGN, AS_IT_IS = "translated", "another script", "as it is"
FAR, NEAR, NO_HINT = "far (0 to 2)", "near (7 to 9)", "no hint"
NEARNESS = {**dict.fromkeys("012", FAR), **dict.fromkeys("3456", "between (3 to 6)"), **dict.fromkeys("789", NEAR)}
LENGTHS = {"0": 0, "1": 1, "2": 2, "3": 3, "4": 4, "5 to 7": 7, "8 or more": np.inf}  # words at most


def how_translated(rows: pd.DataFrame) -> pd.Series:
    """Per row `whole`, `part` or `none`; `English` for a query that is tagged so and needs no translation.

    `part`: the English holds a letter of another script, or a word of the query that has no digit. A brand is such a
    word too, so `part` is an upper bound.
    """
    english = rows["query_en"].fillna("") if "query_en" in rows else pd.Series("", index=rows.index)
    kind = np.where(_kept_words(rows["query"], english), PART, WHOLE)
    kind = np.where(english == "", np.where(rows["language"] == "en", ENGLISH, NONE), kind)
    return pd.Series(kind, index=rows.index, name="translated")


def how_target_is_read(rows: pd.DataFrame) -> pd.Series:
    """Per row `translated`, else `another script` where the target has letters of one, else `as it is`."""
    foreign = pc.match_substring_regex(pa.array(rows["target"], pa.large_string(), from_pandas=True), NOT_LATIN)
    kind = np.where(foreign.to_numpy(zero_copy_only=False).astype(bool), FOREIGN, AS_IT_IS)
    if "target_en" in rows:
        kind = np.where(rows["target_en"].fillna("") != "", TRANSLATED, kind)
    return pd.Series(kind, index=rows.index, name="target")


def how_near_a_category(rows: pd.DataFrame) -> pd.Series:
    """Per row how near the query is to a category of the tree, in tenths of train's queries: far, between, near, or `no
    hint`."""
    return relations_of(hint(rows)).str[-1].map(NEARNESS).fillna(NO_HINT).rename("nearest category")


def words_of_query(rows: pd.DataFrame) -> pd.Series:
    """Per row a range of the number of different words, of the English where there is one, since Thai and Japanese have
    no blanks."""
    counts = words_by_row(english_query(rows)).groupby("row").size().reindex(range(len(rows)), fill_value=0)
    ranges = pd.cut(counts.to_numpy(), [-1, *LENGTHS.values()], labels=list(LENGTHS))
    return pd.Series(ranges.astype(str), index=rows.index, name="words")


def figures_by(rows: pd.DataFrame, by: pd.Series, seen_languages: Collection[str]) -> pd.DataFrame:
    """A row a value of `by` [n] and kind of language (`seen`, `unseen`): `rows, share_of_mistakes` (0–1, over all),
    `f1, auc` (nan where the rows are of one class), `precision, recall`."""
    kind = np.where(rows["language"].isin(list(seen_languages)), "seen", "unseen")
    mistakes = int((rows["label"] != rows["prediction"]).sum())
    groups = rows.groupby([by, pd.Series(kind, index=rows.index, name="language")])
    figures = {key: _figures(part, mistakes) for key, part in groups}
    return pd.DataFrame.from_dict(figures, orient="index").rename_axis([by.name, "language"])


def where_it_loses(rows: pd.DataFrame, seen_languages: Collection[str]) -> Mapping[str, pd.DataFrame]:
    """What the rows are split by → `figures_by`'s table."""
    splits = {
        "how far the query was translated": how_translated(rows),
        "how near the query is to a category": how_near_a_category(rows),
        "words of the query": words_of_query(rows),
        "how the target is read": how_target_is_read(rows),
    }
    return {name: figures_by(rows, by, seen_languages) for name, by in splits.items()}


def _figures(part: pd.DataFrame, mistakes: int) -> dict[str, float]:
    labels, predictions = part["label"].to_numpy(np.int64), part["prediction"].to_numpy(np.int64)
    figures = basic_metrics(labels, part["score"].to_numpy(), predictions)
    wrong = int((labels != predictions).sum())
    kept = {name: figures[name] for name in ("f1", "auc", "precision", "recall")}
    return {"rows": len(part), "share_of_mistakes": wrong / mistakes if mistakes else 0.0, **kept}


def _kept_words(queries: pd.Series, english: pd.Series) -> np.ndarray:
    """Whether the English still holds words of the query; bool [n]."""
    asked, given = (words_by_row(texts) for texts in (queries, english))
    both = asked.merge(given, on=["row", "word"])
    kept = both.loc[both["word"].str.len().gt(1) & ~both["word"].str.contains(r"\d"), "row"].unique()
    foreign = pc.match_substring_regex(pa.array(english, pa.large_string(), from_pandas=True), NOT_LATIN)
    found = np.asarray(foreign.to_numpy(zero_copy_only=False), dtype=bool)
    found[kept] = True
    return found
