"""What each subcommand really printed, for its help; `tests/cli/printed_now.py` renews the file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("printed.txt")
HEAD = "=== "


def printed_by(name: str) -> str:
    """The command line and the lines that it printed; "" for a subcommand that the file does not have."""
    return _sections().get(name, "")


@cache
def _sections() -> dict[str, str]:
    return parse(FILE.read_text(encoding="utf-8"))


def parse(text: str) -> dict[str, str]:
    """Subcommand → its section, from a file whose sections begin with `=== NAME`."""
    sections = (section.partition("\n") for section in f"\n{text}".split(f"\n{HEAD}")[1:])
    return {name: body.strip("\n") for name, _, body in sections}


def render(sections: dict[str, str]) -> str:
    """The opposite of `parse`."""
    return "\n".join(f"{HEAD}{name}\n{body}\n" for name, body in sections.items())
