"""The strategy × model matrix of configs: one run for each cell, then all of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import pandas as pd

from competition_utils.errors import UserError
from competition_utils.runs.config import load_config
from competition_utils.runs.runner import Run, execute_run
from competition_utils.storage import read_json


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


def overview(runs: Sequence[Run]) -> pd.DataFrame:
    """F1 of each finished run: by task, their mean, on unseen languages, and the seconds it took."""
    rows = {}
    for run in runs:
        metrics = read_json(run.folder / "metrics.json", need=["tasks", "f1_mean", "seconds"])
        figures = {}
        for task, entry in metrics["tasks"].items():
            figures |= {f"{task} F1": entry["f1"], f"{task} unseen": entry.get("unseen_language_f1")}
        rows[run.name] = {**figures, "mean F1": metrics["f1_mean"], "seconds": sum(metrics["seconds"].values())}
    return pd.DataFrame.from_dict(rows, orient="index")
