"""`sweep --engine ray`: each cell is a Ray task, on whatever node of the cluster has what it needs.

The nodes see the project's folder at the same place (a shared file system), so runs and the store of finished stages
are those of one machine. A cell whose worker or node dies is run again by Ray, and goes on behind its finished stages.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from competition_utils.paths import ROOT_VARIABLE, WORK_VARIABLE, project_root, work_root
from competition_utils.runs.cluster.start import start_ray
from competition_utils.runs.sweep.cells import Cell, CellResult, execute_cell, outcome
from competition_utils.settings.schema import RaySettings

Execute = Callable[[Cell], CellResult]


def execute_cells_on_ray(
    cells: Sequence[Cell], say: Callable[[str], None], settings: RaySettings, execute: Execute = execute_cell
) -> list[CellResult]:
    """As `execute_cells`, but as many at once as the cluster holds, `settings.concurrency` at most."""
    start_ray()
    import ray

    task = ray.remote(_execute_in).options(
        num_cpus=settings.num_cpus,
        num_gpus=settings.num_gpus,
        memory=settings.memory,
        max_retries=settings.max_retries,
    )
    at_once = len(cells) if settings.concurrency == "auto" else settings.concurrency
    places = {ROOT_VARIABLE: str(project_root()), WORK_VARIABLE: str(work_root())}
    waiting, running, results = list(cells), {}, {}
    while waiting or running:
        while waiting and len(running) < at_once:
            cell = waiting.pop(0)
            running[task.remote(places, execute, cell)] = cell
        (done,), _ = ray.wait(list(running))
        cell = running.pop(done)
        results[cell.name] = result = _result_of(done, cell)
        say(f"{len(results)} of {len(cells)}: {cell.name} {outcome(result)}")
    return [results[cell.name] for cell in cells]


def _execute_in(places: Mapping[str, str], execute: Execute, cell: Cell) -> CellResult:
    """Execute a cell in the project of the process that asks; `places` are variables and their folders."""
    os.environ.update(places)
    return execute(cell)


def _result_of(done: object, cell: Cell) -> CellResult:
    import ray

    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:  # before the cell began: a node without the package, say
        return CellResult(cell.name, f"on its node: {str(error).strip().splitlines()[-1]}", 0.0)
    except ray.exceptions.RayError as error:
        found = str(error).strip().splitlines()[0]
        return CellResult(cell.name, f"its worker died, and so in every further try: {found}", 0.0)
