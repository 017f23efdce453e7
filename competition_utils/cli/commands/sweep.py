"""`sweep`: a matrix of configs, strategies, models, tasks and seeds, one run a cell, then the comparison."""

from __future__ import annotations

import argparse
import sys

from competition_utils.cli.arguments import add_engine, add_parameters, add_share, from_here, ray_settings
from competition_utils.errors import UserError

HELP = "run every cell of a matrix of configs, strategies, models, tasks and seeds, then compare the runs"
EXAMPLES = """\
  python -m competition_utils sweep paper
  python -m competition_utils sweep paper --jobs 2
  python -m competition_utils sweep paper --resume
  python -m competition_utils sweep sample --strategy original translated translated_minority
  python -m competition_utils sweep encoder_cpu --data-dir DIR --strategy original translated --model linear encoder
  python -m competition_utils sweep paper --engine ray --ray num_cpus=4 --ray num_gpus=1
  python -m competition_utils sweep paper --resume --share 3/28

A matrix is a YAML file as configs/matrix/paper.yaml: lists of configs, strategies, models, tasks and seeds, each with
each, and settings for all cells. Runs are named after the matrix (or the config) and what the matrix lists.

A cell that fails stands in the table as FAILED with the reason, the others go on, and the exit status is 1. --resume
keeps finished cells, retries failed ones and goes on with those that were stopped.

--jobs 2 runs two cells at once, each with half of the cores: on a CPU many fits of few threads are done sooner than one
after the other with all. With one GPU leave it out.

Stages that agree in settings, inputs and code are computed once: the others take them from papermill_runs/store, and so
do later sweeps and `run --share`. `ledger --store` says how large that is, `ledger --clear-store` removes it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "configs",
        metavar="MATRIX|CONFIG",
        nargs="+",
        help="a matrix, a file or a name in configs/matrix; or configs",
    )
    parser.add_argument("--strategy", nargs="+", default=[], help="names in configs/strategies, for the matrix's")
    parser.add_argument("--model", nargs="+", default=[], help="linear, encoder, decoder, for the matrix's")
    parser.add_argument("--data-dir", metavar="DIR", help="folder with the official files, instead of the configs'")
    parser.add_argument("--resume", action="store_true", help="keep finished cells, retry failed ones, go on")
    parser.add_argument("--jobs", metavar="N", type=_jobs, default=1, help="cells at once on this machine (default: 1)")
    add_parameters(parser, "as for run, in every cell")
    add_share(parser, "cell")
    add_engine(parser)


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a number of cells from 1 on, found {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    from competition_utils.runs.sweep import cells, matrix

    settings = ray_settings(args)
    if args.jobs > 1 and args.engine == "ray":
        raise UserError("--jobs: expected --engine local with it. On Ray, --ray concurrency=N says how many at once.")
    name, values = matrix.read_matrix(args.configs)
    values |= {key: given for key, given in (("strategies", args.strategy), ("models", args.model)) if given}
    planned = matrix.plan(name, values, args.parameters, args.data_dir and from_here(args.data_dir))
    if args.share:
        planned = planned[args.share[0] :: args.share[1]]
    if not args.resume:
        cells.refuse_unless_new(planned)
    if args.engine == "ray":
        from competition_utils.runs.cluster.sweep import execute_cells_on_ray

        results = execute_cells_on_ray(planned, print, settings)
    elif args.jobs > 1:
        from competition_utils.runs.sweep.pool import execute_cells_at_once

        results = execute_cells_at_once(planned, args.jobs, print)
    else:
        results = cells.execute_cells(planned, print)
    if not args.share:  # else other cells are still to come
        _show(planned, results)
    failed = [result.name for result in results if result.failure]
    if failed:
        print(f"{len(failed)} of {len(results)} cells FAILED: {', '.join(failed)}. --resume retries.", file=sys.stderr)
    return 1 if failed else 0


def _show(planned: list, results: list) -> None:
    from competition_utils.paths import shown
    from competition_utils.runs import comparing
    from competition_utils.runs.report.tables import print_table
    from competition_utils.runs.sweep.results import cells_table, compare_cells, shared_stages, summary, write_page

    table, shared = cells_table(planned, results), shared_stages(planned)
    print()
    print_table(table.frame, table.same)
    rows = summary(planned, results)
    if rows is not None:
        print("\nF1 by task, over all seeds")
        print_table(rows)
    tasks: dict = {}
    try:
        tasks = compare_cells(planned, results)
    except UserError as error:  # the table above is there all the same
        print(f"no paired comparison: {error}", file=sys.stderr)
    for caption, compared in comparing.comparison_tables(tasks).items() if tasks else ():
        print(f"\n{caption}")
        print_table(compared)
    print("", *shared, f"page    {shown(write_page(planned, results, tasks, shared))}", sep="\n")
