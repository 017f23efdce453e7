"""Strategies are data: a YAML file with a list of steps and their parameters, checked before anything runs.

    says: Original rows and translations into the languages that train lacks.
    steps:
      - step: expand_languages
        cap: 0.5

A step is a function of `STEPS`; its keyword-only parameters, their types and defaults are its settings.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pandas as pd
import yaml

from competition_utils.augment.tools import Tools
from competition_utils.errors import DataError, Fault
from competition_utils.storage import hash_json

# step → where its function lives; imported only when used, since embeddings and models take seconds to
# import.
STEPS: dict[str, str] = {
    "expand_languages": "competition_utils.augment.expand:expand_languages",
    "translate_titles": "competition_utils.augment.expand:translate_titles",
    "semantic_negatives": "competition_utils.augment.negatives:semantic_negatives",
    "swapped_targets": "competition_utils.augment.minority:swapped_targets",
    "counterfactuals": "competition_utils.augment.minority:counterfactuals",
    "balance": "competition_utils.augment.balance:balance",
    "self_validate": "competition_utils.augment.self_validate:self_validate",
}
FOLDER = Path(__file__).resolve().parents[2] / "configs" / "strategies"


@dataclass(frozen=True)
class Step:
    """One step of a strategy with all its parameters, defaults filled in."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def run(self, table: pd.DataFrame, tools: Tools) -> pd.DataFrame:
        return _function(self.name)(table, tools, **self.parameters)


@dataclass(frozen=True)
class Strategy:
    """A named list of steps; `says` tells a reader what it is for."""

    name: str
    says: str
    steps: tuple[Step, ...]

    @property
    def hash(self) -> str:
        """sha256 of the steps with all their parameters; name and words do not count."""
        return hash_json([[step.name, dict(step.parameters)] for step in self.steps])


def strategy_names() -> list[str]:
    """The strategies that come with the suite."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_strategy(strategy: str) -> Strategy:
    """Read a strategy by name (`configs/strategies/NAME.yaml`) or path.

    Raises DataError with all faults of the file: no such file, not YAML, unknown steps or parameters (with
    the nearest known name), values of the wrong type.
    """
    path = Path(strategy) if Path(strategy).suffix in (".yaml", ".yml") else FOLDER / f"{strategy}.yaml"
    if not path.is_file():
        near = _did_you_mean(strategy, strategy_names())
        raise DataError(
            f"strategy: expected a name of configs/strategies or a YAML file, found {strategy!r}{near}.",
            [],
            f"There are: {', '.join(strategy_names())}.",
        )
    content, faults = _read(path)
    steps = [
        _read_step(entry, f"{path.name}, step {place}", faults)
        for place, entry in enumerate(content.get("steps") or [], 1)
    ]
    if faults:
        raise DataError(f"strategy {path.name}: {len(faults)} wrong", faults, f"Mend them in {path}.")
    return Strategy(path.stem, str(content["says"]), tuple(steps))


def _read(path: Path) -> tuple[dict[str, Any], list[Fault]]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return {}, [Fault("not YAML", path.name, " ".join(str(error).split()))]
    if not isinstance(content, dict):
        return {}, [Fault("expected a mapping with says and steps", path.name, type(content).__name__)]
    faults = [
        Fault("unknown key", path.name, f"{key}{_did_you_mean(str(key), ['says', 'steps'])}")
        for key in content
        if key not in ("says", "steps")
    ]
    if not isinstance(content.get("says"), str):
        faults.append(Fault("missing text", path.name, "says: a sentence for the reader"))
    if not isinstance(content.get("steps", []), list | None):
        return {}, [*faults, Fault("expected a list of steps", path.name, type(content["steps"]).__name__)]
    return content, faults


def _read_step(entry: Any, where: str, faults: list[Fault]) -> Step:
    if not isinstance(entry, dict) or not isinstance(entry.get("step"), str):
        faults.append(Fault("expected a mapping with the key step", where, repr(entry)))
        return Step("")
    name = entry["step"]
    if name not in STEPS:
        faults.append(Fault("unknown step", where, f"{name}{_did_you_mean(name, list(STEPS))}"))
        return Step(name)
    known = _parameters(name)
    given = {key: value for key, value in entry.items() if key != "step"}
    for key, value in given.items():
        if key not in known:
            faults.append(Fault("unknown parameter", where, f"{name}.{key}{_did_you_mean(str(key), list(known))}"))
        elif not _fits(value, known[key][0]):
            faults.append(Fault("wrong type", where, f"{name}.{key}: expected {known[key][0]}, found {value!r}"))
    return Step(name, {key: given.get(key, default) for key, (_, default) in known.items()})


def _function(name: str) -> Callable[..., pd.DataFrame]:
    module, function = STEPS[name].split(":")
    return getattr(import_module(module), function)


def _parameters(name: str) -> dict[str, tuple[Any, Any]]:
    """Parameter → (type, default) of a step's function."""
    function = _function(name)
    hints = get_type_hints(function)
    keyword_only = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    return {p.name: (hints[p.name], p.default) for p in keyword_only}


def _fits(value: Any, expected: Any) -> bool:
    if expected is type(None):
        return value is None
    if get_origin(expected) is list:
        return isinstance(value, list) and all(_fits(item, get_args(expected)[0]) for item in value)
    if get_origin(expected) is dict:
        return isinstance(value, dict) and all(_fits(item, get_args(expected)[1]) for item in value.values())
    if get_args(expected):
        return any(_fits(value, kind) for kind in get_args(expected))
    if expected is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, expected) and (expected is bool or not isinstance(value, bool))


def _did_you_mean(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""
