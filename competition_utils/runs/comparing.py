"""Finished runs compared on the labelled rows that they have in common; what `compare` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from competition_utils.decide.compare import (
    Comparison,
    check_same_labels,
    common_rows,
    compare_means,
    compare_predictions,
)
from competition_utils.errors import UserError
from competition_utils.paths import project_root
from competition_utils.runs.artefacts import artefact_reader
from competition_utils.storage import atomic_write


@dataclass(frozen=True)
class TaskComparison:
    """`all` rows in common, and those `seen` and `unseen` (languages with and without labels in train), where
    there are such; `measured_on` is "dev" or "valid"."""

    measured_on: str
    parts: dict[str, Comparison]


def compare_runs(runs: Sequence[Path], tasks: Sequence[str], *, resamples: int, seed: int) -> dict[str, TaskComparison]:
    """Compare the decisions of runs, task by task: on dev where all have labels for it, else on valid rows.

    Raises UserError for runs of one name, missing artefacts and no rows in common, DataError for data that
    differ.
    """
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise UserError(f"compare: expected runs of different names, found {', '.join(names)}.")
    return {task: _compare_task(dict(zip(names, runs, strict=True)), task, resamples, seed) for task in tasks}


def mean_of_tasks(tasks: dict[str, TaskComparison]) -> pd.DataFrame:
    """`compare_means` of all rows of each task."""
    return compare_means({task: each.parts["all"] for task, each in tasks.items()})


def save_comparison(tasks: dict[str, TaskComparison]) -> Path:
    """Draw the differences to `papermill_runs/comparison.png`, over the last comparison's; gives the path."""
    from competition_utils.plots.comparing import differences

    path = project_root() / "papermill_runs" / "comparison.png"
    tables = {task: {part: each.table for part, each in one.parts.items()} for task, one in tasks.items()}
    with atomic_write(path) as beside:
        differences(tables).savefig(beside, format="png")
    return path


def _compare_task(runs: dict[str, Path], task: str, resamples: int, seed: int) -> TaskComparison:
    readers = {name: artefact_reader(run) for name, run in runs.items()}
    decisions = {name: read(f"{task}_decisions", of="threshold_tuning") for name, read in readers.items()}
    tables = {name: read(f"{task}_dev", of="augmentation") for name, read in readers.items()}
    split = "dev"
    if not all("label" in table and table["label"].notna().all() for table in tables.values()):
        split = "valid"
        tables = {name: read(f"{task}_train", of="augmentation") for name, read in readers.items()}
    tables = {name: _original(table) for name, table in tables.items()}
    first = next(iter(tables.values()))
    for name, table in tables.items():
        check_same_labels(
            first[["id", "query", "label"]], table[["id", "query", "label"]], f"run {name}, {task} {split}"
        )
    decided = {name: table[table["split"] == split] for name, table in decisions.items()}
    rows = common_rows(decided, first)
    return TaskComparison(split, _parts(rows, first, next(iter(readers.values())), task, resamples, seed))


def _original(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["source"] == "original"] if "source" in table else table


def _parts(rows: pd.DataFrame, table: pd.DataFrame, read, task: str, resamples: int, seed: int):
    train = _original(read(f"{task}_train", of="augmentation"))
    language = rows["id"].map(table.set_index("id")["language"])
    seen = language.isin(train["language"].unique())
    parts = {"all": rows, "seen languages": rows[seen], "unseen languages": rows[~seen]}
    return {name: compare_predictions(part, resamples, seed) for name, part in parts.items() if len(part)}
