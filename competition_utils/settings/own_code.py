"""Code of the user's own that a setting names: `python:MODULE:NAME`.

It is imported for settings of a config, a command line or a notebook, which their reader starts, and never because a
saved model names its class (docs/SECURITY.md).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from competition_utils.errors import UserError, printable
from competition_utils.paths import work_root

PREFIX = "python:"
OwnCode = Annotated[str, Field(pattern=r"^python:[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]


def is_own(choice: Any) -> bool:
    """Whether a value of a setting names code."""
    return isinstance(choice, str) and choice.startswith(PREFIX)


def own_code(choice: str, base: type | None = None) -> Any:
    """What `python:MODULE:NAME` names; with `base`, a class below it.

    The module is looked up as Python does, then in the project's folder. Raises UserError where there is no such
    module, it cannot be imported, or NAME is not in it or something else.
    """
    module, name = _parts(choice)
    _search_project()
    try:
        found = getattr(import_module(module), name, None)
    except ImportError as error:
        raise _error(choice, f"{type(error).__name__}: {error}") from error
    if not (callable(found) if base is None else isinstance(found, type) and issubclass(found, base)):
        expected = "a function or class" if base is None else f"a subclass of {base.__module__}.{base.__name__}"
        raise _error(choice, f"{'nothing' if found is None else 'something else'} called {name}", expected)
    return found


def own_files(values: Mapping[str, Any]) -> Iterator[Path]:
    """The source files of the modules that settings name, so that a change of them is noticed."""
    for value in values.values():
        for choice in value if isinstance(value, list) else [value]:
            if is_own(choice):
                _search_project()
                module, _ = _parts(choice)
                spec = find_spec(module)
                if spec and spec.origin:
                    yield Path(spec.origin)


def _parts(choice: str) -> tuple[str, str]:
    module, _, name = choice.removeprefix(PREFIX).partition(":")
    if not module or not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise _error(choice, "another text")
    return module, name


def _search_project() -> None:
    folder = str(work_root())
    if folder not in sys.path:
        sys.path.append(folder)  # last, so that it hides no installed package


def _error(
    choice: str, found: str, expected: str = "python:MODULE:NAME with a module that can be imported"
) -> UserError:
    return UserError(
        f"{printable(choice)}: expected {expected}, found {printable(found)}.\n"
        f"Put MODULE.py into {work_root()}, or install it."
    )
