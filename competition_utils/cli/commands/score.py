"""`score`: relevance scores for any file of query–target pairs, by a model that a run has fitted."""

from __future__ import annotations

import argparse
from pathlib import Path

from competition_utils.cli.arguments import add_parameters
from competition_utils.errors import UserError

HELP = "score pairs of a file with a fitted model"
EXAMPLES = """\
  python -m competition_utils score --model papermill_runs/sample/finetune/joint/fold0 \\
      --input data/test_QC.txt --output scores.csv
  python -m competition_utils score --model … --input … --output … -p score_engine=vllm -p dtype=bfloat16
  accelerate launch --num_processes 4 -m competition_utils score --model … --input … --output …

The input has the official fields, or the columns query and target. The output has id, task, language, score.
Scores are kept by content in .cache/scores: after a kill the same command goes on where it ended.
"""


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
    parser.add_argument("--task", choices=["QC", "QI"], help="QC or QI; found from the file's fields when left out")
    add_parameters(parser, "a setting of the model to use instead of the saved one")
    parser.add_argument("--lexicon", type=Path, help="translates queries; found beside the input when left out")


def run(args: argparse.Namespace) -> int:
    from competition_utils.runs.score_file import score_file
    from competition_utils.settings.reading import parse_overrides

    overrides, faults = parse_overrides(args.parameters)
    if faults:
        raise UserError("\n".join(faults))
    done = score_file(args.model, args.input, args.output, task=args.task, lexicon=args.lexicon, overrides=overrides)
    if done.written:
        rate = done.rows / done.seconds
        print(f"{done.rows:,} pairs scored in {done.seconds:.1f} s ({rate:,.0f} pairs/s) → {args.output}")
    return 0
