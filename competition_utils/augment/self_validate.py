"""Rows whose label a model that never saw them contradicts with confidence: reported, weighted down or dropped.

Confident learning (C. Northcutt, L. Jiang, I. Chuang, JAIR 2021) as cleanlab does it, on out-of-fold scores.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from competition_utils.augment.rows import ORIGINAL
from competition_utils.augment.tools import Tools
from competition_utils.progress import progress
from competition_utils.settings.strategy import SelfValidate


def self_validate(table: pd.DataFrame, tools: Tools, settings: SelfValidate) -> pd.DataFrame:
    """Check rows of the files and created rows apart, and act on those whose label is likely wrong.

    Scores are out of fold: a created row lies in its origin's fold, so no model scores what it was fitted on. Rows of
    the files are counted in the rejection log even when they are only reported. The column `gate` of the rows
    concerned says what was found.
    """
    scores = out_of_fold_scores(table, tools)
    is_created = (table["source"] != ORIGINAL).to_numpy()
    weight = table["weight"].to_numpy().copy()
    gate = table["gate"].copy()
    kept = np.ones(len(table), dtype=bool)
    for kind, rows in (("original", ~is_created), ("created", is_created)):
        found = np.flatnonzero(rows)[doubtful(table["label"].to_numpy(np.int64)[rows], scores[rows], settings.most)]
        _count(table, found, kind, tools)
        gate.iloc[found] = [
            _joined(text, f"label doubted ({scores[at]:.2f})") for at, text in zip(found, gate.iloc[found], strict=True)
        ]
        action = getattr(settings, kind)
        if action == "down_weight":
            weight[found] *= settings.down_weight
        elif action == "drop":
            kept[found] = False
    return table.assign(weight=weight, gate=gate)[kept].reset_index(drop=True)


def out_of_fold_scores(table: pd.DataFrame, tools: Tools) -> np.ndarray:
    """float32 [n]: each row's score by the linear model, fitted on the rows of all other folds."""
    from competition_utils.models.base import new_model

    folds = table["fold"].to_numpy()
    scores = np.zeros(len(table), dtype=np.float32)
    for fold in progress(np.unique(folds), what="scoring rows out of fold", unit="folds"):
        held = folds == fold
        model = new_model("linear", {})
        with TemporaryDirectory() as folder:
            valid = table[held & (table["source"] == ORIGINAL)]
            model.fit(table[~held], valid, work_dir=Path(folder), seed=tools.seed)
        scores[held] = model.score(table[held])
    return scores


def doubtful(labels: np.ndarray, scores: np.ndarray, most: float) -> np.ndarray:
    """Places of rows whose label is likely wrong, the most doubtful first; at most `most` (share) of the rows.

    `labels` int [n] 0/1; `scores` [n] probabilities of label 1 from models that did not see the row.
    """
    if len(labels) == 0 or len(np.unique(labels)) < 2:
        return np.empty(0, dtype=np.int64)
    from cleanlab.filter import find_label_issues

    probabilities = np.column_stack([1 - scores, scores]).astype(np.float64)
    # The off-diagonal of the confident joint itself: the other filters prune by rates that few errors round to 0.
    found = find_label_issues(
        labels,
        probabilities,
        filter_by="confident_learning",
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )
    return np.asarray(found, dtype=np.int64)[: int(most * len(labels))]


def _count(table: pd.DataFrame, found: np.ndarray, kind: str, tools: Tools) -> None:
    rows = table.iloc[found]
    reasons = pd.Series(f"label doubted ({kind})", index=rows.index, dtype="str")
    tools.rejections.add("self_validate", reasons, rows, before="query", after="target")


def _joined(*notes: str) -> str:
    return ", ".join(note for note in notes if note)
