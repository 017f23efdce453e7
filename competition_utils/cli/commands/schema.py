"""`schema`: what configs and strategies may say, for editors; the notebooks' parameters cells, which follow from it."""

from __future__ import annotations

import argparse
import json
from typing import Any

from competition_utils import paths

HELP = "print the JSON Schema of configs; with --write, renew all schemas and the notebooks' first cells"
EXAMPLES = """\
  python -m competition_utils schema
  python -m competition_utils schema --write      after a change in competition_utils/settings/

Editors complete settings in a YAML file that begins with: # yaml-language-server: $schema=schema.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--write", action="store_true", help="write the file and the cells instead of printing")


def run(args: argparse.Namespace) -> int:
    from competition_utils.runs.parameters import renew_parameters_cell
    from competition_utils.storage import write_text

    if not args.write:
        print(json_schema(), end="")
        return 0
    configs = paths.project_root() / "configs"
    write_text(configs / "schema.json", json_schema())
    write_text(configs / "strategies" / "schema.json", strategy_schema())
    write_text(configs / "matrix" / "schema.json", matrix_schema())
    for stage in paths.STAGES:
        changed = renew_parameters_cell(paths.notebook_path(stage))
        print(f"{paths.notebook_name(stage):<30} {'renewed' if changed else 'as it was'}")
    return 0


def json_schema() -> str:
    """`configs/schema.json` as text."""
    from competition_utils.settings.schema import RunSettings

    return _as_text(RunSettings.model_json_schema())


def strategy_schema() -> str:
    """`configs/strategies/schema.json` as text."""
    from competition_utils.settings.strategy import strategy_json_schema

    return _as_text(strategy_json_schema())


def matrix_schema() -> str:
    """`configs/matrix/schema.json` as text."""
    from competition_utils.settings.matrix import MatrixSettings

    return _as_text(MatrixSettings.model_json_schema())


def _as_text(schema: dict[str, Any]) -> str:
    """A line a definition and a property of the top: few lines, and a change shows which one it is in."""
    lines = [f'"{name}": {_one_line(value)}' for name, value in schema.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _one_line(value: Any) -> str:
    if isinstance(value, dict) and all(isinstance(each, dict) for each in value.values()):
        inner = ",\n".join(f"  {json.dumps(key)}: {_short(each)}" for key, each in value.items())
        return "{\n" + inner + "\n}"
    return _short(value)


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
