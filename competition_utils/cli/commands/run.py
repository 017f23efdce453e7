"""`run`: the main job, five notebooks from official files to a checked submission."""

from __future__ import annotations

import argparse
import sys

from competition_utils import paths
from competition_utils.cli.arguments import add_parameters, from_here

HELP = "execute the five notebooks of a config into papermill_runs/NAME and export submissions/NAME"
EXAMPLES = """\
  python -m competition_utils run sample --resume
  python -m competition_utils run encoder_cpu --data-dir ../shared/data/taxobench --name taxobench
  python -m competition_utils run sample --name quick -p model=linear -p encoder.num_train_epochs=1
  python -m competition_utils run sample --resume --from threshold_tuning
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="a YAML file, or the name of one in configs/")
    parser.add_argument("--name", help="name of the run's folder (default: the config's name)")
    parser.add_argument("--data-dir", metavar="DIR", help="folder with the official files, instead of the config's")
    add_parameters(parser, "set one parameter; a dot reaches into a section (encoder.num_train_epochs=2)")
    parser.add_argument("--resume", action="store_true", help="go on with a run: what is done and still valid stays")
    parser.add_argument("--share", action="store_true", help="take stages from papermill_runs/store, see sweep --help")
    stages = {"choices": paths.STAGES, "metavar": "STAGE"}
    parser.add_argument("--from", dest="first", help="do this stage and what follows from it again", **stages)
    parser.add_argument("--to", dest="last", help=f"stop after this stage: {', '.join(paths.STAGES)}", **stages)


def run(args: argparse.Namespace) -> int:
    from competition_utils.runs.config import load_config
    from competition_utils.runs.kernel import StageFailed
    from competition_utils.runs.report.page import text_table
    from competition_utils.runs.runner import Run, execute_run
    from competition_utils.runs.sharing.store import Store

    data_dir = args.data_dir and from_here(args.data_dir)
    config = load_config(args.config, args.parameters, data_dir)
    job = Run(args.name or config.name, config)
    try:
        store = Store() if args.share else None
        outcome = execute_run(job, resume=args.resume, first=args.first, last=args.last, store=store)
    except StageFailed as error:
        print(error, file=sys.stderr)
        return 1
    if outcome.metrics is None:
        print(f"stopped after {args.last}, as asked; go on with --resume")
        return 0
    print(f"\n{text_table(outcome.metrics)}\n")
    print(f"report      {paths.shown(job.folder / 'report.html')}")
    print(f"submission  {paths.shown(paths.submission_folder(job.name))}")
    for fault in outcome.faults:
        print(f"  {fault.kind}: {fault.where}: {fault.found}", file=sys.stderr)
    print("the submission " + ("FAILED its check" if outcome.faults else "passed its check"))
    return 1 if outcome.faults else 0
