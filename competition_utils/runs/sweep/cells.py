"""A cell of a sweep: one run, executed by one call in any process; a failure is its result and not its end."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from competition_utils.errors import UserError
from competition_utils.paths import shown
from competition_utils.runs.config import load_config
from competition_utils.runs.kernel import StageFailed
from competition_utils.runs.runner import Run, execute_run
from competition_utils.runs.sharing.store import Store
from competition_utils.settings.schema import RunSettings, TrainingSettings
from competition_utils.storage import read_parquet, write_text
from competition_utils.tasks import select_tasks

UNEXPECTED = "unexpected_error.txt"


@dataclass(frozen=True)
class Cell:
    """A run to be made: its `name`, a `config` as `load_config` takes it, and `settings` by (dotted) name over it.

    `equal_steps`: the fit takes as many optimizer steps as one on the rows that no strategy changed. Plain values only,
    so that an engine can send it to another process.
    """

    name: str
    config: str
    settings: dict[str, Any]
    equal_steps: bool = False

    def run(self, more: Mapping[str, Any] | None = None) -> Run:
        return Run(self.name, load_config(self.config, settings={**self.settings, **(more or {})}))

    def but(self, **changes: Any) -> Cell:
        return replace(self, **changes)


@dataclass(frozen=True)
class CellResult:
    """What came of a cell: `failure` is the reason in a few lines, None where it is done; wall-clock `seconds`."""

    name: str
    failure: str | None
    seconds: float


def execute_cell(cell: Cell) -> CellResult:
    """Execute a cell, or finish what is there of it; stages that another cell computed come from the store.

    Several processes may execute cells at once, those of one sweep too. Only a signal ends it with an exception.
    """
    started = time.monotonic()
    return CellResult(cell.name, _failure(cell), round(time.monotonic() - started, 2))


def execute_cells(
    cells: Sequence[Cell],
    say: Callable[[str], None],
    execute: Callable[[Cell], CellResult] = execute_cell,
) -> list[CellResult]:
    """Execute the cells one after the other; a failed one does not stop the others."""
    results = []
    for number, cell in enumerate(cells, start=1):
        say(f"\n{number} of {len(cells)}: {cell.name}")
        results.append(execute(cell))
        if results[-1].failure:
            say(f"FAILED: {results[-1].failure}")
    return results


def outcome(result: CellResult) -> str:
    """What one line says of a cell that ended."""
    return f"FAILED: {result.failure}" if result.failure else f"done in {result.seconds:.0f} s"


def refuse_unless_new(cells: Sequence[Cell]) -> None:
    """Raise UserError where a cell's run is there already."""
    there = [run.name for run in (cell.run() for cell in cells) if (run.folder / "run.yaml").exists()]
    if there:
        raise UserError(
            f"sweep: expected new runs, but {len(there)} of {len(cells)} are there already, {there[0]} first.\n"
            "Add --resume to keep the finished ones, retry the failed and go on with the others."
        )


def _failure(cell: Cell) -> str | None:
    try:
        ended = _execute(cell)
    except (UserError, StageFailed, OSError) as error:
        return str(error)
    except Exception as error:  # a fault of ours; the other cells may be well
        return _note_unexpected(cell, error)
    faults = [f"{fault.kind}: {fault.where}: {fault.found}" for fault in ended.faults]
    return "\n".join(["the submission failed its check", *faults]) if faults else None


def _execute(cell: Cell) -> Any:
    run, store = cell.run(), Store()
    kind = run.config.settings.model
    if not cell.equal_steps or not has_steps(run.config.settings):
        return execute_run(run, resume=True, store=store)
    execute_run(run, resume=True, last="eda", store=store)
    steps = steps_of_original(run)
    return execute_run(cell.run({f"{kind}.max_steps": steps}), resume=True, store=store)


def has_steps(settings: RunSettings) -> bool:
    return isinstance(settings.of_model, TrainingSettings)


def one_fit(settings: RunSettings) -> bool:
    """Whether a fold has one fit, so that one number of steps is meant: of one task, or of both by one model."""
    return settings.task != "all" or getattr(settings.of_model, "training", "single") == "joint"


def steps_of_original(run: Run) -> int:
    """Optimizer steps of the first fit on the rows that stage `eda` left, which strategy `original` fits on."""
    settings: RunSettings = run.config.settings
    files = [run.folder / "eda" / f"{task.name}_train.parquet" for task in select_tasks(settings.task)]
    trains = [read_parquet(file, need=["fold"]) for file in files if file.is_file()]
    rows = sum(int((train["fold"] != settings.fit_folds[0]).sum()) for train in trains)
    return settings.of_model.steps(rows)


def _note_unexpected(cell: Cell, error: Exception) -> str:
    path = cell.run().folder / UNEXPECTED
    write_text(path, "".join(traceback.format_exception(error)))
    return f"{type(error).__name__}: {error}\n(an error of the suite itself; where: {shown(path)})"
