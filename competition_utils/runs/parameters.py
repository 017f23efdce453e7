"""The parameters cell of a notebook, read with `ast`: names, defaults, comments; the check of given values.

Papermill's own inspection only warns of an unknown parameter, and misses some annotated and multi-line
assignments.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import io
import json
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from competition_utils.errors import UserError


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell. A default of None, or an annotation with None in it, admits None."""

    name: str
    default: Any
    comment: str
    nullable: bool

    def fault(self, value: Any) -> str | None:
        """What is wrong with a value for this parameter, or None. A whole number serves for a float."""
        if self.default is None or (value is None and self.nullable):
            return None
        wanted = type(self.default)
        if isinstance(value, bool) != (wanted is bool):
            fits = False
        else:
            fits = isinstance(value, (int, float) if wanted is float else wanted)
        if fits:
            return None
        return f"expected {_TYPE_NAMES[wanted]} such as {self.default!r}, found {value!r}"


_TYPE_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


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


def read_parameters(path: Path) -> dict[str, Parameter]:
    """The parameters that a notebook declares, in order; UserError where the cell holds other code."""
    cells = [cell for cell in read_notebook(path) if "parameters" in cell["metadata"].get("tags", [])]
    if len(cells) != 1:
        raise UserError(f"{path}: expected one cell tagged parameters, found {len(cells)}.")
    return parse_parameters(cells[0]["source"], where=str(path))


def parse_parameters(source: str, where: str) -> dict[str, Parameter]:
    """The assignments of a parameters cell, each `name = literal` or `name: type = literal`."""
    comments = _comments_by_line(source)
    found: dict[str, Parameter] = {}
    for node in ast.parse(source).body:
        name, default, annotation = _assignment(node, where)
        lines = range(node.lineno, node.end_lineno + 1)
        comment = " ".join(comments[line] for line in lines if line in comments)
        nullable = default is None or "None" in annotation or "Optional" in annotation
        if isinstance(default, tuple):
            default = list(default)
        found[name] = Parameter(name, default, comment or comments.get(node.lineno - 1, ""), nullable)
    return found


def _assignment(node: ast.stmt, where: str) -> tuple[str, Any, str]:
    place = f"{where}, parameters cell, line {node.lineno}"
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target, annotation = node.targets[0], ""
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        target, annotation = node.target, ast.unparse(node.annotation)
    else:
        raise UserError(f"{place}: expected name = value, found {ast.unparse(node)!r}.")
    if not isinstance(target, ast.Name):
        raise UserError(f"{place}: expected a plain name before '=', found {ast.unparse(target)!r}.")
    try:
        return target.id, ast.literal_eval(node.value), annotation
    except ValueError:
        raise UserError(f"{place}: expected a literal value, found {ast.unparse(node.value)!r}.") from None


def _comments_by_line(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ").rstrip() for t in tokens if t.type == tokenize.COMMENT}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean x?)`, or nothing where no known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def check_values(values: Mapping[str, Any], declared: Mapping[str, Parameter]) -> list[str]:
    """One line for each value that its parameter does not admit; names nobody declares are not looked at."""
    faults = ((name, declared[name].fault(value)) for name, value in values.items() if name in declared)
    return [f"{name}: {fault}" for name, fault in faults if fault]
