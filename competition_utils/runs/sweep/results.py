"""What a sweep shows at its end: one table of its cells, what was shared, and the paired comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from competition_utils import paths
from competition_utils.runs import comparing, ledger
from competition_utils.runs.kernel import read_executed
from competition_utils.runs.report.page import write_runs_page
from competition_utils.runs.report.tables import RunsTable, runs_table
from competition_utils.runs.sweep.cells import Cell, CellResult
from competition_utils.tasks import select_tasks

PAGE = "comparison.html"
RESAMPLES, SEED = 1000, 0


def cells_table(cells: Sequence[Cell], results: Sequence[CellResult]) -> RunsTable:
    """The table of runs, a row a cell; FAILED and the reason where a cell has no result."""
    return runs_table([_entry(cell, result) for cell, result in zip(cells, results, strict=True)])


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
    cells: Sequence[Cell], table: RunsTable, tasks: dict[str, comparing.TaskComparison], shared: Sequence[str]
) -> Path:
    """Write `papermill_runs/comparison.html`, over the last comparison's."""
    page = paths.run_folder(PAGE)
    there = [cell.name for cell in cells if (paths.run_folder(cell.name) / "report.html").is_file()]
    figure = comparing.save_comparison(tasks) if tasks else None
    return write_runs_page(
        page,
        f"Sweep of {len(cells)} cells",
        table,
        comparing.comparison_tables(tasks) if tasks else {},
        figure and comparing.embedded(figure),
        there,
        notes=shared,
    )


def _entry(cell: Cell, result: CellResult) -> dict[str, Any]:
    if result.failure is None:
        return ledger.entry(paths.run_folder(cell.name))
    run = cell.run()
    return {"name": cell.name, "config": run.config.name, "settings": run.resolved(), "failure": result.failure}
