"""A MiniLM fit alone and beside busy neighbours: how much slower, against its fair share of the cores.

    python -m benchmarks.speed.busy [--rows 3072] [--json FILE]

A neighbour is a program that only counts, bound to no core. Fair is that every thread that has work gets the same: a
fit with a thread a core, which takes T seconds alone, takes T x (cores + neighbours) / cores then. Neighbours are there
from the start, or come when the fit is at work; at most twice the fair time is the aim.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from benchmarks.command import exit_status, new_parser
from competition_utils.storage import read_json, write_json

CASES = {  # neighbours, and the seconds after which they come
    "alone": (0, 0),
    "one neighbour": (1, 0),
    "two neighbours": (2, 0),
    "two neighbours, later": (2, 15),
}
SETTINGS = {"total_batch_size": 64, "num_train_epochs": 1, "eval_steps": 0.5}
AIM = 2.0


def fit(folder: Path, rows: int) -> None:
    """Fit MiniLM and leave `seconds, notes` in the folder; in a process of its own."""
    from competition_utils.models.base import new_model
    from competition_utils.storage import read_parquet

    table = read_parquet(folder.parent / "train.parquet").assign(query_en="", weight=1.0, source="original")
    model = new_model("encoder", SETTINGS)
    folder.mkdir()
    report = model.fit(table.head(rows), table.tail(64), work_dir=folder, seed=0)
    write_json(folder / "fitted.json", {"seconds": report.seconds, "notes": report.notes})


@contextmanager
def neighbours(count: int, after: float):
    """So many busy programs within the block, started after some seconds by a shell that waits."""
    command = [sys.executable, "-c", f"import time; time.sleep({after})\nwhile True: pass"]
    started = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for program in started:
            program.kill()
            program.wait()


def make_table(folder: Path, rows: int) -> None:
    """The rows that are fitted: the built-in sample's, cleaned."""
    from competition_utils.data.prepare import prepare
    from competition_utils.storage import write_parquet
    from competition_utils.synthetic.competition import make_sample
    from competition_utils.tasks import QC

    make_sample(folder / "data", rows=rows + 64, dev_rows=100, test_rows=100)
    write_parquet(folder / "train.parquet", prepare(folder / "data", [QC]).tables["QC_train"])


def measure(case: str, folder: Path, rows: int) -> dict:
    count, after = CASES[case]
    place = folder / case.replace(" ", "_").replace(",", "")
    command = [sys.executable, "-m", __spec__.name, "--rows", str(rows), "--child", str(place)]
    began = time.monotonic()
    with neighbours(count, after):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = read_json(place / "fitted.json")
    return {"case": case, "neighbours": count, "whole_seconds": time.monotonic() - began, **found}


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--rows", type=int, default=3072, help="rows of the fit, 64 a step")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        fit(args.child, args.rows)
        return
    cores, results = len(os.sched_getaffinity(0)), []
    print(f"{'case':<22} {'seconds':>8} {'fair':>8} {'times fair':>10}  notes")
    with tempfile.TemporaryDirectory() as temporary:
        make_table(Path(temporary), args.rows)
        for case in CASES:
            result = measure(case, Path(temporary), args.rows)
            alone = results[0]["seconds"] if results else result["seconds"]
            result["fair_seconds"] = alone * (cores + result["neighbours"]) / cores
            result["times_fair"] = result["seconds"] / result["fair_seconds"]
            results.append(result)
            figures = "{seconds:8.1f} {fair_seconds:8.1f} {times_fair:10.2f}".format(**result)
            print(f"{case:<22} {figures}  {'; '.join(result['notes'])}", flush=True)
    if args.json:
        write_json(args.json, {"benchmark": "busy", "cores": cores, "aim": AIM, "results": results})
    sys.exit(any(result["times_fair"] > AIM for result in results))


if __name__ == "__main__":
    sys.exit(exit_status(main))
