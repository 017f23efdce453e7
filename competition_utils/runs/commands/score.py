"""`score`: relevance scores for any file of query–target pairs, by a model that a run has fitted."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "score pairs of a file with a fitted model"
EXAMPLES = """\
  python -m competition_utils score --model papermill_runs/sample/finetune/QC/fold0 \\
      --input data/test_QC.txt --output scores.csv
  (--output may end in .csv, .parquet or .txt/.jsonl; the columns are id, task, language, score)"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", required=True, type=Path, help="folder of a fitted model, e.g. RUN/finetune/QC/fold0"
    )
    parser.add_argument(
        "--input", required=True, type=Path, help="pairs: JSON lines (.txt, .jsonl, .gz), CSV or parquet"
    )
    parser.add_argument(
        "--output", required=True, type=Path, help="where the scores go: .csv, .parquet, .txt or .jsonl"
    )
    parser.add_argument("--task", choices=["QC", "QI"], help="told by the file's fields when left out")
    parser.add_argument("--lexicon", type=Path, help="translates queries; found beside the input when left out")


def run(args: argparse.Namespace) -> int:
    from competition_utils.runs.score_file import score_file

    rows, seconds = score_file(args.model, args.input, args.output, task=args.task, lexicon=args.lexicon)
    print(f"{rows:,} pairs scored in {seconds:.1f} s ({rows / seconds:,.0f} pairs/s) → {args.output}")
    return 0
