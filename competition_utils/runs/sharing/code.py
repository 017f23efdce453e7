"""The package's own code as an input of a stage: which of its files a process runs on, and their hashes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from competition_utils.storage import hash_file

PACKAGE = Path(__file__).resolve().parents[2]
NAME = PACKAGE.name
# Its fits go on in processes of their own, whose modules this process need not have imported.
WITH_CHILDREN = "models/decoder"
ONLY_SHOWS = ("cli/", "plots/", "runs/report/")


def code_files() -> dict[str, str]:
    """sha256 of every file of the package, by its posix path in the package; bytecode and hidden files are left out."""
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    visible = (path for path in sorted(files) if not path.name.startswith("."))  # an editor's, a file manager's
    return {path.relative_to(PACKAGE).as_posix(): _hash(path, *_state(path)) for path in visible}


def loaded_code(files: Mapping[str, str]) -> dict[str, str]:
    """Those of `files` (as from `code_files`) that this process runs on: the modules it imported, and what lies beside
    them without being a module (word lists, fonts)."""
    names = [name for name in sys.modules if name == NAME or name.startswith(f"{NAME}.")]
    modules = set(_files_of(names)) & set(files)
    folders = {name.rpartition("/")[0] for name in modules}
    if WITH_CHILDREN in folders:
        modules |= {name for name in files if name.startswith(f"{WITH_CHILDREN}/")}
    packages = {name.rpartition("/")[0] for name in files if name.endswith(".py")}
    beside = {name for name in files if not name.endswith(".py") and _package(name, packages) in folders}
    return {name: digest for name, digest in files.items() if name in modules | beside}


def changed_code(recorded: Mapping[str, str]) -> list[str]:
    """The recorded files of the package that are gone or have other bytes now."""
    now = code_files()
    return [name for name, digest in recorded.items() if now.get(name) != digest]


def working_code() -> dict[str, str]:
    """The files of the package but those that only show what a stage found: checkpoints of a fit under way outlive a
    change of a figure."""
    return {name: digest for name, digest in code_files().items() if not name.startswith(ONLY_SHOWS)}


def _files_of(modules: Iterable[str]) -> Iterable[str]:
    for module in modules:
        path = module.removeprefix(NAME).removeprefix(".").replace(".", "/")
        yield f"{path}/__init__.py" if path else "__init__.py"
        yield f"{path}.py"


def _package(name: str, packages: set[str]) -> str:
    """The innermost folder with modules that a file lies in."""
    folder = name.rpartition("/")[0]
    while folder and folder not in packages:
        folder = folder.rpartition("/")[0]
    return folder


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@cache
def _hash(path: Path, changed: int, size: int) -> str:
    """Hashed once in a process for as long as a file's time and size stay."""
    return hash_file(path)
