"""Fit a model a fold and score what it has not seen: validation rows out of fold, dev and test by all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.errors import UserError
from competition_utils.models.base import FitReport, load_model, new_model
from competition_utils.storage import read_json, read_parquet, write_json, write_parquet

NO_FOLD = -1


@dataclass(frozen=True)
class CrossFit:
    """`scores`: `id, task, language, score, fold, split`; `history`: a row an evaluation, with its `fold`;
    `notes`: sentences about the fits; `fitted_on`: "joint" where one model was fitted for both tasks."""

    scores: pd.DataFrame
    history: pd.DataFrame
    notes: list[str]
    fitted_on: str = ""


def crossfit(
    kind: str,
    settings: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    *,
    folder: Path,
    work_dir: Path,
    fit_folds: Sequence[int],
    seed: int,
    other_task: pd.DataFrame | None = None,
) -> CrossFit:
    """Fit once for each fold of `fit_folds` on the rows of all other folds, and score.

    Args:
        tables: augmented tables by split; `train` is needed, `dev` and `test` are scored where they are there.
        folder: gets `fold0/` … with model and scores; a fold that is complete there is not fitted again.
        work_dir: for checkpoints of a fit under way.
        other_task: training rows of the other task, which every fit sees besides (two-stage training).

    Validation rows are original rows only, whatever was created from them. Dev and test get the mean of the
    folds' scores. Raises UserError for a fold that the train table does not hold.
    """
    present = np.unique(tables["train"]["fold"])
    missing = [fold for fold in fit_folds if fold not in present]
    if missing or not len(fit_folds):
        raise UserError(f"fit_folds: expected one or more of {present.tolist()}, found {list(fit_folds)}.")
    reports, parts = [], []
    for fold in fit_folds:
        done = folder / f"fold{fold}"
        if not (done / "scores.parquet").is_file():
            _fit_fold(kind, settings, tables, fold, done, work_dir / f"fold{fold}", seed + fold, other_task)
        reports.append(FitReport(**read_json(done / "fit.json")))
        parts.append(read_parquet(done / "scores.parquet"))
    history = pd.concat(
        [pd.DataFrame(report.history).assign(fold=fold) for fold, report in zip(fit_folds, reports, strict=True)]
    )
    notes = [f"fold {fold}: {note}" for fold, r in zip(fit_folds, reports, strict=True) for note in r.notes]
    return CrossFit(_average(pd.concat(parts, ignore_index=True)), history, notes)


def _fit_fold(kind, settings, tables, fold: int, done: Path, work_dir: Path, seed: int, other_task) -> None:
    train = tables["train"]
    held = train["fold"] == fold
    valid = train[held & (train["source"] == "original")]
    seen = train[~held] if other_task is None else pd.concat([train[~held], other_task], ignore_index=True)
    work_dir.mkdir(parents=True, exist_ok=True)
    done.mkdir(parents=True, exist_ok=True)
    model = new_model(kind, settings)
    report = model.fit(seen, valid, work_dir=work_dir, seed=seed)
    model.save(done)
    report.seconds = 0.0  # times stay out of files that later stages hash
    write_json(done / "fit.json", report.as_dict())
    # What is scored is the model as saved, so that anyone who loads it gets these scores.
    model = load_model(done)
    scored = [_scores(model, valid, "valid", fold)]
    scored += [_scores(model, tables[split], split, NO_FOLD) for split in ("dev", "test") if split in tables]
    write_parquet(done / "scores.parquet", pd.concat(scored, ignore_index=True))


def _scores(model, pairs: pd.DataFrame, split: str, fold: int) -> pd.DataFrame:
    table = pairs[["id", "task", "language"]].reset_index(drop=True)
    return table.assign(score=model.score(pairs).astype(np.float32), fold=np.int16(fold), split=split)


def _average(scores: pd.DataFrame) -> pd.DataFrame:
    """One row an id and split: the folds' scores of a dev or test row become their mean."""
    keys = ["id", "task", "language", "fold", "split"]
    mean = scores.groupby(keys, sort=False, as_index=False)["score"].mean()
    return mean[["id", "task", "language", "score", "fold", "split"]].astype({"score": "float32"})
