"""The package's structure: imports go one way, folders and modules stay small enough to hold in the head."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import competition_utils

PACKAGE = Path(competition_utils.__file__).parent
# A package imports only from those before it (docs/ARCHITECTURE.md).
ORDER = (
    *(
        "errors",
        "tasks",
        "storage",
        "hosted",
        "paths",
        "progress",
        "f1",
        "distributed",
        "settings",
        "data",
        "synthetic",
        "eda",
        "models",
    ),
    *(
        "translation",
        "category_tree",
        "augment",
        "decide",
        "submission_check",
        "submit",
        "plots",
        "runs",
        "share",
        "cli",
    ),
)
MODULES = sorted(path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py"))
MOST_LINES, MOST_FILES = 350, 15


def imports(module: Path) -> set[str]:
    """`package.module` of each import from this package, inside functions and for types too."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / module).with_suffix(".py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("competition_utils"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {name.removeprefix("competition_utils.") for name in names if name.startswith("competition_utils.")}
    return found


def resolved(name: str) -> str | None:
    """The module that `package.module` or `package.module.function` lies in."""
    parts = name.split(".")
    while parts:
        if (PACKAGE / Path(*parts)).with_suffix(".py").is_file():
            return ".".join(parts)
        parts.pop()
    return None


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_only_from_packages_before_its_own(module):
    if module.parts[0] in ("__init__", "__main__"):
        return
    own = ORDER.index(module.parts[0])
    later = [name for name in imports(module) if ORDER.index(name.split(".")[0]) > own]
    assert not later


def test_no_module_imports_itself_by_way_of_others():
    graph = {".".join(module.parts): {resolved(name) for name in imports(module)} - {None} for module in MODULES}
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_module_is_longer_than_one_can_read(module):
    assert len((PACKAGE / module).with_suffix(".py").read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_no_folder_holds_more_files_than_one_can_hold_in_the_head():
    folders = {path.parent for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    sizes = {
        str(folder.relative_to(PACKAGE)): len([p for p in folder.iterdir() if p.is_file() and p.name != "__init__.py"])
        for folder in folders
    }
    assert {name: size for name, size in sizes.items() if size > MOST_FILES} == {}
