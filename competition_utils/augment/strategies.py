"""Strategies are data: a YAML file with a list of steps and their settings (`settings/strategy.py`).

Notebook 02 shows the steps in sections, in the order of `SECTIONS`; a strategy may give them in any order. A strategy's
last steps, where they validate, run behind the hints, which the validating model then reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pandas as pd

from competition_utils.augment.tools import Tools
from competition_utils.errors import UserError
from competition_utils.paths import in_project, project_root
from competition_utils.settings.faults import did_you_mean
from competition_utils.settings.reading import read_mapping
from competition_utils.settings.strategy import Step, check_strategy
from competition_utils.storage import hash_json

# Section of notebook 02 → its steps and the modules their functions lie in, imported only when used: embeddings and
# models take seconds to import.
SECTIONS: dict[str, dict[str, str]] = {
    "expand": {"expand_languages": "expand", "translate_titles": "expand"},
    "negatives": {"semantic_negatives": "negatives"},
    "minority": {"swapped_targets": "minority", "counterfactuals": "minority"},
    "balance": {"balance": "balance"},
    "self_validate": {"self_validate": "self_validate"},
}
REST, VALIDATE = "rest", "self_validate"


@dataclass(frozen=True)
class Strategy:
    """A named list of steps; `description` says what it is for."""

    name: str
    description: str
    steps: tuple[Step, ...]

    @property
    def hash(self) -> str:
        """sha256 of the steps with all their settings; name and description do not count."""
        return hash_json([[step.step, step.parameters] for step in self.steps])

    def sections(self) -> dict[str, list[Step]]:
        """The steps by section of notebook 02: one section after another they are the strategy's steps in its order.

        "self_validate" holds the last steps that validate; "rest", before it, what is left from the first step on that
        belongs to a section before its predecessor's, or validates in between.
        """
        names = [name for name in SECTIONS if name != VALIDATE]
        split: dict[str, list[Step]] = {name: [] for name in (*names, REST, VALIDATE)}
        body = list(self.steps)
        while body and body[-1].step in SECTIONS[VALIDATE]:
            split[VALIDATE].insert(0, body.pop())
        last = 0
        for place, step in enumerate(body):
            own = next((number for number, name in enumerate(names) if step.step in SECTIONS[name]), -1)
            if own < last:
                split[REST] = body[place:]
                break
            split[names[own]].append(step)
            last = own
        return split

    def table(self) -> pd.DataFrame:
        """Every setting of every step: `step, setting, value, default, meaning`."""
        rows = [
            (f"{place} {step.step}", name, getattr(step, name), field.default, field.description)
            for place, step in enumerate(self.steps, 1)
            for name, field in type(step).model_fields.items()
            if name != "step"
        ]
        return pd.DataFrame(rows, columns=["step", "setting", "value", "default", "meaning"], dtype=object)


def step_function(step: Step) -> Callable[[pd.DataFrame, Tools, Step], pd.DataFrame]:
    """The function that does a step: (rows of train, tools, settings) → rows of train."""
    module = next(steps[step.step] for steps in SECTIONS.values() if step.step in steps)
    return getattr(import_module(f"competition_utils.augment.{module}"), step.step)


def strategy_folder() -> Path:
    """`configs/strategies/` of the project."""
    return project_root() / "configs" / "strategies"


def strategy_names() -> list[str]:
    """The strategies that come with the suite."""
    return sorted(path.stem for path in strategy_folder().glob("*.yaml"))


def strategy_file(strategy: str) -> Path:
    """The file that a name or a path means; a relative path is meant from where one is, or from the project."""
    if Path(strategy).suffix not in (".yaml", ".yml"):
        return strategy_folder() / f"{strategy}.yaml"
    return Path(strategy) if Path(strategy).is_file() else in_project(strategy)


def load_strategy(strategy: str) -> Strategy:
    """Read a strategy by name (`configs/strategies/NAME.yaml`) or path.

    Raises UserError with all faults of the file: no such file, not YAML, unknown steps or settings (with the
    nearest known name), values of the wrong type or out of range.
    """
    path = strategy_file(strategy)
    if not path.is_file():
        raise UserError(
            f"strategy: expected a name in configs/strategies or a YAML file, found {strategy!r}"
            f"{did_you_mean(strategy, strategy_names())}.\nThere are: {', '.join(strategy_names())}."
        )
    checked = check_strategy(read_mapping(path), path.name, f"Mend them in {path}.")
    return Strategy(path.stem, checked.description, tuple(checked.steps))
