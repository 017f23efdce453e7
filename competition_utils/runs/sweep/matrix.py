"""A matrix (YAML or command line) → the cells of a sweep, everything checked before the first one starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from competition_utils.augment.strategies import load_strategy, strategy_file
from competition_utils.errors import UserError, WrongSettings
from competition_utils.paths import shown
from competition_utils.runs.config import config_folder, find_config, load_config
from competition_utils.runs.sweep.cells import Cell, has_steps, one_fit
from competition_utils.settings.faults import checked
from competition_utils.settings.matrix import LISTS, MatrixSettings, dotted
from competition_utils.settings.own_code import is_own
from competition_utils.settings.reading import parse_overrides, read_mapping

YAML = (".yaml", ".yml")


def read_matrix(configs: Sequence[str]) -> tuple[str | None, dict[str, Any]]:
    """The name and the values of a matrix, given its file, or its name in `configs/matrix/`; names of configs make a
    matrix without a name. Raises UserError for a matrix among other files."""
    files = [find_config(config, config_folder() / "matrix") for config in configs]
    read = {path: read_mapping(path) for path in files}
    matrices = [path for path, values in read.items() if values.keys() & (MatrixSettings.model_fields.keys())]
    if not matrices:
        return None, {"configs": list(configs)}
    if len(files) > 1:
        raise UserError(f"sweep: expected one matrix, or configs, found {shown(matrices[0])} among {len(files)} files.")
    return matrices[0].stem, read[matrices[0]]


def plan(
    name: str | None, values: Mapping[str, Any], overrides: Sequence[str] = (), data_dir: str | None = None
) -> list[Cell]:
    """A cell for each combination, named after the matrix (else its config) and what the matrix lists.

    `values` as in `settings.matrix.MatrixSettings`; `overrides` are `KEY=VALUE` texts and go over its settings.
    Raises WrongSettings with the faults of the matrix and of every cell at once.
    """
    source = f"{name}.yaml" if name else "sweep"
    more, faults = parse_overrides(overrides)
    faults += [f"-p {setting}: expected it as {name}" for name, setting in LISTS.items() if setting in more]
    more |= {} if data_dir is None else {"data_dir": data_dir}
    usable = _usable(values)
    cells = list(_cells(name, usable, more))
    faults += [fault for cell in cells for fault in _faults(cell)]
    checked(MatrixSettings, values, source, more=list(dict.fromkeys(faults)))
    names = [cell.name for cell in cells]
    twice = next((cell for cell in names if names.count(cell) > 1), None)
    if twice is not None:
        raise UserError(f"{source}: two cells are named {twice}. Give each config, strategy and model once.")
    planned = [_from_anywhere(cell) for cell in cells]
    for cell in planned:
        cell.run()  # its data folder is there, its name can be a folder's
    return planned


def _usable(values: Mapping[str, Any]) -> dict[str, Any]:
    """The lists and settings of a matrix as far as they are such, so that cells can be checked beside other faults."""
    lists = {key: values.get(key) for key in ("configs", *LISTS)}
    usable = {key: value if isinstance(value, list) else [] for key, value in lists.items()}
    settings = values.get("settings")
    equal_steps = values.get("equal_steps") is True
    return {**usable, "settings": settings if isinstance(settings, dict) else {}, "equal_steps": equal_steps}


def _cells(name: str | None, matrix: Mapping[str, Any], more: Mapping[str, Any]) -> Iterable[Cell]:
    common = {**dotted(matrix["settings"]), **more}
    for config, *chosen in product(matrix["configs"], *(matrix[key] or [None] for key in LISTS)):
        given = {setting: value for setting, value in zip(LISTS.values(), chosen, strict=True) if value is not None}
        first = [] if name and len(matrix["configs"]) == 1 else [Path(str(config)).stem]
        parts = [name, *first, *(f"seed{value}" if key == "seed" else _plain(value) for key, value in given.items())]
        yield Cell("-".join(filter(None, parts)), str(config), {**common, **given}, matrix["equal_steps"])


def _from_anywhere(cell: Cell) -> Cell:
    """The cell with paths that do not depend on the working directory, which another process may not share."""
    given = dict(cell.settings)
    if str(given.get("strategy", "")).endswith(YAML):
        given["strategy"] = str(strategy_file(given["strategy"]).absolute())
    return cell.but(config=str(find_config(cell.config)), settings=given)


def _plain(value: Any) -> str:
    """A strategy's file without folder and ending, a class of the user's own without its module."""
    if is_own(value):
        return value.rpartition(":")[2]
    return Path(value).stem if str(value).endswith(YAML) else str(value)


def _faults(cell: Cell) -> list[str]:
    found = []
    try:
        settings = load_config(cell.config, settings=cell.settings).settings
        if cell.equal_steps and has_steps(settings) and not one_fit(settings):
            found.append(f"equal_steps: expected tasks: [QC, QI], or one {settings.model} for both (training: joint)")
    except WrongSettings as error:
        found += [f"{cell.config}: {fault}" for fault in error.faults]
    except UserError as error:
        found.append(_one_line(error))
    try:
        strategy = cell.settings.get("strategy")
        if isinstance(strategy, str):
            load_strategy(strategy)
    except UserError as error:
        found.append(_one_line(error))
    return found


def _one_line(error: UserError) -> str:
    return " ".join(str(error).split())
