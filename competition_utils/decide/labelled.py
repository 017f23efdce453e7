"""Scores joined with the labels and texts of their rows, checked so that nothing is missing and nothing is doubled."""

from __future__ import annotations

import pandas as pd

from competition_utils.data.clean import category_prefix
from competition_utils.errors import DataError, Fault, UserError

SCORE_COLUMNS = ("id", "task", "language", "score", "fold", "split")
TEXT_COLUMNS = ("query", "query_en", "target", "target_en", "category_hint", "source")
SPLITS = ("valid", "dev", "test")


def check_scores(scores: pd.DataFrame, where: str) -> pd.DataFrame:
    """The scores table as given, if it keeps its contract (docs/ARCHITECTURE.md, "Scores").

    `where` names its file in errors. Raises UserError for missing columns, DataError for unknown splits,
    scores that are missing or outside 0–1, and an id that a split has twice.
    """
    absent = [name for name in SCORE_COLUMNS if name not in scores]
    if absent:
        raise UserError(
            f"{where}: expected the columns {', '.join(SCORE_COLUMNS)}, missing {', '.join(absent)}. "
            f"Give a scores table as stage finetune writes it."
        )
    checks = {
        "a score that is missing or outside 0–1": ~scores["score"].between(0, 1),
        "a split other than valid, dev, test": ~scores["split"].isin(SPLITS),
        "an id twice in a split": scores.duplicated(["split", "id"]),
    }
    _refuse(checks, scores, where, "Score the rows again: a missing score is never a 0.")
    return scores


def join_scores(scores: pd.DataFrame, table: pd.DataFrame, split: str, where: str) -> pd.DataFrame:
    """The rows of one split with their texts and, where the table has them, labels; in the order of `scores`.

    `table` is the clean or augmented table of the split: train for `valid` (which may hold only some of its
    rows), dev, test. Gives `id, task, language, score, fold, split`, the text columns that the table has, and
    `label` (int8) if all its rows are labelled. Raises UserError for a split without scores, DataError for a
    scored id that the table lacks, a language that differs and, in dev and test, a row without a score.
    """
    rows = check_scores(scores, where)
    rows = rows[rows["split"] == split].reset_index(drop=True)
    if rows.empty:
        raise UserError(f"{where}: expected rows of split {split!r}, found none. Run stage finetune again.")
    texts = [name for name in TEXT_COLUMNS if name in table]
    labelled = "label" in table and table["label"].notna().all()
    wanted = table[["id", "language", *texts, *(["label"] if labelled else [])]]
    joined = rows.merge(wanted, on="id", how="left", suffixes=("", "_of_table"), validate="one_to_one")
    language = joined.pop("language_of_table")
    checks = {
        "a scored id that the table lacks": language.isna(),
        "a language other than in the table": language.notna() & (language != joined["language"]),
    }
    todo = "Scores and table are of different runs or data: run the stages again from augmentation."
    _refuse(checks, joined, where, todo)
    if split != "valid":
        _refuse({"a row without a score": ~wanted["id"].isin(rows["id"])}, wanted, where, todo)
    return joined.astype({"label": "int8"}) if labelled else joined


def _refuse(checks: dict[str, pd.Series], rows: pd.DataFrame, where: str, todo: str) -> None:
    faults = []
    for kind, wrong in checks.items():
        shown = rows[wrong].head(DataError.SHOWN + 1)
        faults += [Fault(kind, f"{where}, id {row['id']}", _found(row)) for _, row in shown.iterrows()]
        faults += [Fault(kind, where, "")] * (int(wrong.sum()) - len(shown))
    if faults:
        raise DataError(f"{where}: expected scores that fit their rows, found {len(faults):,} faults.", faults, todo)


def _found(row: pd.Series) -> str:
    return ", ".join(f"{name} {row[name]}" for name in ("language", "split", "score") if name in row)


def category_seen(targets: pd.Series, train_targets: pd.Series) -> pd.Series:
    """bool [n]: whether the second-level prefix of a category path occurs in train."""
    return category_prefix(targets, 2).isin(category_prefix(train_targets, 2).unique())
