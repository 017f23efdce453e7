"""A config file and `-p KEY=VALUE`, checked against what the notebooks declare; all faults told at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from competition_utils.errors import UserError
from competition_utils.models.base import KINDS
from competition_utils.models.kind_settings import check_kind_settings
from competition_utils.runs import paths
from competition_utils.runs.parameters import Parameter, check_values, did_you_mean, read_parameters

# Keys of a config that the runner uses itself; the other keys are parameters of the notebooks.
SAMPLE_SIZE = {f"sample_{key}": value for key, value in paths.DEFAULT_SAMPLE.items()}
SET_BY_RUNNER = {"run_dir": "it follows from --name"}


@dataclass(frozen=True)
class Settings:
    """A checked config: `values` holds what was given (defaults stay in the notebooks)."""

    config: str
    values: dict[str, Any]

    @property
    def data_dir(self) -> str:
        """The data folder as given, else the default of the first notebook."""
        return self.values.get("data_dir", declared_parameters()["data_dir"].default)

    @property
    def sample_size(self) -> dict[str, int]:
        """`rows, dev_rows, test_rows, seed` of the built-in sample."""
        return {key.removeprefix("sample_"): self.values.get(key, SAMPLE_SIZE[key]) for key in SAMPLE_SIZE}

    def for_stage(self, stage: str, extra: Mapping[str, Any]) -> dict[str, Any]:
        """The given values that the notebook of a stage declares; `extra` overrides."""
        declared = read_parameters(paths.notebook_path(stage))
        return {key: value for key, value in {**self.values, **extra}.items() if key in declared}


def load_settings(config: str, overrides: Sequence[str] = (), data_dir: str | None = None) -> Settings:
    """Read a config (a path, or the name of a file in `configs/`), then `-p` values and `--data-dir` over it.

    Raises UserError with every fault found: not a mapping, unknown keys, values of the wrong type.
    """
    path = find_config(config)
    values = _read_yaml(path)
    declared = declared_parameters()
    faults = [f"{path.name}: {fault}" for fault in _faults(values, declared)]
    given, malformed = parse_overrides(overrides)
    faults += malformed
    for key, value in given.items():
        faults += [f"-p {fault}" for fault in _lay_over(values, key, value, declared)]
    faults += _model_faults(values)
    if data_dir is not None:
        values["data_dir"] = data_dir
    if faults:
        todo = f"Mend them in {paths.shown(path)} or on the command line; the notebooks list all parameters."
        raise UserError("\n".join([f"settings: {len(faults)} wrong", *(f"  {fault}" for fault in faults), todo]))
    return Settings(path.stem, values)


def find_config(config: str) -> Path:
    """A path as given, or `configs/NAME.yaml`; raises UserError that lists the configs there are."""
    folder = paths.project_root() / "configs"
    for path in (Path(config).expanduser(), folder / config, folder / f"{config}.yaml"):
        if path.is_file():
            return path.resolve()
    known = sorted(file.stem for file in folder.glob("*.yaml"))
    raise UserError(
        f"config: expected a YAML file or a name in configs/, found nothing called {config!r}"
        f"{did_you_mean(config, known)}.\nThere are: {', '.join(known)}."
    )


def declared_parameters() -> dict[str, Parameter]:
    """Every parameter of the five notebooks; of one that several declare, the first declaration."""
    found: dict[str, Parameter] = {}
    for stage in paths.STAGES:
        found = {**read_parameters(paths.notebook_path(stage)), **found}
    return found


class _Loader(yaml.SafeLoader):
    """Safe YAML that reads 1e-4 as a number (YAML 1.1 does not) and refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [self.construct_object(key) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def _parse_yaml(text: str, where: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # a subclass of SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}" if mark else where
        problem = getattr(error, "problem", None) or "unreadable characters"
        raise UserError(f"{place}: expected YAML, found a fault: {problem}.") from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: expected UTF-8 text, found other bytes.") from None
    values = _parse_yaml(text, str(path))
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UserError(f"{path}: expected a mapping (lines such as seed: 0), found {type(values).__name__}.")
    return values


def _faults(values: Mapping[str, Any], declared: Mapping[str, Parameter]) -> list[str]:
    """One line a fault: keys that nobody knows, or that are not a user's to set; values of the wrong type."""
    known = {**declared, **{key: Parameter(key, size, "", False) for key, size in SAMPLE_SIZE.items()}}
    faults = [f"{key}: not yours to set, {why}" for key, why in SET_BY_RUNNER.items() if key in values]
    unknown = [key for key in values if key not in known]
    faults += [f"{key}: no notebook has this parameter{did_you_mean(key, known)}" for key in unknown]
    return faults + check_values(values, known)


def _model_faults(values: Mapping[str, Any]) -> list[str]:
    """What is wrong inside `linear:`, `encoder:` and `decoder:`, so that it is told before anything runs."""
    faults = []
    for kind in KINDS:
        if isinstance(values.get(kind), Mapping):
            try:
                check_kind_settings(kind, values[kind])
            except UserError as error:
                faults += [line.strip() for line in str(error).splitlines()[1:]]
    return faults


def parse_overrides(overrides: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """`KEY=VALUE` texts as values (read as YAML), and the faults of those that are none."""
    given, faults = {}, []
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key:
            faults.append(f"-p {text}: expected KEY=VALUE")
        else:
            given[key] = _parse_yaml(value, f"-p {key}")
    return given, faults


def _lay_over(values: dict[str, Any], key: str, value: Any, declared: Mapping[str, Parameter]) -> list[str]:
    """Put one `-p` value into `values`; a dotted key goes into a mapping and leaves its other keys."""
    name, *inner = key.split(".")
    if not inner:
        values[name] = value
        return _faults({name: value}, declared)
    if name not in declared:
        return _faults({name: value}, declared)
    base = values.get(name, declared[name].default)
    if not isinstance(base, dict):
        return [f"{key}: {name} is not a mapping, so it has no {'.'.join(inner)}"]
    values[name] = deepcopy(base)
    place = values[name]
    for part in inner[:-1]:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            return [f"{key}: {part} is not a mapping"]
    place[inner[-1]] = value
    return []
