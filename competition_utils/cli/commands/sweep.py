"""`sweep`: several strategies and models in one command, one run each, then the comparison."""

from __future__ import annotations

import argparse
import sys

from competition_utils.cli.arguments import add_parameters, from_here

HELP = "run every strategy × model of the given configs, then compare the runs"
EXAMPLES = """\
  python -m competition_utils sweep sample --strategy original translated translated_minority
  python -m competition_utils sweep encoder_cpu --data-dir DIR --strategy original translated --model linear encoder
  python -m competition_utils sweep gemma3_12b_4bit qwen25_14b_4bit --data-dir DIR

Runs are named CONFIG-STRATEGY-MODEL. A sweep that was stopped goes on where it ended when it is typed again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("configs", metavar="CONFIG", nargs="+", help="YAML files, or names of files in configs/")
    parser.add_argument("--strategy", nargs="+", default=[], help="names in configs/strategies")
    parser.add_argument("--model", nargs="+", default=[], help="linear, encoder, decoder")
    parser.add_argument("--data-dir", metavar="DIR", help="folder with the official files, instead of the configs'")
    add_parameters(parser, "as for run")


def run(args: argparse.Namespace) -> int:
    from competition_utils.augment.strategies import load_strategy
    from competition_utils.cli.commands import compare
    from competition_utils.runs import ledger, sweep
    from competition_utils.runs.kernel import StageFailed
    from competition_utils.runs.report.tables import print_table, runs_table

    for strategy in args.strategy:
        load_strategy(strategy)
    data_dir = args.data_dir and from_here(args.data_dir)
    runs = sweep.plan(args.configs, args.strategy, args.model, args.parameters, data_dir)
    try:
        sweep.execute(runs, print)
    except StageFailed as error:
        print(error, file=sys.stderr)
        return 1
    if len(runs) > 1:
        names = [one.name for one in runs]
        return compare.run(argparse.Namespace(run_names=names, task="all", resamples=1000, seed=0))
    print_table(runs_table([ledger.entry(one.folder) for one in runs]).frame)
    return 0
