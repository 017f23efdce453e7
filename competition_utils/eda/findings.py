"""What the profile of a folder means for modelling: each finding a sentence, with a sentence on its implication."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pandas as pd

from competition_utils.data.languages import mis_tagged
from competition_utils.data.prepare import Prepared
from competition_utils.eda.profile import positive_rate_by_language, train_rows, unseen_in_train

COLUMNS = ["task", "finding", "implication"]


def keeping(save_json: Callable[[str, Any], None]) -> Callable[[str, pd.DataFrame], pd.DataFrame]:
    """A function that saves a small table by name, as a JSON list of rows, and returns it to be drawn or shown."""

    def keep(name: str, table: pd.DataFrame) -> pd.DataFrame:
        save_json(name, json.loads(table.to_json(orient="records", force_ascii=False)))
        return table

    return keep


def summary(prepared: Prepared, rows: pd.DataFrame) -> dict[str, Any]:
    """The stage's figures by task: `rows` by split, `positive_rate`, `languages`, `unseen_languages`,
    `mis_tagged` (share of the rows), `dropped` rows by reason, and `folds` (the report without its balance)."""
    tasks = {}
    resolved = prepared.found("resolved")
    for task, report in prepared.folds.items():
        own = rows[rows["task"] == task]
        trained = sorted(own.loc[own["split"] == "train", "language"].unique())
        tasks[task] = {
            "rows": own["split"].value_counts().to_dict(),
            "positive_rate": float(train_rows(own)["label"].mean()),
            "languages": trained,
            "unseen_languages": sorted(set(own["language"]) - set(trained)),
            "mis_tagged": float(mis_tagged(own).mean()),
            "dropped": resolved[resolved["task"] == task].set_index("reason")["rows"].to_dict(),
            "folds": {key: value for key, value in vars(report).items() if key != "balance"},
        }
    return {"tasks": tasks}


def findings(prepared: Prepared, rows: pd.DataFrame, shared: pd.DataFrame) -> pd.DataFrame:
    """`task, finding, implication`, a few rows a task; `rows` of `prepared.rows()`, `shared` of `shared_words`."""
    lines = []
    for task in prepared.folds:
        own = rows[rows["task"] == task]
        found = [
            _all_positive(own),
            _uneven_rates(own),
            _unseen_languages(own),
            _unseen_queries(own),
            _mis_tagged_english(own),
            _conflicts(prepared, task),
            _shared_words(shared[shared["task"] == task]),
            _folds(prepared, task),
        ]
        lines += [(task, *line) for line in found if line is not None]
    return pd.DataFrame(lines, columns=COLUMNS)


def _all_positive(rows: pd.DataFrame) -> tuple[str, str]:
    rate = train_rows(rows)["label"].mean()
    return (
        f"{rate:.1%} of the labelled rows are relevant.",
        f"Calling everything relevant gives F1 {2 * rate / (1 + rate):.3f}: compare every F1 with that, and read AUC.",
    )


def _uneven_rates(rows: pd.DataFrame) -> tuple[str, str] | None:
    rates = positive_rate_by_language(rows)
    low, high = rates.loc[rates["rate"].idxmin()], rates.loc[rates["rate"].idxmax()]
    if low["high"] >= high["low"]:
        return "Positive rates of the languages agree within their intervals.", "One threshold may serve all languages."
    return (
        f"Positive rates run from {low['rate']:.2f} ({low['language']}) to {high['rate']:.2f} ({high['language']}).",
        "Give the model the language; try thresholds by language, shrunk toward the common one.",
    )


def _unseen_languages(rows: pd.DataFrame) -> tuple[str, str] | None:
    trained = set(rows.loc[rows["split"] == "train", "language"])
    other = rows[rows["split"] != "train"]
    new = other[~other["language"].isin(trained)]
    if new.empty:
        return None
    return (
        f"{len(new) / len(other):.0%} of dev and test are in languages without a label: "
        f"{', '.join(sorted(new['language'].unique()))}.",
        "Estimate their score by leaving a training language out; translation to English brings them closer to it.",
    )


def _unseen_queries(rows: pd.DataFrame) -> tuple[str, str] | None:
    unseen = unseen_in_train(rows)
    queries = unseen[unseen["kind"] == "query"]
    if queries.empty:
        return None
    share = queries["unseen"].sum() / queries["rows"].sum()
    return (
        f"{share:.0%} of the rows of dev and test have a query that train lacks, near duplicates counted as seen.",
        "Folds must keep a query whole, or validation is better than the test will be.",
    )


def _mis_tagged_english(rows: pd.DataFrame) -> tuple[str, str] | None:
    english = rows[rows["language"] == "en"]
    if english.empty:
        return None
    return (
        f"{mis_tagged(english).mean():.1%} of the rows tagged en hold a query in another language.",
        "Translate by the language of the text, not by the tag, and do not let the model trust the tag blindly.",
    )


def _conflicts(prepared: Prepared, task: str) -> tuple[str, str]:
    resolved = prepared.found("resolved")
    counts = resolved[resolved["task"] == task].set_index("reason")["rows"]
    conflict = int(counts[counts.index.str.startswith("label conflict")].sum())
    if conflict == 0:
        return "No pair of train carries both labels.", "Wrong labels on pairs that occur once remain possible."
    return (
        f"{conflict:,} rows of train dropped for contradicting labels, {int(counts['exact duplicate']):,} as "
        "duplicates.",
        "Contradictions are the visible part of label noise: use a loss that tolerates wrong labels, and stop early.",
    )


def _shared_words(shared: pd.DataFrame) -> tuple[str, str] | None:
    foreign = shared[shared["language"] != "en"]
    if foreign.empty:
        return None
    any_word = foreign.assign(hit=foreign["any"] * foreign["rows"]).groupby("text")[["hit", "rows"]].sum()
    share = any_word["hit"] / any_word["rows"]
    shares = "; ".join(f"{text} {value:.0%}" for text, value in share.items())
    return (
        f"Rows outside en whose target shares a word with the query: {shares}.",
        "Word matching alone cannot work across languages: translate, or use a model that reads them all.",
    )


def _folds(prepared: Prepared, task: str) -> tuple[str, str]:
    report = prepared.folds[task]
    return (
        f"{report.groups:,} groups by {report.grouped_by}, the largest with {report.largest_group_rows:,} rows; no "
        f"language × label × fold is more than {report.worst_rows:.1f} rows off balance.",
        " ".join(report.notes[-1:]) or "Out-of-fold scores are of rows whose groups the model never saw.",
    )
