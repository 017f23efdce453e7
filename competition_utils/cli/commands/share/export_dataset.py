"""`export-dataset`: tables with folds as parquet files that `datasets.load_dataset` reads."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write a run's tables, or a data folder's, as a dataset that others' trainers load"
EXAMPLES = """\
  python -m competition_utils export-dataset sample OUT          clean and augmented tables of a run
  python -m competition_utils export-dataset DATA_DIR OUT        official files, cleaned and folded
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="RUN_OR_DATA_DIR", help="a run's name or folder, or official files")
    parser.add_argument("out", type=Path, metavar="OUT", help="a new or empty folder")


def run(args: argparse.Namespace) -> int:
    from competition_utils.share.dataset import export_dataset

    for config, splits in export_dataset(args.source, args.out).items():
        print(f"{config:<13} " + "  ".join(f"{split} {rows:>9,}" for split, rows in splits.items()))
    first = f'datasets.load_dataset("{args.out}", "{config}")'
    print(f"written to {args.out}: {first}")
    return 0
