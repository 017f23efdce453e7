"""`thresholds`: which rule a run's scores call for, and what it reaches."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "choose the threshold rule from a run's scores and say why; --output writes the rules as JSON"
EXAMPLES = """\
  python -m competition_utils thresholds sample
  python -m competition_utils thresholds sample --task QC --output rules.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run whose stage finetune is finished")
    parser.add_argument("--task", default="all", help="QC, QI or all (default)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the rules here")
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap samples by query (default 1000)")
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    from competition_utils.decide.decisions import decide, read_scores
    from competition_utils.decide.metrics import metrics_table
    from competition_utils.runs.artefacts import artefact_reader, find_run
    from competition_utils.storage import write_json
    from competition_utils.tasks import select_tasks

    read, rules = artefact_reader(find_run(args.run_name)), {}
    for task in select_tasks(args.task):
        made = decide(read_scores(task.name, read), resamples=args.resamples, seed=args.seed)
        rules[task.name] = made.rule.as_dict()
        print(f"\n{task.name}: {made.choice.why}")
        print(f"common threshold {made.rule.common:.4f}; languages without labels: {made.rule.unlabelled}")
        print(f"measured on {made.metrics['measured_on']}:")
        table = metrics_table(made.metrics).drop(columns=["precision_interval", "recall_interval"])
        print(table.to_string(float_format="{:.4f}".format))
    if args.output:
        write_json(args.output, rules)
        print(f"\nwritten to {args.output}")
    return 0
