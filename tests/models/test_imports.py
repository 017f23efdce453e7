"""Modules of the room import only downwards, lazy imports and those for types included."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

from competition_utils import models

ROOM = Path(models.__file__).parent
PACKAGE = models.__name__


def imported(module: Path) -> set[str]:
    """The modules of the room that a module imports anywhere in its text."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            found.add(node.module.removeprefix(f"{PACKAGE}."))
    return found


def test_no_module_imports_itself_by_way_of_others():
    TopologicalSorter({module.stem: imported(module) for module in ROOM.glob("*.py")}).prepare()  # raises CycleError
