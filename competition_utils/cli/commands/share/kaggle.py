"""`kaggle`: folders that Kaggle's own command uploads."""

from __future__ import annotations

import argparse
from pathlib import Path

from competition_utils import paths

HELP = "write the notebooks with their kernel-metadata.json, and with --wheels a dataset to install from offline"
EXAMPLES = """\
  python -m competition_utils kaggle --user NAME --data OWNER/DATASET --wheels
  kaggle datasets create -p build/kaggle/dataset
  kaggle kernels push -p build/kaggle/kernels/01_eda
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", required=True, metavar="NAME", help="your name on Kaggle, as in kaggle.com/NAME")
    parser.add_argument("--data", metavar="OWNER/DATASET", help="the dataset with the official files (default: sample)")
    parser.add_argument("--out", type=Path, default=Path("build/kaggle"), help="folder (default %(default)s)")
    parser.add_argument("--wheels", action="store_true", help="build the wheel and download what it needs, too")
    parser.add_argument("--python", default="3.12", help="that of Kaggle's image, for wheels (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    from competition_utils.share import kaggle, wheels

    for folder in kaggle.write_kernels(args.out, args.user, args.data):
        print(f"notebook  {paths.shown(folder)}")
    folder = kaggle.write_dataset_metadata(args.out, args.user)
    if args.wheels:
        pins = wheels.fill(folder, args.python)
        size = sum(wheel.stat().st_size for wheel in folder.glob("*.whl"))
        print(f"wheels    {len(pins)}, {size / 1e6:,.0f} MB")
    print(f"dataset   {paths.shown(folder)}")
    return 0
