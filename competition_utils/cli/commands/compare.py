"""`compare`: runs side by side, with paired intervals and p-values."""

from __future__ import annotations

import argparse

HELP = "compare the decisions of runs with the first one: F1, difference, interval, p-value"
EXAMPLES = """\
  python -m competition_utils compare sample_linear sample_encoder
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_names", metavar="RUN", nargs="+", help="finished runs; the first is compared with")
    parser.add_argument("--task", default="all", help="QC, QI or all (default)")
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap samples by query (default 1000)")
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    from competition_utils.paths import shown
    from competition_utils.runs import comparing, ledger
    from competition_utils.runs.artefacts import find_run
    from competition_utils.runs.report.tables import print_table, runs_table
    from competition_utils.tasks import select_tasks

    names = [task.name for task in select_tasks(args.task)]
    runs = [find_run(name) for name in args.run_names]
    tasks = comparing.compare_runs(runs, names, resamples=args.resamples, seed=args.seed)
    overview = runs_table([ledger.entry(run) for run in runs])
    print_table(overview.frame, overview.same)
    for caption, table in comparing.comparison_tables(tasks).items():
        print(f"\n{caption}")
        print_table(table)
    figure = comparing.save_comparison(tasks)
    print(f"\nfigure  {shown(figure)}")
    print(f"page    {shown(comparing.write_comparison_page(runs, tasks, figure))}")
    return 0
