"""Settings whose names have changed: the old ones work for this release, with one warning line a section."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

# The new name, or the new name and how its value follows from the old one's.
Renaming = str | tuple[str, Callable[[Any], Any]]


class RenamedSetting(FutureWarning):
    """A setting was given by a name of an earlier release."""


def with_new_names(given: Any, renamed: Mapping[str, Renaming], section: str) -> Any:
    """`given` with old names replaced; a name given both ways stays as it is and is refused by the schema."""
    old = [name for name in given if name in renamed] if isinstance(given, Mapping) else []
    if not old:
        return given
    values, changes = dict(given), []
    for name in old:
        new, convert = renamed[name] if isinstance(renamed[name], tuple) else (renamed[name], lambda value: value)
        if new not in values:
            values[new] = convert(values.pop(name))
            changes.append(f"{name} is now {new}")
    if changes:
        warnings.warn(
            f"{section}: {', '.join(changes)}; the old names work in this release only", RenamedSetting, stacklevel=2
        )
    return values
