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
from competition_utils.paths import work_root
from competition_utils.runs import ledger
from competition_utils.runs.artefacts import artefact_reader
from competition_utils.runs.report.figures import embedded
from competition_utils.runs.report.page import write_runs_page
from competition_utils.runs.report.tables import runs_table
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
    """Draw the differences to `papermill_runs/comparison.png` and `.svg`, over the last comparison's; gives the
    path of the first."""
    from matplotlib import rc_context

    from competition_utils.plots.comparing import differences

    path = work_root() / "papermill_runs" / "comparison.png"
    tables = {task: {part: each.table for part, each in one.parts.items()} for task, one in tasks.items()}
    figure = differences(tables)
    with atomic_write(path) as beside:
        figure.savefig(beside, format="png")
    # Else each drawing has the date and names of its own, and a resumed sweep ends with other bytes.
    with atomic_write(path.with_suffix(".svg")) as beside, rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(beside, format="svg", metadata={"Date": None})
    return path


def comparison_tables(tasks: dict[str, TaskComparison]) -> dict[str, pd.DataFrame]:
    """Caption → table: each part of each task, then the mean of the tasks where there are several, of the same runs."""
    tables = {
        f"{task}, {name}: {part.rows:,} rows of {one.measured_on}": part.table
        for task, one in tasks.items()
        for name, part in one.parts.items()
    }
    same_runs = len({tuple(one.parts["all"].table.index) for one in tasks.values()}) == 1
    return tables | ({"mean of the tasks": mean_of_tasks(tasks)} if len(tasks) > 1 and same_runs else {})


def write_comparison_page(runs: Sequence[Path], tasks: dict[str, TaskComparison], figure: Path) -> Path:
    """Write `papermill_runs/comparison.html`, over the last comparison's; `figure` is `save_comparison`'s."""
    in_place = [run.name for run in runs if run.parent == figure.parent and (run / "report.html").is_file()]
    return write_runs_page(
        figure.with_suffix(".html"),
        f"Comparison of {len(runs)} runs",
        runs_table([ledger.entry(run) for run in runs]),
        comparison_tables(tasks),
        embedded(figure),
        in_place,
    )


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
