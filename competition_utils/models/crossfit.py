"""Fit a model a fold and score what it has not seen: validation rows out of fold, dev and test by all of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.errors import DamagedFile, UserError
from competition_utils.models.base import FitReport, RelevanceModel, load_model
from competition_utils.models.checkpoints import hash_of_rows
from competition_utils.storage import (
    hash_file,
    read_json,
    read_parquet,
    read_sealed_json,
    write_json,
    write_parquet,
    write_sealed_json,
)

NO_FOLD = -1
IDENTITY = "fold.json"  # what a finished fold was fitted with, written last


@dataclass(frozen=True)
class CrossFit:
    """`scores`: `id, task, language, score, fold, split`; `history`: a row an evaluation, with its `fold`;
    `notes`: sentences about the fits; `fitted_on`: "joint" where one model was fitted for both tasks."""

    scores: pd.DataFrame
    history: pd.DataFrame
    notes: list[str]
    fitted_on: str = ""


def fold_rows(
    tables: Mapping[str, pd.DataFrame], fold: int, other_task: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that a fit of `fold` sees, and its validation rows: original ones, whatever was created from them.

    Args:
        tables: augmented tables by split; `train` is needed.
        other_task: training rows of the other task, which every fit sees besides (two-stage training).

    Raises UserError for a fold that the train table does not hold.
    """
    train = tables["train"]
    if fold not in set(train["fold"]):
        raise UserError(f"fit_folds: expected folds of {np.unique(train['fold']).tolist()}, found {fold}.")
    held = train["fold"] == fold
    seen = train[~held] if other_task is None else pd.concat([train[~held], other_task], ignore_index=True)
    return seen, train[held & (train["source"] == "original")]


def fit_fold(
    fitter: RelevanceModel,
    tables: Mapping[str, pd.DataFrame],
    fold: int,
    *,
    folder: Path,
    work_dir: Path,
    seed: int,
    other_task: pd.DataFrame | None = None,
    beside: Sequence[Path] = (),
) -> bool:
    """Fit on the rows of all other folds and score validation, dev and test rows; False where that was done before.

    `folder` gets `fold0/` … with model and scores, `work_dir` the checkpoints of a fit under way. A fold counts as
    done only for the same settings, edits of the model's parts, rows and seed. `beside` are files of which
    the model's folder gets copies, so that whoever loads the model can make its input.
    """
    seen, valid = fold_rows(tables, fold, other_task)
    done, seed = folder / f"fold{fold}", seed + fold
    scored = [tables[split] for split in ("dev", "test") if split in tables]
    identity = {
        **fitter.identity(),
        "seed": seed,
        "rows": hash_of_rows(seen, valid, *scored),
        "beside": {path.name: hash_file(path) for path in beside},
    }
    if _is_done(done, identity):
        return False
    shutil.rmtree(done, ignore_errors=True)
    done.mkdir(parents=True)
    checkpoints = work_dir / f"fold{fold}"
    checkpoints.mkdir(parents=True, exist_ok=True)
    report = fitter.fit(seen, valid, work_dir=checkpoints, seed=seed)
    for path in beside:
        shutil.copyfile(path, done / path.name)
    fitter.save(done)
    report.seconds = 0.0  # times stay out of files that later stages hash
    write_json(done / "fit.json", report.as_dict())
    # What is scored is the model as saved, so that anyone who loads it gets these scores.
    model = load_model(done)
    parts = [_scores(model, valid, "valid", fold)]
    parts += [_scores(model, tables[split], split, NO_FOLD) for split in ("dev", "test") if split in tables]
    write_parquet(done / "scores.parquet", pd.concat(parts, ignore_index=True))
    write_sealed_json(done / IDENTITY, {**identity, "files": _hashes(done)})
    return True


def _is_done(fold: Path, identity: dict[str, Any]) -> bool:
    """Whether a fold was fitted alike, to its end, and all its files are as they were."""
    try:
        return read_sealed_json(fold / IDENTITY) == {**identity, "files": _hashes(fold)}
    except (DamagedFile, OSError):
        return False


def _hashes(fold: Path) -> dict[str, str]:
    files = (path for path in sorted(fold.rglob("*")) if path.is_file() and path.name != IDENTITY)
    return {path.relative_to(fold).as_posix(): hash_file(path) for path in files}


def fold_report(folder: Path, fold: int) -> FitReport:
    """What the fit of a finished fold reported."""
    return FitReport(**read_json(folder / f"fold{fold}" / "fit.json"))


def average_folds(folder: Path, fit_folds: Sequence[int]) -> CrossFit:
    """Scores and reports of finished folds together; dev and test rows get the mean of the folds' scores."""
    parts = [read_parquet(folder / f"fold{fold}" / "scores.parquet") for fold in fit_folds]
    reports = {fold: fold_report(folder, fold) for fold in fit_folds}
    history = pd.concat([pd.DataFrame(report.history).assign(fold=fold) for fold, report in reports.items()])
    notes = [f"fold {fold}: {note}" for fold, report in reports.items() for note in report.notes]
    return CrossFit(_average(pd.concat(parts, ignore_index=True)), history, notes)


def _scores(model: RelevanceModel, pairs: pd.DataFrame, split: str, fold: int) -> pd.DataFrame:
    table = pairs[["id", "task", "language"]].reset_index(drop=True)
    return table.assign(score=model.score(pairs).astype(np.float32), fold=np.int16(fold), split=split)


def _average(scores: pd.DataFrame) -> pd.DataFrame:
    """One row an id and split: the folds' scores of a dev or test row become their mean."""
    keys = ["id", "task", "language", "fold", "split"]
    mean = scores.groupby(keys, sort=False, as_index=False)["score"].mean()
    return mean[["id", "task", "language", "score", "fold", "split"]].astype({"score": "float32"})
