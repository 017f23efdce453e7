"""Command line arguments that several subcommands have."""

from __future__ import annotations

import argparse
from pathlib import Path

from competition_utils import paths


def add_parameters(parser: argparse.ArgumentParser, what: str) -> None:
    """`-p KEY=VALUE`, as often as wanted, into `parameters`; `what` is its line in the help."""
    parser.add_argument("-p", dest="parameters", metavar="KEY=VALUE", action="append", default=[], help=what)


def from_here(data_dir: str) -> str:
    """On the command line a path is meant from the working directory, in a config from the root."""
    return data_dir if data_dir in (paths.AUTO, paths.BUILT_IN_SAMPLE) else str(Path(data_dir).expanduser().absolute())
