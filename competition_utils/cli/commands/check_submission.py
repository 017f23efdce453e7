"""`check-submission`: a submission against the file that it answers."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "check a submission against its source: ids, order, echoed fields, 0/1 only, both tasks, the zip"
EXAMPLES = """\
  python -m competition_utils check-submission submissions/sample --source DATA_DIR
  python -m competition_utils check-submission submit.zip --source DATA_DIR --split dev
  python -m competition_utils check-submission submit_QC.txt --source test_QC.txt
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="a submission's folder, its zip, or one submit_*.txt")
    parser.add_argument(
        "--source",
        type=Path,
        action="append",
        required=True,
        help="the data folder, or the file that is answered (once a task)",
    )
    parser.add_argument("--split", choices=("dev", "test"), default="test", help="with a data folder: which files")


def run(args: argparse.Namespace) -> int:
    from competition_utils.errors import DataError
    from competition_utils.submission_check import check_submission, find_sources

    sources = find_sources(args.source, args.split, args.file)
    faults = check_submission(args.file, sources)
    if faults:
        print(DataError(f"{args.file}: not ready to upload", faults, "Write it again from the run's decisions."))
        return 1
    print(f"{args.file}: {' and '.join(sources)} answered in full, nothing wrong")
    return 0
