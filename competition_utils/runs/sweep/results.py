"""What a sweep shows at its end: one table of its cells, what was shared, and the paired comparisons."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from competition_utils import paths
from competition_utils.runs import comparing, ledger
from competition_utils.runs.kernel import read_executed
from competition_utils.runs.report.page import write_runs_page
from competition_utils.runs.report.tables import FAILED, RunsTable, runs_table
from competition_utils.runs.sweep.cells import Cell, CellResult
from competition_utils.storage import read_json
from competition_utils.tasks import select_tasks

PAGE = "comparison.html"
RESAMPLES, SEED = 1000, 0


def cells_table(cells: Sequence[Cell], results: Sequence[CellResult]) -> RunsTable:
    """The table of runs, a row a cell; FAILED and the reason where a cell has no result."""
    return runs_table([_entry(cell, result) for cell, result in zip(cells, results, strict=True)])


def summary(cells: Sequence[Cell], results: Sequence[CellResult]) -> pd.DataFrame | None:
    """A row a config, strategy and model (as far as they differ), columns F1 of each task and their mean; over several
    seeds the mean ± standard deviation. FAILED where a cell of it did. None where each row would be one cell."""
    rows: dict[tuple[str, ...], dict[str, list[float | None]]] = {}
    for cell, result in zip(cells, results, strict=True):
        config = cell.run().config
        key = (config.name, config.settings.strategy, config.settings.model)
        tasks = None if result.failure else read_json(paths.run_folder(cell.name) / "metrics.json")["tasks"]
        for task in select_tasks(config.settings.task):
            for column, figure in (("F1", "f1"), ("unseen", "unseen_language_f1")):
                values = rows.setdefault(key, {}).setdefault(f"{task.name} {column}", [])
                values.append(math.nan if tasks is None else tasks.get(task.name, {}).get(figure))
    if len(rows) == len(cells):
        return None
    apart = [at for at in range(3) if len({key[at] for key in rows}) > 1] or [1]
    names = pd.Index([" ".join(key[at] for at in apart) for key in rows], name="cells")
    frame = pd.DataFrame([_with_mean(columns) for columns in rows.values()], index=names)
    return frame.dropna(axis="columns", how="all")


def _with_mean(columns: dict[str, list[float | None]]) -> dict[str, str | None]:
    """The figures of a row as texts, and `mean F1` over its tasks, seed by seed."""
    of_tasks = [values for name, values in columns.items() if name.endswith(" F1") and None not in values]
    means = [sum(of_seed) / len(of_seed) for of_seed in zip(*of_tasks, strict=False)]
    return {name: _over_seeds(values) for name, values in {"mean F1": means, **columns}.items()}


def _over_seeds(values: Sequence[float | None]) -> str | None:
    if any(value is None for value in values):  # no such rows
        return None
    if any(math.isnan(value) for value in values):
        return FAILED
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.4f}{spread}"


def shared_stages(cells: Sequence[Cell]) -> list[str]:
    """A sentence a stage that cells took from the store; read from the runs, so that a resumed sweep says the same."""
    executed = [read_executed(paths.run_folder(cell.name)) for cell in cells]
    sentences = []
    for stage in paths.STAGES:
        notes = [one[stage] for one in executed if stage in one]
        taken = sum("from" in note for note in notes)
        if taken:
            sentences.append(f"{stage} computed {_times(len(notes) - taken)}, taken {_times(taken)} from the store")
    return sentences


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def compare_cells(cells: Sequence[Cell], results: Sequence[CellResult]) -> dict[str, comparing.TaskComparison]:
    """The finished cells of each task against the first of them; a task with fewer than two is left out."""
    runs: dict[str, list[Path]] = {}
    for cell, result in zip(cells, results, strict=True):
        if result.failure is None:
            for task in select_tasks(cell.run().config.settings.task):
                runs.setdefault(task.name, []).append(paths.run_folder(cell.name))
    several = {task: folders for task, folders in runs.items() if len(folders) > 1}
    return {
        task: comparing.compare_runs(folders, [task], resamples=RESAMPLES, seed=SEED)[task]
        for task, folders in several.items()
    }


def write_page(
    cells: Sequence[Cell],
    results: Sequence[CellResult],
    tasks: dict[str, comparing.TaskComparison],
    shared: Sequence[str],
) -> Path:
    """Write `papermill_runs/comparison.html`, over the last comparison's."""
    page = paths.run_folder(PAGE)
    there = [cell.name for cell in cells if (paths.run_folder(cell.name) / "report.html").is_file()]
    figure = comparing.save_comparison(tasks) if tasks else None
    return write_runs_page(
        page,
        f"Sweep of {len(cells)} cells",
        cells_table(cells, results),
        comparing.comparison_tables(tasks) if tasks else {},
        figure and comparing.embedded(figure),
        there,
        notes=shared,
        summary=summary(cells, results),
    )


def _entry(cell: Cell, result: CellResult) -> dict[str, Any]:
    if result.failure is None:
        return ledger.entry(paths.run_folder(cell.name))
    run = cell.run()
    return {"name": cell.name, "config": run.config.name, "settings": run.resolved(), "failure": result.failure}
