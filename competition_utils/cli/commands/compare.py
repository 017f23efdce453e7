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
    from competition_utils.runs.artefacts import find_run
    from competition_utils.runs.comparing import compare_runs, mean_of_tasks, save_comparison
    from competition_utils.tasks import select_tasks

    names = [task.name for task in select_tasks(args.task)]
    runs = [find_run(name) for name in args.run_names]
    tasks = compare_runs(runs, names, resamples=args.resamples, seed=args.seed)
    for task, comparison in tasks.items():
        for name, part in comparison.parts.items():
            print(f"\n{task}, {name}: {part.rows:,} rows of {comparison.measured_on}")
            print(part.table.to_string(float_format="{:.4f}".format, na_rep=""))
    if len(tasks) > 1:
        print("\nmean of the tasks")
        print(mean_of_tasks(tasks).to_string(float_format="{:.4f}".format, na_rep=""))
    print(f"\nfigure  {shown(save_comparison(tasks))}")
    return 0
