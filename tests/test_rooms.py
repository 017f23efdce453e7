"""A room imports only from rooms before it, inside functions too."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import competition_utils

PACKAGE = Path(competition_utils.__file__).parent
ROOMS = ("data", "augment", "models", "decide")
OUTSIDE = {"plots", "runs", "submit"}  # these see every room, so no room sees them


def imported_rooms(path):
    """The second part of each `competition_utils.…` that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name.split(".")[1] for name in names if name.startswith("competition_utils."))


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_is_imported_from_a_later_room(room):
    later = {*ROOMS[ROOMS.index(room) + 1 :], *OUTSIDE}
    found = [(path.name, name) for path in (PACKAGE / room).rglob("*.py") for name in imported_rooms(path)]
    assert not [pair for pair in found if pair[1] in later]
