"""`submit`: export the submission of a finished run once more."""

from __future__ import annotations

import argparse

HELP = "export the submission of a finished run again, and check it"
EXAMPLES = """\
  python -m competition_utils submit --run sample
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--spreadsheet-safe",
        action="store_true",
        help="put an apostrophe before texts of the CSV that a spreadsheet would run as formulas",
    )
    parser.add_argument("--run", dest="name", required=True, help="name of a run in papermill_runs/, or its folder")


def run(args: argparse.Namespace) -> int:
    from competition_utils.paths import shown, submission_folder
    from competition_utils.runs.artefacts import find_run
    from competition_utils.runs.runner import export_run
    from competition_utils.submit import neutralise_formulas

    folder = find_run(args.name)
    faults = export_run(folder)
    if args.spreadsheet_safe:
        cells = neutralise_formulas(submission_folder(folder.name))
        print(f"texts of the CSV that begin like a formula, now with an apostrophe before them: {cells:,}")
    for fault in faults:
        print(f"  {fault.kind}: {fault.where}: {fault.found}")
    print(f"{shown(submission_folder(folder.name))}: " + ("FAILED its check" if faults else "passed its check"))
    return 1 if faults else 0
