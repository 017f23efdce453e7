"""The strategy × model matrix of configs: one run for each cell, then all of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from competition_utils.errors import UserError
from competition_utils.runs.config import load_config
from competition_utils.runs.runner import Run, execute_run


def plan(
    configs: Sequence[str],
    strategies: Sequence[str],
    models: Sequence[str],
    overrides: Sequence[str],
    data_dir: str | None,
) -> list[Run]:
    """A run a cell, named CONFIG-STRATEGY-MODEL; a config's own strategy or model where none are given.

    Everything is checked before the first run starts: raises UserError for a wrong config, parameter or strategy.
    """
    runs = {}
    for config, strategy, model in product(configs, strategies or [None], models or [None]):
        cell = {"strategy": strategy, "model": model}
        chosen = [f"{key}={value}" for key, value in cell.items() if value is not None]
        loaded = load_config(config, [*overrides, *chosen], data_dir)
        name = "-".join([loaded.name, *(value for value in cell.values() if value is not None)])
        if name in runs:
            raise UserError(f"sweep: two cells are named {name}. Give each config, strategy and model once.")
        runs[name] = Run(name, loaded)
    return list(runs.values())


def execute(runs: Sequence[Run], say: Callable[[str], None]) -> None:
    """Execute the runs one after the other; those that are there already are resumed, so finished ones cost seconds.

    Raises StageFailed where one fails; the same sweep goes on from there.
    """
    for number, run in enumerate(runs, start=1):
        say(f"\n{number} of {len(runs)}: {run.name}")
        execute_run(run, resume=run.folder.exists(), first=None, last=None)
