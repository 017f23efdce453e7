"""`ledger`: every run that ended, in one table."""

from __future__ import annotations

import argparse

HELP = "list every finished run: figures, cost, settings that differ, versions and hashes"
EXAMPLES = """\
  python -m competition_utils ledger
  python -m competition_utils ledger --store
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    store = parser.add_mutually_exclusive_group()
    store.add_argument("--store", action="store_true", help="instead: the stages that runs share, and their size")
    store.add_argument("--clear-store", action="store_true", help="remove these; runs keep what they have")


def run(args: argparse.Namespace) -> int:
    from competition_utils import paths
    from competition_utils.errors import UserError
    from competition_utils.runs import ledger
    from competition_utils.runs.report.page import write_runs_page
    from competition_utils.runs.report.tables import print_table, runs_table

    if args.store or args.clear_store:
        return _store(clear=args.clear_store)
    path = paths.ledger_path()
    entries = ledger.read(path)
    if not entries:
        raise UserError(f"ledger: expected a line a finished run in {paths.shown(path)}, found none. Run one first.")
    table = runs_table(entries)
    print_table(table.frame, table.same)
    page = write_runs_page(path.with_suffix(".html"), "All runs", table)
    print(f"\npage  {paths.shown(page)}")
    return 0


def _store(clear: bool) -> int:
    import pandas as pd

    from competition_utils.paths import shown
    from competition_utils.runs.report.tables import print_table
    from competition_utils.runs.sharing.store import Store

    store = Store()
    sizes = pd.DataFrame.from_dict(store.size(), orient="index").rename_axis("stage")
    sizes.loc["all"] = sizes.sum()
    print_table(sizes.assign(MB=sizes.pop("bytes") / 1e6))
    if clear:
        store.clear()
    print(f"\n{shown(store.folder)}{' was removed' if clear else ''}")
    return 0
