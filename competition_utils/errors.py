"""The errors a user may see: one message, no traceback, exit status 2.

A message says what was expected, what was found, where, and what to do about it.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass


class UserError(Exception):
    """Something the user gave is wrong; the command line prints the text and exits with status 2."""


# What a system says of a file or folder that is not as the user thinks: no permission, a folder for a file, …
NO_USABLE_FILE = (PermissionError, IsADirectoryError, NotADirectoryError, FileNotFoundError, FileExistsError)


def unusable_file(error: OSError) -> UserError | None:
    """A file or folder that cannot be read or written, in words for its user; None for any other trouble."""
    if error.errno == errno.ENOSPC:
        return UserError("expected room on the disk, found it full. Make room; --resume goes on where a run ended.")
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
    """Faults of one or more inputs, told together: counts by kind, and the first five places of each."""

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
            lines += [f"    {fault.where}: {fault.found}" for fault in faults[: self.SHOWN]]
            if len(faults) > self.SHOWN:
                lines.append(f"    … and {len(faults) - self.SHOWN:,} more")
        return lines
