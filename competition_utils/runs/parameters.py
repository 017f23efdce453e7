"""The parameters cell of a notebook, read with `ast`, and written from the schema of all settings.

Papermill's own inspection only warns of an unknown parameter, and misses some annotated and multi-line
assignments.
"""

from __future__ import annotations

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from competition_utils.errors import UserError
from competition_utils.settings.schema import RunSettings
from competition_utils.storage import write_text


def read_notebook(path: Path) -> list[dict[str, Any]]:
    """The cells of a notebook as plain dicts; `source` is always one string."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except FileNotFoundError:
        raise UserError(f"notebook: expected {path}, found none. Is the clone whole?") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: expected a notebook (JSON with cells). Restore it from git.") from None
    return [{**cell, "source": "".join(cell["source"])} for cell in cells]


def code_hash(path: Path) -> str:
    """sha256 of a notebook's code cells: text and outputs may change without making a stage stale."""
    code = [cell["source"] for cell in read_notebook(path) if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(code).encode("utf-8")).hexdigest()


def parameters_cell(path: Path) -> str:
    """The source of the one cell tagged `parameters`; UserError where there is none, or several."""
    cells = [cell for cell in read_notebook(path) if "parameters" in cell["metadata"].get("tags", [])]
    if len(cells) != 1:
        raise UserError(f"{path}: expected one cell tagged parameters, found {len(cells)}.")
    return cells[0]["source"]


def read_parameters(path: Path) -> dict[str, Any]:
    """Name → default of each parameter that a notebook declares, in order."""
    return parse_parameters(parameters_cell(path), where=str(path))


def parse_parameters(source: str, where: str) -> dict[str, Any]:
    """The assignments of a parameters cell, each `name = literal` or `name: type = literal`.

    Raises UserError where the cell holds other code.
    """
    return dict(_assignment(node, where) for node in ast.parse(source).body)


def _assignment(node: ast.stmt, where: str) -> tuple[str, Any]:
    place = f"{where}, parameters cell, line {node.lineno}"
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        target = node.target
    else:
        raise UserError(f"{place}: expected name = value, found {ast.unparse(node)!r}.")
    if not isinstance(target, ast.Name):
        raise UserError(f"{place}: expected a plain name before '=', found {ast.unparse(target)!r}.")
    try:
        value = ast.literal_eval(node.value)
    except ValueError:
        raise UserError(f"{place}: expected a literal value, found {ast.unparse(node.value)!r}.") from None
    return target.id, list(value) if isinstance(value, tuple) else value


def render_parameters(names: list[str]) -> str:
    """A parameters cell: each setting with its default and description, a line each, sections as mappings."""
    return "\n".join(line for name in names for line in _render(name))


def _render(name: str) -> list[str]:
    field, default = RunSettings.model_fields[name], RunSettings.model_fields[name].default
    if not isinstance(default, BaseModel):
        return [f"{name} = {_literal(default)}  # {field.description}"]
    inner = [
        f"    {json.dumps(key)}: {_literal(each.default)},  # {each.description}"
        for key, each in type(default).model_fields.items()
    ]
    return [f"{name} = {{  # {field.description}", *inner, "}"]


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | list) else repr(value)


def renew_parameters_cell(path: Path) -> bool:
    """Write the parameters cell of a notebook anew from the schema; True where that changed it."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cell = next(cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", []))
    rendered = render_parameters(list(read_parameters(path)))
    if "".join(cell["source"]) == rendered:
        return False
    cell["source"] = rendered.splitlines(keepends=True)
    write_text(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    return True
