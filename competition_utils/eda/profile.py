"""What is in the data: every finding a small table, for `plots.eda` to draw and for the report to keep.

`rows` is what `Prepared.rows` gives: clean tables of all tasks and splits under each other. Findings about
labels use the labelled rows of train, as everything that is learnt must.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm

from competition_utils.data.clean import category_prefix
from competition_utils.data.duplicates import near_key
from competition_utils.data.languages import mis_tagged
from competition_utils.tasks import QC


def train_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The labelled rows of train, `label` as int."""
    train = rows[(rows["split"] == "train") & rows["label"].notna()]
    return train.assign(label=train["label"].astype("int64"))


def wilson_interval(positive: pd.Series, rows: pd.Series, level: float = 0.95) -> tuple[pd.Series, pd.Series]:
    """Lower and upper end (0–1) of Wilson's score interval of a rate (Wilson 1927); the whole 0–1 without rows."""
    z = norm.ppf((1 + level) / 2)
    n = rows.where(rows > 0, 1)
    rate = positive / n
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    low, high = (centre - half).clip(0, 1), (centre + half).clip(0, 1)
    return low.where(rows > 0, 0.0), high.where(rows > 0, 1.0)


def rate_by(labelled: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Rows and positive rate of each group: `keys, rows, positive, rate, low, high` (95% Wilson interval)."""
    found = labelled.groupby(keys, sort=True)["label"].agg(rows="size", positive="sum").reset_index()
    found["rate"] = found["positive"] / found["rows"]
    found["low"], found["high"] = wilson_interval(found["positive"], found["rows"])
    return found


def shape(rows: pd.DataFrame) -> pd.DataFrame:
    """`task, split, rows, languages, queries, targets, null_targets, labelled, positive_rate` of each file."""
    flagged = rows.assign(null=rows["origin_target"].isna())
    by_file = flagged.groupby(["task", "split"], sort=False)
    found = pd.DataFrame(
        {
            "rows": by_file.size(),
            "languages": by_file["language"].nunique(),
            "queries": by_file["query"].nunique(),
            "targets": by_file["target"].nunique(),
            "null_targets": by_file["null"].sum(),
            "labelled": by_file["label"].count(),
            "positive_rate": by_file["label"].mean().astype("float64"),
        }
    )
    return found.reset_index()


def positive_rate_by_language(rows: pd.DataFrame) -> pd.DataFrame:
    """`task, language` and the columns of `rate_by`, for train."""
    return rate_by(train_rows(rows), ["task", "language"])


def rows_by_language(rows: pd.DataFrame) -> pd.DataFrame:
    """`task, split, language, rows, in_train` (whether train has the language)."""
    found = rows.groupby(["task", "split", "language"], sort=True).size().rename("rows").reset_index()
    trained = found[found["split"] == "train"].groupby("task")["language"].agg(set)
    found["in_train"] = [language in trained.get(task, ()) for task, language in found[["task", "language"]].values]
    return found


def fan_out(rows: pd.DataFrame, most: int = 10) -> pd.DataFrame:
    """How many targets a query of train has, and how many queries a target: `task, of, count, number, share`.

    `of` is "targets per query" or "queries per target", `count` 1 … most (the last one means "or more"),
    `number` how many queries or targets have that count.
    """
    pairs = rows.loc[rows["split"] == "train", ["task", "query", "target"]].drop_duplicates()
    parts = []
    for of, one in (("targets per query", "query"), ("queries per target", "target")):
        sizes = pairs.groupby(["task", one]).size().clip(upper=most).rename("count").reset_index()
        counts = sizes.groupby(["task", "count"]).size().rename("number").reset_index()
        parts.append(counts.assign(of=of, share=counts["number"] / counts.groupby("task")["number"].transform("sum")))
    return pd.concat(parts, ignore_index=True)[["task", "of", "count", "number", "share"]]


def category_tree(rows: pd.DataFrame, depth: int = 2) -> pd.DataFrame:
    """QC train by category: `top, prefix` (its first `depth` levels) and the columns of `rate_by`; empty without QC."""
    train = train_rows(rows[rows["task"] == QC.name])
    keys = {"top": category_prefix(train["target"], 1), "prefix": category_prefix(train["target"], depth)}
    return rate_by(train.assign(**keys), ["top", "prefix"])


def unseen_in_train(rows: pd.DataFrame) -> pd.DataFrame:
    """What train never showed: `task, split, language, kind, rows, unseen, share`.

    `kind`: "language" (of the tag), "query" (near duplicates count as seen), and for QC "first level", "first
    two levels" and "category". `unseen` counts the rows of dev or test whose value train does not have.
    """
    keys = {"language": rows["language"], "query": near_key(rows["query"])}
    paths = rows["target"].where(rows["task"] == QC.name, "")
    keys |= {"first level": category_prefix(paths, 1), "first two levels": category_prefix(paths, 2), "category": paths}
    train = rows["split"] == "train"
    parts = []
    for kind, values in keys.items():
        counted = (rows["task"] == QC.name) if "level" in kind or kind == "category" else True
        keyed = rows["task"] + "\0" + values
        unseen = ~keyed.isin(keyed[train].unique())
        other = rows.assign(unseen=unseen)[~train & counted]
        by_language = other.groupby(["task", "split", "language"])["unseen"].agg(rows="size", unseen="sum")
        parts.append(by_language.reset_index().assign(kind=kind))
    found = pd.concat(parts, ignore_index=True)
    found["share"] = found["unseen"] / found["rows"]
    return found[["task", "split", "language", "kind", "rows", "unseen", "share"]]


def tag_against_text(rows: pd.DataFrame) -> pd.DataFrame:
    """How the tag and the language of the text meet: `task, language, text_language, rows, share` (of the tag)."""
    found = rows.groupby(["task", "language", "text_language"], sort=True).size().rename("rows").reset_index()
    found["share"] = found["rows"] / found.groupby(["task", "language"])["rows"].transform("sum")
    return found


def rate_of_mis_tagged(rows: pd.DataFrame) -> pd.DataFrame:
    """Positive rate of mis-tagged rows against rightly tagged ones: `task, language, tag` ("fits", "does not
    fit")
    and the columns of `rate_by`; for train."""
    train = train_rows(rows)
    tag = mis_tagged(train).map({True: "does not fit", False: "fits"})
    return rate_by(train.assign(tag=tag), ["task", "language", "tag"])


def mis_tagged_examples(rows: pd.DataFrame, each: int = 3) -> pd.DataFrame:
    """The surest mis-tagged rows: up to `each` different queries a task, tag and language of the text."""
    wrong = rows[mis_tagged(rows)].sort_values(["language_confidence", "query"], ascending=[False, True])
    different = wrong.drop_duplicates(["task", "language", "query"])
    shown = different.groupby(["task", "language", "text_language"]).head(each)
    columns = ["task", "language", "text_language", "language_confidence", "query", "target"]
    return shown.sort_values(columns[:3], kind="stable")[columns].reset_index(drop=True)
