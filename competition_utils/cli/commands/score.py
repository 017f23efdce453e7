"""`score`: relevance scores for a file or a folder of query–target pairs, by a model that a run has fitted."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from competition_utils.cli.arguments import add_engine, add_parameters, add_share, ray_settings
from competition_utils.errors import UserError

HELP = "score pairs of a file, or of a folder of parquet shards, with a fitted model"
EXAMPLES = """\
  python -m competition_utils score --model papermill_runs/sample/finetune/joint/fold0 \\
      --input data/test_QC.txt --output scores.csv
  python -m competition_utils score --model … --input shards/ --output scores/
  python -m competition_utils score --model … --input shards/ --output scores/ --share 3/16
  python -m competition_utils score --model … --input shards/ --output scores/ --engine ray --ray num_gpus=1
  python -m competition_utils score --model … --input … --output … -p score_engine=vllm -p dtype=bfloat16
  accelerate launch --num_processes 4 -m competition_utils score --model … --input … --output …

The input has the official fields, or the columns query and target. The output has id, task, language, score.
After a kill the same command goes on where it ended: the scores of a file are kept by content in .cache/scores, a
folder has a shard of scores for each shard, and receipts of those that are finished.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", required=True, type=Path, help="folder of a fitted model, e.g. RUN/finetune/QC/fold0"
    )
    parser.add_argument(
        "--input",
        required=True,
        type=Path,
        help="pairs: JSON lines (.txt, .jsonl, .gz), CSV or parquet, or a folder of parquet shards",
    )
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        help="where the scores go: .csv, .parquet, .txt or .jsonl; a folder where the input is one",
    )
    parser.add_argument("--task", choices=["QC", "QI"], help="QC or QI; found from the file's fields when left out")
    add_parameters(parser, "a setting of the model to use instead of the saved one")
    parser.add_argument(
        "--own-model", metavar="python:MODULE:CLASS", help="the class of a model of your own, see docs/TOUR.md"
    )
    parser.add_argument("--lexicon", type=Path, help="translates queries; found beside the input when left out")
    add_share(parser, "shard of a folder")
    add_engine(parser)


def run(args: argparse.Namespace) -> int:
    from competition_utils.models.base import register_own
    from competition_utils.settings.reading import parse_overrides

    if args.own_model:
        register_own(args.own_model)
    overrides, faults = parse_overrides(args.parameters)
    if faults:
        raise UserError("\n".join(faults))
    if args.input.is_dir():
        return _score_folder(args, overrides)
    for name in [name for name, given in (("--share", args.share), ("--engine", args.engine != "local")) if given]:
        raise UserError(f"{name}: expected a folder of shards as --input, found {args.input}. Leave {name} out.")
    return _score_file(args, overrides)


def _score_file(args: argparse.Namespace, overrides: Mapping[str, Any]) -> int:
    from competition_utils.runs.scoring.score_file import score_file

    done = score_file(args.model, args.input, args.output, task=args.task, lexicon=args.lexicon, overrides=overrides)
    if done.written:
        rate = done.rows / done.seconds
        print(f"{done.rows:,} pairs scored in {done.seconds:.1f} s ({rate:,.0f} pairs/s) → {args.output}")
    return 0


def _score_folder(args: argparse.Namespace, overrides: Mapping[str, Any]) -> int:
    from competition_utils.runs.cluster.score import score_on_ray
    from competition_utils.runs.scoring.shards import score_here, score_shards

    given = {"task": args.task, "lexicon": args.lexicon, "overrides": overrides, "share": args.share}
    given["own_model"] = args.own_model
    settings = ray_settings(args)
    engine = score_on_ray(settings) if args.engine == "ray" else score_here
    done = score_shards(args.model, args.input, args.output, **given, engine=engine)
    if done.left_out:
        print(f"not read, since they are no parquet files: {', '.join(done.left_out)}")
    rows, shards = done.rows - done.rows_before, done.shards - done.shards_before
    before = f"{_shards(done.shards_before)} with {done.rows_before:,} pairs finished before"
    if not shards:
        print(f"{before}, none to score → {args.output}")
        return 0
    rate = f"{_shards(shards)} with {rows:,} pairs scored in {done.seconds:.1f} s ({rows / done.seconds:,.0f} pairs/s)"
    print(f"{rate}{f', {before}' if done.shards_before else ''} → {args.output}")
    return 0


def _shards(count: int) -> str:
    return f"{count:,} shard" if count == 1 else f"{count:,} shards"
