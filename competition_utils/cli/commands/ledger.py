"""`ledger`: every run that ended, in one table."""

from __future__ import annotations

import argparse

HELP = "list every finished run: figures, cost, settings that differ, versions and hashes"
EXAMPLES = """\
  python -m competition_utils ledger
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser  # it takes none


def run(args: argparse.Namespace) -> int:
    from competition_utils import paths
    from competition_utils.errors import UserError
    from competition_utils.runs import ledger
    from competition_utils.runs.report.page import write_runs_page
    from competition_utils.runs.report.tables import print_table, runs_table

    path = paths.ledger_path()
    entries = ledger.read(path)
    if not entries:
        raise UserError(f"ledger: expected a line a finished run in {paths.shown(path)}, found none. Run one first.")
    table = runs_table(entries)
    print_table(table.frame, table.same)
    page = write_runs_page(path.with_suffix(".html"), "All runs", table)
    print(f"\npage  {paths.shown(page)}")
    return 0
