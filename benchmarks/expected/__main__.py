"""Compare figures measured here with those that are expected: OK, near or FAIL for each.

    python -m benchmarks.expected                       what the commands have left; a missing figure is FAIL
    python -m benchmarks.expected --only sample --run   run the commands of an experiment first
    python -m benchmarks.expected --json FILE           the same as JSON
    python -m benchmarks.expected --record              put what is there into results.json
    python -m benchmarks.expected --recorded            compare results.json, on whatever machine it was measured
    python -m benchmarks.expected --write-tables        the tables of README and docs/MEASURED.md from results.json

The exit status is 1 where a figure is FAIL. A figure whose experiment needs what this machine lacks is "not here".
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.command import exit_status, new_parser
from benchmarks.expected import tables
from benchmarks.expected.experiments import (
    FAIL,
    NEAR,
    NOT_HERE,
    OK,
    RESULTS,
    ROOT,
    Experiment,
    Result,
    as_values,
    chosen,
    measured_here,
    read_experiments,
    recorded,
)
from competition_utils.errors import UserError
from competition_utils.storage import read_json, write_json

STYLES = {OK: "green", NEAR: "yellow", FAIL: "bold red", NOT_HERE: "dim"}


def run_commands(experiments: dict[str, Experiment]) -> None:
    """Run the commands of each experiment that can run here; UserError where one fails."""
    for name, experiment in experiments.items():
        for command in [] if experiment.needs.lacking() else experiment.commands:
            print(f"\n{name}: {command}", flush=True)
            words = [sys.executable if word == "python" else word for word in shlex.split(command)]
            if status := subprocess.run(words, cwd=ROOT).returncode:
                raise UserError(f"{name}: expected `{command}` to succeed, found exit status {status}.")


def show(results: Sequence[Result]) -> None:
    table = Table("figure", "expected", "found", "verdict", "what", box=box.SIMPLE_HEAD)
    for column in table.columns[:4]:
        column.no_wrap = True
    shown = ""
    for each in results:
        if each.experiment != shown:
            shown = each.experiment
            table.add_row(f"[bold]{shown}[/]")
        sign = {"neither": "±", "more": "−", "less": "+"}[each.figure.better]
        expected = f"{_number(each.figure.expected)} {sign} {_number(each.figure.tolerance)}"
        found = "–" if each.value is None else _number(each.value)
        verdict = f"[{STYLES[each.verdict]}]{each.verdict}[/]"
        table.add_row(each.name, expected, found, verdict, each.figure.what)
    console = Console()
    console.print(table)
    for why in dict.fromkeys(f"{each.experiment}: {each.why}" for each in results if each.why):
        console.print(why, soft_wrap=True)
    counts = {verdict: sum(each.verdict == verdict for each in results) for verdict in STYLES}
    console.print(", ".join(f"{verdict} {count}" for verdict, count in counts.items() if count))


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"


def _as_json(results: Sequence[Result]) -> list[dict]:
    return [
        {
            "figure": f"{each.experiment}.{each.name}",
            "what": each.figure.what,
            "expected": each.figure.expected,
            "tolerance": each.figure.tolerance,
            "found": each.value,
            "verdict": each.verdict,
            "why": each.why,
        }
        for each in results
    ]


def record(results: Sequence[Result]) -> None:
    """Put the figures that are there into results.json; the others stay as they were."""
    before = read_json(RESULTS) if RESULTS.is_file() else {}
    new = as_values(list(results))
    write_json(RESULTS, {name: before.get(name, {}) | new.get(name, {}) for name in sorted({*before, *new})})


def compare(args: argparse.Namespace) -> int:
    everything = read_experiments()
    experiments = chosen(everything, args.only)
    if args.run:
        run_commands(experiments)
    results = recorded(experiments) if args.recorded else measured_here(experiments)
    show(results)
    if args.json:
        write_json(args.json, _as_json(results))
    if args.record:
        record(results)
    if args.write_tables:
        tables.write(everything, as_values(recorded(everything)))
    return int(any(each.verdict == FAIL for each in results))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = new_parser(__doc__)
    parser.add_argument("--only", metavar="NAME", nargs="+", default=[], help="experiments: names of the YAML files")
    parser.add_argument("--run", action="store_true", help="run their commands first; minutes to hours")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON, too")
    parser.add_argument("--record", action="store_true", help="put the figures into results.json")
    parser.add_argument("--recorded", action="store_true", help="compare results.json instead")
    parser.add_argument("--write-tables", action="store_true", help="make the pages' tables from results.json")
    return exit_status(lambda: compare(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
