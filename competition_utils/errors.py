"""The errors a user may see: one message, no traceback, exit status 2.

A message says what was expected, what was found, where, and what to do about it.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path


class UserError(Exception):
    """Something the user gave is wrong; the command line prints the text and exits with status 2."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in a notebook instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class WrongSettings(UserError):
    """Faults of settings, reported together; `faults` are a line each."""

    def __init__(self, source: str, faults: list[str], todo: str):
        self.faults = faults
        lines = [f"{source}: {len(faults)} wrong", *(f"  {fault}" for fault in faults), todo]
        super().__init__("\n".join(filter(None, lines)))


class DamagedFile(UserError):
    """A file of a run, a model or a cache that cannot be read as what it should be."""

    def __init__(self, path: Path | str, expected: str, found: str, todo: str):
        super().__init__(f"{path}: expected {expected}, found: {printable(found)}. {todo}")


class DiskFull(UserError):
    """A file could not be written because its disk is full. `free` and `written` are bytes."""

    def __init__(self, folder: Path, free: int, name: str, written: int):
        more = f", more than the {written:,} bytes that fitted" if written else ""
        super().__init__(
            f"{folder}: expected space for {name}{more}; found the disk full, {free:,} bytes are free. "
            "Nothing half-written is left. Make space; --resume continues a run where it ended."
        )


def printable(text: str) -> str:
    """A text as a terminal may show it: control, bidirectional and invisible characters are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def plain_warning(message: Warning | str, *_: object, **__: object) -> str:
    """A `warnings.formatwarning` that gives one line, without the place in our code, which is no help to a user."""
    return f"warning: {message}\n"


# What a system reports of a file or folder that is not as the user expects: no permission, a folder for a file, …
NO_USABLE_FILE = (PermissionError, IsADirectoryError, NotADirectoryError, FileNotFoundError, FileExistsError)


def unusable_file(error: OSError) -> UserError | None:
    """A file or folder that cannot be read or written, as an error for the user; None for any other error."""
    if error.errno == errno.ENOSPC:
        where = os.fsdecode(error.filename) if error.filename else "the disk"
        return UserError(f"{where}: expected free space, found the disk full. Make space; --resume continues a run.")
    if error.filename is None and not isinstance(error, NO_USABLE_FILE):
        return None
    name = error.filename2 or error.filename  # of a renaming the second is the one that the user named
    where = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else "a file"
    found = error.strerror or str(error)
    return UserError(f"{where}: expected a file or folder to work with, found: {found}. Check path and permissions.")


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an input: its kind, its place (`file:line`, a key, …) and what was found there."""

    kind: str
    where: str
    found: str


class DataError(UserError):
    """Faults of one or more inputs, reported together: counts by kind, and the first five places of each."""

    SHOWN = 5

    def __init__(self, headline: str, faults: list[Fault], todo: str):
        self.faults = list(faults)
        super().__init__("\n".join([headline, *self._lines(), todo]))

    def _lines(self) -> list[str]:
        by_kind: dict[str, list[Fault]] = {}
        for fault in self.faults:
            by_kind.setdefault(fault.kind, []).append(fault)
        lines = []
        for kind, faults in by_kind.items():
            lines.append(f"  {kind}: {len(faults):,}")
            lines += [f"    {printable(fault.where)}: {printable(fault.found)}" for fault in faults[: self.SHOWN]]
            if len(faults) > self.SHOWN:
                lines.append(f"    … and {len(faults) - self.SHOWN:,} more")
        return lines
