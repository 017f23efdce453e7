"""Stage `finetune`: what is to be fitted for the tasks of a run, each fold of it, and figures of the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from competition_utils.category_tree.hints import CATEGORIES, HINTS
from competition_utils.data.languages import language_name, scripts_of
from competition_utils.errors import UserError
from competition_utils.f1 import best_f1
from competition_utils.models import crossfit
from competition_utils.models.base import RelevanceModel
from competition_utils.models.crossfit import CrossFit
from competition_utils.paths import stage_folder
from competition_utils.runs.stage import Stage
from competition_utils.storage import read_json
from competition_utils.tasks import SPLITS, TASKS, select_tasks

Tables = Mapping[str, Mapping[str, pd.DataFrame]]
MANY_ROWS = 20_000


@dataclass(frozen=True)
class Plan:
    """A model to be fitted a fold: `name` of the folder of its folds, the `tasks` that it scores, its tables by split,
    and rows of the other task that every fit sees besides (two-stage training)."""

    name: str
    tasks: tuple[str, ...]
    tables: Mapping[str, pd.DataFrame]
    other_task: pd.DataFrame | None = None


def read_tables(stage: Stage, task: str) -> dict[str, dict[str, pd.DataFrame]]:
    """The augmented tables that stage `augmentation` left, by task and split; dev and test where they are there.

    `task` is QC, QI or all; a folder with one of both is fine.
    """
    present = stage.read_json("metrics", of="augmentation")["tasks"]
    names = [chosen.name for chosen in select_tasks(task) if chosen.name in present]
    return {name: _tables(stage, name) for name in names}


def plan_fits(tables: Tables, fitter: RelevanceModel, suffix: str = "") -> list[Plan]:
    """What `fitter` is to be fitted on: a plan a task, or one for both where its settings say `training: joint`.

    With `training: two_stage` each fit begins on the other task's rows. Raises UserError where that needs both tasks
    and only one is there; `joint` is then that task alone.
    """
    training = getattr(fitter.settings, "training", "single")
    if training == "two_stage" and len(tables) < len(TASKS):
        raise UserError(f"training: {training} needs the rows of QC and QI, found {', '.join(tables)}. Set task: all.")
    if training == "joint" and len(tables) < len(TASKS):
        print(f"training: joint, and the rows of {', '.join(tables)} alone are there")
    elif training == "joint":
        return [Plan("joint", tuple(tables), _together(tables))]
    others = {name: _other_rows(tables, name) if training == "two_stage" else None for name in tables}
    return [Plan(name + suffix, (name,), tables[name], others[name]) for name in tables]


def fold_rows(plan: Plan, fold: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that a fit of `fold` sees, and its validation rows."""
    return crossfit.fold_rows(plan.tables, fold, plan.other_task)


def fit_fold(
    stage: Stage,
    fitter: RelevanceModel,
    plan: Plan,
    fold: int,
    *,
    seed: int,
    show: Callable[..., None] | None = None,
) -> Path:
    """Fit one fold and score what it has not seen; gives the folder with the model and its scores.

    A fold that was fitted with the same settings, edits of the model's parts, rows and seed is used as it is.
    `show` gets the history during the fit, and with `last=True` at its end.
    """
    fitter.report_history = show
    folder, work_dir = stage.path(plan.name), stage.work_folder(plan.name)
    fitted = crossfit.fit_fold(
        fitter,
        plan.tables,
        fold,
        folder=folder,
        work_dir=work_dir,
        seed=seed,
        other_task=plan.other_task,
        beside=_hint_files(stage),
    )
    if show is not None:
        show(crossfit.fold_report(folder, fold).history, last=True)
    if not fitted:
        print(f"{plan.name}, fold {fold}: fitted before with the same settings, parts and rows")
    return folder / f"fold{fold}"


def _hint_files(stage: Stage) -> list[Path]:
    """What a fitted model keeps, so that whoever scores with it makes the same hints; none for a run without hints."""
    folder = stage.path(HINTS, of="augmentation")
    # what a killed process left half-written is hidden, and no file of the model
    return sorted(folder.glob("[!.]*")) if read_json(folder / CATEGORIES)["paths"] else []


def gather(stage: Stage, plan: Plan, fit_folds: Sequence[int]) -> dict[str, CrossFit]:
    """The finished folds of a plan, by task; writes `NAME_scores.parquet`, and a file a task for a joint model."""
    fit = crossfit.average_folds(stage.path(plan.name), fit_folds)
    stage.write(f"{plan.name}_scores", fit.scores)
    for note in fit.notes:
        print(f"{plan.name}, {note}")
    if len(plan.tasks) == 1:
        return {plan.tasks[0]: fit}
    parts = {name: fit.scores[fit.scores["task"] == name].reset_index(drop=True) for name in plan.tasks}
    for name, scores in parts.items():
        stage.write(f"{name}_scores", scores)
    return {name: replace(fit, scores=scores, fitted_on=plan.name) for name, scores in parts.items()}


def fold_scores(folder: Path, valid: pd.DataFrame) -> pd.DataFrame:
    """`rows, relevant, auc, best_f1` of each task of a fitted fold's validation rows."""
    scores = pd.read_parquet(folder / "scores.parquet")
    scored = scores[scores["split"] == "valid"].merge(valid[["id", "task", "label"]], on=["id", "task"])
    rows = {}
    for task, part in scored.groupby("task"):
        labels = part["label"].to_numpy(np.int64)
        figures = {"auc": roc_auc_score(labels, part["score"]), "best_f1": best_f1(labels, part["score"])}
        rows[task] = {"rows": len(part), "relevant": labels.mean(), **figures}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("task")


def pairs_in_scripts(tables: Tables, count: int = 5) -> pd.DataFrame:
    """At most `count` pairs of different languages, each in another script than those before as long as there is one;
    with `split` and `caption`.

    Languages that only dev and test hold are among them. Queries whose tag fits what they are written in come first,
    then those of train, then those with a translation.
    """
    splits = [table.assign(split=split) for by_split in tables.values() for split, table in by_split.items()]
    table = pd.concat(splits, ignore_index=True)
    order = pd.DataFrame(
        {
            "mistagged": table["language"] != table.get("text_language", table["language"]),
            "later": table["split"] != "train",
            "untranslated": table["query_en"] == "",
        }
    ).sort_values(["mistagged", "later", "untranslated"], kind="stable")
    ordered = table.loc[order.index].drop_duplicates("language")
    again = scripts_of(ordered["query"]).idxmax(axis=1).duplicated()
    pairs = pd.concat([ordered[~again], ordered[again]]).head(count)
    return pairs.assign(caption=[_caption(row) for row in pairs.to_dict("records")])


def _caption(row: Mapping[str, Any]) -> str:
    label = row.get("label")
    known = "" if pd.isna(label) else f", label {int(label)}"
    return f"{row['task']}, {row['split']}, {language_name(row['language'])}{known}"


def token_lengths(fitter: RelevanceModel, tables: Tables) -> dict[str, np.ndarray]:
    """Tokens of the pairs of each task's train table, before anything is cut; of 20,000 pairs where there are more."""
    return {name: fitter.token_lengths(_some(by_split["train"])) for name, by_split in tables.items()}


def histories(fits: Mapping[str, CrossFit]) -> pd.DataFrame:
    """All evaluations of all fits: `task, fold, epoch, loss, valid_auc` and what else the model kind reports."""
    parts = [fit.history.assign(task=fit.fitted_on or name) for name, fit in fits.items()]
    return pd.concat(parts, ignore_index=True).drop_duplicates(ignore_index=True)


def validation_rows(stage: Stage, fits: Mapping[str, CrossFit], baseline: Mapping[str, CrossFit]) -> pd.DataFrame:
    """Scored validation rows: `id, task, language, label, score` and the linear model's score as `baseline`."""
    parts = []
    for name, fit in fits.items():
        labels = stage.read(f"{name}_train", of="augmentation")[["id", "label"]]
        linear = _valid(baseline[name])[["id", "score"]].rename(columns={"score": "baseline"})
        parts.append(_valid(fit).merge(labels, on="id").merge(linear, on="id"))
    return pd.concat(parts, ignore_index=True)


def auc_by_language(validation: pd.DataFrame) -> pd.DataFrame:
    """`task, language, rows, model, baseline`: AUC of both on validation rows, where a language has both labels."""
    rows = []
    for (task, language), part in validation.groupby(["task", "language"]):
        if part["label"].nunique() == 2:
            both = {"model": part["score"], "baseline": part["baseline"]}
            aucs = {name: roc_auc_score(part["label"].astype(int), score) for name, score in both.items()}
            rows.append({"task": task, "language": language, "rows": len(part), **aucs})
    return pd.DataFrame(rows, columns=["task", "language", "rows", "model", "baseline"])


def metrics(fits: Mapping[str, CrossFit], validation: pd.DataFrame) -> dict[str, Any]:
    """What the stage leaves as its `metrics.json`: rows and validation AUC a task, and the fits' notes."""
    return {
        "tasks": {
            name: {
                "validation_rows": len(part),
                "auc": roc_auc_score(part["label"].astype(int), part["score"]),
                "linear_auc": roc_auc_score(part["label"].astype(int), part["baseline"]),
                "notes": fits[name].notes,
            }
            for name, part in validation.groupby("task")
        }
    }


def _valid(fit: CrossFit) -> pd.DataFrame:
    return fit.scores[fit.scores["split"] == "valid"]


def _tables(stage: Stage, name: str) -> dict[str, pd.DataFrame]:
    folder = stage_folder(stage.run, "augmentation")
    present = [split for split in SPLITS if (folder / f"{name}_{split}.parquet").is_file()]
    return {split: stage.read(f"{name}_{split}", of="augmentation") for split in dict.fromkeys(["train", *present])}


def _other_rows(tables: Tables, name: str) -> pd.DataFrame:
    return pd.concat([tables[other]["train"] for other in tables if other != name], ignore_index=True)


def _together(tables: Tables) -> dict[str, pd.DataFrame]:
    """The rows of all tasks by split."""
    splits = dict.fromkeys(split for by_split in tables.values() for split in by_split)
    return {
        split: pd.concat([by_split[split] for by_split in tables.values() if split in by_split], ignore_index=True)
        for split in splits
    }


def _some(table: pd.DataFrame) -> pd.DataFrame:
    return table if len(table) <= MANY_ROWS else table.sample(MANY_ROWS, random_state=0)
