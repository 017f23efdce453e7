"""Mistakes worth reading: the most confident ones, where they gather, and how scores follow the words in
common.

All functions take measured rows: `id, language, query, target, label, score, threshold, prediction`, and
`query_en` where there are translations.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from competition_utils.data.clean import category_prefix
from competition_utils.data.columns import english_query, english_target, words_by_row
from competition_utils.decide.metrics import f1_from_counts

FALSE_ALARM, MISSED = "false alarm", "missed"


def confident_mistakes(rows: pd.DataFrame, each: int = 20) -> pd.DataFrame:
    """The `each` most confident false alarms and as many relevant rows missed, farthest from their threshold
    first.

    Gives `mistake, language, query, query_en, target, score, threshold, id`.
    """
    wrong = rows[rows["label"] != rows["prediction"]]
    wrong = wrong.assign(
        mistake=np.where(wrong["prediction"] == 1, FALSE_ALARM, MISSED),
        distance=(wrong["score"] - wrong["threshold"]).abs(),
    )
    top = wrong.sort_values("distance", ascending=False, kind="stable").groupby("mistake", sort=True).head(each)
    columns = ["mistake", "language", "query", "query_en", "target", "score", "threshold", "id"]
    return top[[name for name in columns if name in top]].reset_index(drop=True)


def confusion_by(rows: pd.DataFrame, by: pd.Series, at_least: int = 1) -> pd.DataFrame:
    """Counts by the values of `by` [n]: `rows, hits, false_alarms, missed, right_no`, and `f1`; most rows
    first.

    Values with fewer than `at_least` rows are left out.
    """
    label, prediction = rows["label"].to_numpy() == 1, rows["prediction"].to_numpy() == 1
    cells = pd.DataFrame(
        {
            "rows": 1,
            "hits": label & prediction,
            "false_alarms": ~label & prediction,
            "missed": label & ~prediction,
            "right_no": ~label & ~prediction,
        }
    ).astype("int64")
    table = cells.groupby(by.to_numpy()).sum()
    f1 = f1_from_counts(
        table["hits"].to_numpy(),
        (table["hits"] + table["false_alarms"]).to_numpy(),
        (table["hits"] + table["missed"]).to_numpy(),
    )
    table = table.assign(f1=f1).sort_values("rows", ascending=False, kind="stable")
    return table[table["rows"] >= at_least]


def top_category(rows: pd.DataFrame) -> pd.Series:
    """The first level of each row's category path."""
    return category_prefix(rows["target"], 1)


def words_in_common(rows: pd.DataFrame) -> np.ndarray:
    """The share (0–1) of a query's words that its target has, both in English where there is a translation:
    float64 [n].

    0 for a query without words.
    """
    asked, given = (words_by_row(texts) for texts in (english_query(rows), english_target(rows)))
    asked["found"] = pd.MultiIndex.from_frame(asked).isin(pd.MultiIndex.from_frame(given))
    return asked.groupby("row")["found"].mean().reindex(range(len(rows)), fill_value=0).to_numpy(np.float64)


def scores_by_similarity(rows: pd.DataFrame) -> pd.DataFrame:
    """How scores and labels follow the words in common: one row a range of their share, with `rows, score`
    (mean), `positive_rate, f1`."""
    ranges = pd.cut(words_in_common(rows), [-0.01, 0, 0.34, 0.67, 1], labels=["none", "some", "most", "all"])
    by = pd.Series(ranges.astype("str"))
    table = confusion_by(rows, by)
    means = rows[["score", "label"]].astype("float64").groupby(by.to_numpy()).mean()
    table = table.assign(score=means["score"], positive_rate=means["label"])
    order = [name for name in ("none", "some", "most", "all") if name in table.index]
    return table.loc[order, ["rows", "score", "positive_rate", "f1"]]
