"""`submit`: export the submission of a finished run once more."""

from __future__ import annotations

import argparse

HELP = "export the submission of a finished run again, and check it"
EXAMPLES = """\
  python -m competition_utils submit --run sample
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", dest="name", required=True, help="name of a run in papermill_runs/, or its folder")


def run(args: argparse.Namespace) -> int:
    from competition_utils.paths import shown, submission_folder
    from competition_utils.runs.artefacts import find_run
    from competition_utils.runs.runner import export_run

    folder = find_run(args.name)
    faults = export_run(folder)
    for fault in faults:
        print(f"  {fault.kind}: {fault.where}: {fault.found}")
    print(f"{shown(submission_folder(folder.name))}: " + ("FAILED its check" if faults else "passed its check"))
    return 1 if faults else 0
