"""`blend`: several runs into one."""

from __future__ import annotations

import argparse

from competition_utils import paths

HELP = "blend the scores of runs into a new run folder, dropping members that do not help"
EXAMPLES = """\
  python -m competition_utils blend linear encoder --out blended
  python -m competition_utils blend a b c --how stack --out stacked --task QC
  papermill notebooks/04_threshold_tuning.ipynb out.ipynb -p run_dir papermill_runs/blended
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_names", metavar="RUN", nargs="+", help="runs with the same rows in the same folds")
    parser.add_argument("--out", metavar="NAME", required=True, help="name of the new run")
    parser.add_argument(
        "--how", default="probability", help="probability or rank (weighted mean), or stack (logistic regression)"
    )
    parser.add_argument("--task", default="all", help="QC, QI or all (default)")
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    from competition_utils.runs.artefacts import find_run
    from competition_utils.runs.blending import blend_runs
    from competition_utils.tasks import select_tasks

    out = paths.run_folder(args.out)
    names = [task.name for task in select_tasks(args.task)]
    runs = [find_run(name) for name in args.run_names]
    for task, made in blend_runs(runs, out, names, how=args.how, seed=args.seed).items():
        print(f"\n{task}: correlation of the scores")
        print(made.correlation.round(3).to_string())
        print(f"\n{task}: members, alone and what each adds (F1 on train, nested cross-validation)")
        print(made.members.round(4).to_string())
        print(f"\n{task}: {made.how} blend F1 {made.f1:.4f}, over the best member {made.gain}")
    print(f"\nwritten to {paths.shown(out)}")
    return 0
