"""What the benchmarks' commands share: help out of the docstring, one message and exit status 2 for wrong input."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from competition_utils.errors import UserError


def new_parser(text: str) -> argparse.ArgumentParser:
    """A parser without arguments yet, whose `--help` shows `text`, a module's docstring, as it is written."""
    return argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)


def exit_status(main: Callable[[], int | None]) -> int:
    """What `main` returns, 0 for None; 2 where it raises UserError, whose text goes to stderr."""
    try:
        return main() or 0
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
