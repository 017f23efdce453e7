"""`check-data DIR`: what is in a data folder, and every fault with its file and line."""

from __future__ import annotations

import argparse
from pathlib import Path

from competition_utils.data.check import check_folder, format_report

HELP = "show what is in a data folder, and every fault with its file and line"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder with train_QC.txt and so on")


def run(args: argparse.Namespace) -> int:
    """Print the report; 0 where the files have no fault, 2 where they have."""
    report = check_folder(args.folder)
    print(format_report(report))
    return 2 if report.faults else 0
