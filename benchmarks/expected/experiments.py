"""What a YAML of this folder holds, and the figures that its commands have left.

A figure is read from JSON files (its mean, where there are several); a verdict compares it with what is expected.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import mean
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from competition_utils.errors import DamagedFile, UserError
from competition_utils.settings.faults import checked
from competition_utils.settings.reading import read_mapping
from competition_utils.storage import read_json

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS = HERE / "results.json"
OK, NEAR, FAIL, NOT_HERE = "OK", "near", "FAIL", "not here"
Verdict = Literal["OK", "near", "FAIL", "not here"]
Text = Annotated[str, Field(min_length=1)]


class Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Needs(Plain):
    """What a machine must have for the figures to be comparable."""

    cores: int = Field(1, ge=1)
    instruction_set: list[Text] = Field([], description="flags in /proc/cpuinfo")
    packages: list[Text] = Field([], description="modules that an extra brings")
    shared: bool = Field(False, description="../shared/data")
    gpu: bool = False

    def lacking(self) -> list[str]:
        """What this machine has not, in words."""
        cores, flags = len(os.sched_getaffinity(0)), _processor("flags").split()
        missing = [f"{self.cores} cores"] if cores < self.cores else []
        missing += [f"the instructions {flag}" for flag in self.instruction_set if flag not in flags]
        missing += [f"the package {name}" for name in self.packages if find_spec(name) is None]
        missing += ["../shared"] if self.shared and not (ROOT.parent / "shared" / "data").is_dir() else []
        missing += ["a GPU"] if self.gpu and not Path("/proc/driver/nvidia").is_dir() else []
        return missing


class Read(Plain):
    """Where a figure stands: JSON files relative to the project, the keys that lead to it in each, and which of them
    it is where there are several."""

    files: list[Text] = Field(min_length=1)
    key: list[Text | int] = Field(min_length=1)
    take: Literal["mean", "lowest", "highest"] = "mean"

    def value(self) -> float | None:
        """None where a file or the key is missing."""
        found = [self._in(ROOT / name) for name in self.files]
        return None if None in found else {"mean": mean, "lowest": min, "highest": max}[self.take](found)

    def _in(self, path: Path) -> float | None:
        try:
            value = read_json(path)
            for key in self.key:
                value = value[key]
        except (FileNotFoundError, DamagedFile, LookupError, TypeError):
            return None
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None


class Figure(Plain):
    """A figure within `tolerance` of `expected` is OK, within twice that near; where more or less is `better`, also
    anything beyond it on that side."""

    what: Text
    read: Read
    expected: float
    tolerance: float = Field(gt=0)
    better: Literal["neither", "more", "less"] = "neither"

    def verdict(self, value: float | None) -> Verdict:
        if value is None:
            return FAIL
        off = value - self.expected
        short = {"neither": abs(off), "more": -off, "less": off}[self.better]
        return OK if short <= self.tolerance else NEAR if short <= 2 * self.tolerance else FAIL


class Experiment(Plain):
    """Commands, and the figures that they leave. `measured` says on what they were, and where that is written down;
    `table` is the table of a page, a template of Jinja that sees the figures by their names, those of another
    experiment as `EXPERIMENT.NAME`. `estimates` are no figures: they were never measured, and the table says so."""

    commands: list[Text] = []
    needs: Needs = Needs()
    measured: Text
    figures: dict[str, Figure] = {}
    estimates: dict[str, float] = {}
    table: str = ""


def read_experiments() -> dict[str, Experiment]:
    """Experiments by name, that of their YAML; UserError for what is none."""
    return {path.stem: checked(Experiment, read_mapping(path), path.name) for path in sorted(HERE.glob("*.yaml"))}


@dataclass(frozen=True)
class Result:
    """A figure, what was found (None: nothing), and why its verdict is not OK where a word is needed."""

    experiment: str
    name: str
    figure: Figure
    value: float | None
    verdict: Verdict
    why: str = ""


def measured_here(experiments: dict[str, Experiment]) -> list[Result]:
    """What the commands have left on this machine."""
    results = []
    for of, experiment in experiments.items():
        lacking = experiment.needs.lacking()
        for name, figure in experiment.figures.items():
            value = figure.read.value()
            if lacking:
                result = Result(of, name, figure, value, NOT_HERE, f"not here, needs {', '.join(lacking)}")
            else:
                why = "" if value is not None else f"a figure is missing; --run, or {' && '.join(experiment.commands)}"
                result = Result(of, name, figure, value, figure.verdict(value), why)
            results.append(result)
    return results


def recorded(experiments: dict[str, Experiment], path: Path = RESULTS) -> list[Result]:
    """What `results.json` holds, on whatever machine it was measured."""
    values = read_json(path) if path.is_file() else {}
    results = []
    for of, experiment in experiments.items():
        for name, figure in experiment.figures.items():
            value = values.get(of, {}).get(name)
            results.append(
                Result(of, name, figure, value, figure.verdict(value), "" if value is not None else "not recorded")
            )
    return results


def chosen(experiments: dict[str, Experiment], names: list[str]) -> dict[str, Experiment]:
    """The experiments with these names; all where none is given. UserError for a name that none has."""
    unknown = [name for name in names if name not in experiments]
    if unknown:
        raise UserError(f"--only: expected some of {', '.join(experiments)}; found {', '.join(unknown)}.")
    return {name: experiments[name] for name in names or experiments}


def _processor(field: str) -> str:
    """A field of the first processor in /proc/cpuinfo; "" where there is none."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")


def as_values(results: list[Result]) -> dict[str, dict[str, Any]]:
    """Experiment → figure → value, of those that have one."""
    values: dict[str, dict[str, Any]] = {}
    for result in results:
        if result.value is not None:
            values.setdefault(result.experiment, {})[result.name] = result.value
    return values
