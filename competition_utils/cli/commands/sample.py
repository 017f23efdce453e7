"""`sample`: write the built-in sample competition."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write the built-in sample competition (official files, made from a lexicon and a seed)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="an empty or new folder")
    parser.add_argument("--rows", type=int, default=6000, help="rows of train a task (default %(default)s)")
    parser.add_argument("--dev-rows", type=int, default=2000, help="rows of dev a task (default %(default)s)")
    parser.add_argument("--test-rows", type=int, default=2000, help="rows of test a task (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another sample (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    from competition_utils.synthetic.competition import make_sample

    mark = make_sample(args.out, args.rows, args.dev_rows, args.test_rows, args.seed)
    if not mark["written"]:
        print(f"{args.out} already holds this sample.")
        return 0
    for name, rows in mark["files"].items():
        print(f"{rows:>9,} rows  {args.out / name}")
    return 0
