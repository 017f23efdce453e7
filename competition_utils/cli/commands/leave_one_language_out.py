"""`leave-one-language-out`: what a run should expect on languages without labels."""

from __future__ import annotations

import argparse

from competition_utils import paths

HELP = "fit with each language left out in turn: the F1 to expect on a language without labels"
EXAMPLES = """\
  python -m competition_utils leave-one-language-out sample
  python -m competition_utils leave-one-language-out sample --task QC --model encoder --settings '{num_train_epochs: 1}'
  python -m competition_utils leave-one-language-out taxobench --model encoder --rows 12000
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run whose stage augmentation is finished")
    parser.add_argument("--task", default="all", help="QC, QI or all (default)")
    parser.add_argument("--model", default="linear", help="kind of model: linear (default), encoder or decoder")
    parser.add_argument("--settings", metavar="YAML", default="{}", help="its settings, e.g. '{num_train_epochs: 1}'")
    parser.add_argument("--rows", type=int, default=0, help="rows that each fit sees, drawn at random (default: all)")
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    from competition_utils.runs.artefacts import find_run
    from competition_utils.runs.leave_one_out import comparison, expected_in_run, leave_out_in_run
    from competition_utils.settings.reading import mapping_of
    from competition_utils.tasks import select_tasks

    folder, settings = find_run(args.run_name), mapping_of(args.settings, "--settings")
    for task in select_tasks(args.task):
        ways = leave_out_in_run(folder, task.name, args.model, settings, seed=args.seed, rows=args.rows)
        print(f"\n{task.name}: F1 on a language that {args.model} was not fitted on")
        print(comparison(ways).round(4).to_string())
        for way in ways:
            low, high = way.drop_interval
            name = "with" if way.with_augmentation else "without"
            points = f"{100 * way.drop:.2f} points [{100 * low:.2f}, {100 * high:.2f}]"
            print(f"{points} below a fit with all languages, {name} augmentation")
        as_read = expected_in_run(folder, task.name)
        if as_read is not None:
            expected = as_read - ways[-1].drop
            print(f"expect {expected:.4f} on the run's unseen languages: {as_read:.4f} by how their queries are read")
            print("(notebook 04), less what labels of a language are worth")
    print(f"\nwritten to {paths.shown(folder / 'leave_one_language_out')}")
    return 0
