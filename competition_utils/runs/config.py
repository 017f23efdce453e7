"""A config file and `-p KEY=VALUE`, checked against the schema of all settings; all faults are reported at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import create_model

from competition_utils import paths
from competition_utils.errors import UserError
from competition_utils.runs.parameters import read_parameters
from competition_utils.settings.faults import checked, did_you_mean
from competition_utils.settings.own_code import is_own, own_code
from competition_utils.settings.reading import lay_over, parse_overrides, read_mapping
from competition_utils.settings.renamed import with_new_names
from competition_utils.settings.schema import KINDS, RunSettings


@dataclass(frozen=True)
class Config:
    """A checked config: what was `given`, under today's names, and all `settings` with their defaults."""

    name: str
    given: dict[str, Any]
    settings: RunSettings

    def for_stage(self, stage: str, extra: Mapping[str, Any]) -> dict[str, Any]:
        """The given values that the notebook of a stage declares; `extra` wins over them."""
        declared = read_parameters(paths.notebook_path(stage))
        return {key: value for key, value in {**self.given, **extra}.items() if key in declared}


def load_config(
    config: str,
    overrides: Sequence[str] = (),
    data_dir: str | None = None,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> Config:
    """Read a config (a path, or the name of a file in `configs/`), then `settings` by (dotted) name, `-p` values and
    `--data-dir` over it.

    Raises UserError with every fault found: not a mapping, unknown keys, values of the wrong type or out of range.
    """
    path = find_config(config)
    values = _new_names_within(read_mapping(path))
    given, faults = parse_overrides(overrides)
    given = {**settings, **given}
    values, not_mappings = lay_over(values, {_new_key(key): value for key, value in given.items()})
    if data_dir is not None:
        values["data_dir"] = data_dir
    faults += not_mappings
    if "run_dir" in values:
        faults.append("run_dir: not yours to set, it follows from --name")
    todo = f"Mend them in {paths.shown(path)} or on the command line; notebooks/ and configs/schema.json list all."
    found = checked(run_schema(), values, path.name, todo, more=faults)
    for choice in (found.translator, found.model, *found.own_metrics):
        if is_own(choice):
            own_code(choice)  # so that code that cannot be imported is a message before anything runs
    return Config(path.stem, found.model_dump(include=set(values), exclude_unset=True), found)


def find_config(config: str, *more: Path) -> Path:
    """A path as given, or `configs/NAME.yaml`, or NAME.yaml in one of the folders `more`; raises UserError that lists
    the configs there are."""
    folder = config_folder()
    named = (place / name for place in (folder, *more) for name in (config, f"{config}.yaml"))
    for path in (Path(config).expanduser(), *named):
        try:
            if path.is_file():
                return path.resolve()
        except (OSError, ValueError):  # a name that no file can have
            break
    known = sorted(file.stem for place in (folder, *more) for file in place.glob("*.yaml"))
    raise UserError(
        f"config: expected a YAML file or a name in configs/, found nothing called {config[:80]!r}"
        f"{did_you_mean(config, known)}.\nThere are: {', '.join(known)}."
    )


def config_folder() -> Path:
    return paths.project_root() / "configs"


def run_schema() -> type[RunSettings]:
    """`RunSettings`, and the parameters that somebody added to a notebook of this project."""
    notebooks = [paths.notebook_path(stage) for stage in paths.STAGES]
    return _schema_of(tuple((notebook, notebook.stat().st_mtime_ns) for notebook in notebooks if notebook.is_file()))


@cache
def _schema_of(notebooks: tuple[tuple[Path, int], ...]) -> type[RunSettings]:
    added: dict[str, Any] = {}
    for notebook, _ in notebooks:
        for name, default in read_parameters(notebook).items():
            if name not in RunSettings.model_fields:
                added[name] = (Any if default is None else type(default), default)
    return create_model("RunSettings", __base__=RunSettings, **added) if added else RunSettings


def _new_names_within(values: Mapping[str, Any]) -> dict[str, Any]:
    """Old names in the sections replaced, so that an override by its new name finds what it overrides."""
    return {
        key: with_new_names(value, KINDS[key].renamed, key) if key in KINDS else value for key, value in values.items()
    }


def _new_key(key: str) -> str:
    section, _, name = key.partition(".")
    renaming = KINDS[section].renamed.get(name) if section in KINDS else None
    return f"{section}.{renaming}" if isinstance(renaming, str) else key
