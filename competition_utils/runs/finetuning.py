"""Stage `finetune`: fit every task of a run, beside the linear yardstick, and leave models and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from sklearn.metrics import roc_auc_score

from competition_utils.errors import UserError
from competition_utils.models.crossfit import CrossFit, crossfit
from competition_utils.runs.stage import Stage
from competition_utils.settings.schema import LinearSettings, Section
from competition_utils.tasks import SPLITS, TASKS, select_tasks

YARDSTICK = "linear"


def fit_tasks(
    stage: Stage, task: str, model: str, settings: Section, fit_folds: Sequence[int], seed: int
) -> dict[str, CrossFit]:
    """Fit `model` for each task of `task` that the stage `augmentation` left; keyed by task name.

    Writes `{QC,QI}_scores.parquet` and the models, ready for `score --model`: `{QC,QI}/fold0/` …, or `joint/fold0/` …
    where `settings` ask for one model for both tasks (`training: joint`). With `training: two_stage` each fit begins
    on the other task's rows. Raises UserError where these need both tasks and only one is there.
    """
    tables = {name: _tables(stage, name) for name in _tasks_of(stage, task)}
    training = getattr(settings, "training", "single")
    if training != "single" and len(tables) < len(TASKS):
        raise UserError(f"training: {training} needs the rows of QC and QI, found {', '.join(tables)}. Set task: all.")
    if training == "joint":
        return _fit_jointly(stage, tables, model, settings, fit_folds, seed)
    others = {name: _other_rows(tables, name) if training == "two_stage" else None for name in tables}
    return {
        name: _fit(stage, name, name, tables[name], model, settings, fit_folds, seed, others[name]) for name in tables
    }


def fit_yardstick(stage: Stage, task: str, fit_folds: Sequence[int], seed: int) -> dict[str, CrossFit]:
    """The same folds through the linear model: `{QC,QI}_linear_scores.parquet`."""
    return {
        name: _fit(
            stage, name, f"{name}_{YARDSTICK}", _tables(stage, name), YARDSTICK, LinearSettings(), fit_folds, seed
        )
        for name in _tasks_of(stage, task)
    }


def histories(fits: Mapping[str, CrossFit]) -> pd.DataFrame:
    """All evaluations of all fits: `task, fold, epoch, loss, valid_auc` and what else the model kind tells."""
    told = pd.concat([fit.history.assign(task=fit.fitted_on or name) for name, fit in fits.items()], ignore_index=True)
    return told.drop_duplicates(ignore_index=True)


def validation_rows(stage: Stage, fits: Mapping[str, CrossFit], yardstick: Mapping[str, CrossFit]) -> pd.DataFrame:
    """Scored validation rows: `id, task, language, label, score` and the linear model's score as `yardstick`."""
    parts = []
    for name, fit in fits.items():
        labels = stage.read(f"{name}_train", of="augmentation")[["id", "label"]]
        linear = _valid(yardstick[name])[["id", "score"]].rename(columns={"score": "yardstick"})
        parts.append(_valid(fit).merge(labels, on="id").merge(linear, on="id"))
    return pd.concat(parts, ignore_index=True)


def auc_by_language(validation: pd.DataFrame) -> pd.DataFrame:
    """`task, language, rows, model, yardstick`: AUC of both on validation rows, where a language has both labels."""
    rows = []
    for (task, language), part in validation.groupby(["task", "language"]):
        if part["label"].nunique() == 2:
            both = {"model": part["score"], "yardstick": part["yardstick"]}
            aucs = {name: roc_auc_score(part["label"].astype(int), score) for name, score in both.items()}
            rows.append({"task": task, "language": language, "rows": len(part), **aucs})
    return pd.DataFrame(rows, columns=["task", "language", "rows", "model", "yardstick"])


def metrics(fits: Mapping[str, CrossFit], validation: pd.DataFrame) -> dict[str, Any]:
    """What the stage leaves as its `metrics.json`: rows and validation AUC a task, and the fits' notes."""
    return {
        "tasks": {
            name: {
                "validation_rows": len(part),
                "auc": roc_auc_score(part["label"].astype(int), part["score"]),
                "linear_auc": roc_auc_score(part["label"].astype(int), part["yardstick"]),
                "notes": fits[name].notes,
            }
            for name, part in validation.groupby("task")
        }
    }


def _valid(fit: CrossFit) -> pd.DataFrame:
    return fit.scores[fit.scores["split"] == "valid"]


def _tasks_of(stage: Stage, task: str) -> list[str]:
    """The tasks asked for that have training rows; a folder with QC or QI alone is fine."""
    present = stage.read_json("metrics", of="augmentation")["tasks"]
    return [chosen.name for chosen in select_tasks(task) if chosen.name in present]


def _tables(stage: Stage, name: str) -> dict[str, pd.DataFrame]:
    """The augmented tables of a task by split; dev and test where they are there."""
    present = [split for split in SPLITS if (stage.run / "augmentation" / f"{name}_{split}.parquet").is_file()]
    return {split: stage.read(f"{name}_{split}", of="augmentation") for split in dict.fromkeys(["train", *present])}


def _other_rows(tables: Mapping[str, Mapping[str, pd.DataFrame]], name: str) -> pd.DataFrame:
    return pd.concat([tables[other]["train"] for other in tables if other != name], ignore_index=True)


def _fit_jointly(stage: Stage, tables, model: str, settings, fit_folds, seed: int) -> dict[str, CrossFit]:
    """One crossfit over the rows of both tasks, taken apart by task afterwards."""
    splits = dict.fromkeys(split for by_split in tables.values() for split in by_split)
    together = {
        split: pd.concat([by_split[split] for by_split in tables.values() if split in by_split], ignore_index=True)
        for split in splits
    }
    fit = _fit(stage, "QC and QI", "joint", together, model, settings, fit_folds, seed)
    parts = {name: fit.scores[fit.scores["task"] == name].reset_index(drop=True) for name in tables}
    for name, scores in parts.items():
        stage.write(f"{name}_scores", scores)
    return {name: replace(fit, scores=scores, fitted_on="joint") for name, scores in parts.items()}


def _fit(
    stage: Stage, name: str, label: str, tables, model: str, settings, fit_folds, seed: int, other_task=None
) -> CrossFit:
    fit = crossfit(
        model,
        settings,
        tables,
        folder=stage.path(label),
        work_dir=stage.work_folder(label),
        fit_folds=fit_folds,
        seed=seed,
        other_task=other_task,
    )
    stage.write(f"{label}_scores", fit.scores)
    for note in fit.notes:
        print(f"{name}, {model}, {note}")
    return fit
