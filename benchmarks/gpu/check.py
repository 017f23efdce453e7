"""Everything that needs a CUDA GPU: tests marked `gpu`, then the speed of fitting and scoring against their targets.

    python -m benchmarks.gpu.check --output gpu_check.json
    python -m benchmarks.gpu.check --only fit --minutes 9      # or tests, score; the next call goes on

Smallest shape first. Each figure is in the JSON the moment it exists, and what is there is not measured again unless
`--again` is given. Runs from a checkout, without installation and network. Ends with status 1 where a test failed, 2 on
a machine without CUDA, or where the JSON is another card's.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.command import exit_status, new_parser
from benchmarks.gpu import fit, score
from benchmarks.gpu.parts import ROOT, Figures, Session, print_table
from benchmarks.gpu.random_models import SHAPES, gib_of
from competition_utils.errors import UserError

MINUTES = {None: 25.0, "tests": 9.0, "fit": 9.0, "score": 9.0}
TEST_SHARE = 0.25  # of the minutes, where tests are not all that is asked for
SHAPE = "gemma3-12b"  # that the targets are for
GIB = 2**30 / 1e9
# name, key of the table's row, column, factor, target, whether more is better
TARGETS = (
    ("fit, times the plain way", "unsloth", "speed_up", 1.0, 1.5, True),
    ("fit, share of the ceiling", "unsloth", "share_of_ceiling", 1.0, 0.45, True),
    ("fit, GB at 8 × 128 tokens", "unsloth", "peak_gib_8x128", GIB, 15.0, False),
    ("score, pairs/s of 60 tokens", "ours", "tokens_per_second", 1 / 60, 300.0, True),
    ("score, share of the ceiling", "ours", "share_of_ceiling", 1.0, 0.40, True),
)


def main() -> int:
    arguments = _parse()
    import torch

    if arguments.device == "cuda" and not torch.cuda.is_available():  # asks the driver, takes no memory
        print("gpu_check: needs a CUDA GPU, found none on this machine.")
        return 2
    return _check(arguments)


def _check(arguments: argparse.Namespace) -> int:
    figures = Figures(arguments.output, again=arguments.again)
    session = Session(figures, arguments.minutes or MINUTES[arguments.only], arguments.device)
    failed = []
    if arguments.only in (None, "tests"):
        failed = run_tests(session, session.left() * (1.0 if arguments.only else TEST_SHARE))
    wanted = {None: ("fit", "score"), "tests": ()}.get(arguments.only, (arguments.only,))
    if wanted:
        measure(session, arguments, wanted)
        report(session, arguments.shapes, wanted)
    print(f"results in {arguments.output}; {(session.clock() - session.started) / 60:.1f} minutes")
    return 1 if failed else 0


def _parse() -> argparse.Namespace:
    parser = new_parser(__doc__)
    parser.add_argument("--only", choices=["tests", "fit", "score"])
    parser.add_argument("--minutes", type=float, help="in all; 25, and 9 with --only")
    parser.add_argument("--output", type=Path, default=Path("gpu_check.json"))
    parser.add_argument("--again", action="store_true", help="measure what is in the JSON again")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["gemma3-1b", SHAPE], metavar="SHAPE")
    parser.add_argument("--rows", type=int, default=6_000, help="pairs that the engine scores")
    parser.add_argument("--models", type=Path, help="keep the random models here (24 GB for 12B), for the next call")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help=argparse.SUPPRESS)
    return parser.parse_args()


# Speed


def measure(session: Session, arguments: argparse.Namespace, wanted: tuple[str, ...]) -> None:
    """Fit and score by shape, smallest first; a model is made only where something of it is still to be measured."""
    _look_at_the_card(session)
    for shape in sorted(arguments.shapes, key=lambda shape: gib_of(shape, four_bit=False)):
        keys = [f"fit/{shape}/{part}" for part in fit.PARTS] if "fit" in wanted else []
        keys += [f"score/{shape}/{way}" for way in score.ways(session.device)] if "score" in wanted else []
        if all(map(session.figures.has, keys)) or not _fits(session, shape, keys):
            continue
        folder = Path(arguments.models or tempfile.mkdtemp(prefix="gpu-check-")) / shape
        try:
            if _model_in(session, shape, folder):
                if "fit" in wanted:
                    fit.measure_shape(session, shape, folder / "base")
                if "score" in wanted:
                    score.measure_shape(session, shape, folder, arguments.rows)
        finally:
            if arguments.models is None:
                shutil.rmtree(folder.parent)


def _look_at_the_card(session: Session) -> None:
    """Its name, memory and ceiling, found anew by each call. UserError where the figures are of another card."""
    before = session.figures.known.pop("card", {})
    card = session.measure("card", "parts", session.device)
    if card is None:
        raise UserError("gpu_check: expected to measure the card, found no figure; see the lines above.")
    if before.get("name", card["name"]) != card["name"]:
        session.figures.add("card", before)
        raise UserError(
            f"{session.figures.file}: expected figures of {card['name']}, found those of {before['name']}. Give "
            "another --output, or --again."
        )


def _fits(session: Session, shape: str, keys: list[str]) -> bool:
    """Whether the shape fits into the card in 4 bits and, while it is written, on the disk; says so where not."""
    needed, card = gib_of(shape, four_bit=True) + score.ROOM_GIB, session.figures.get("card")["gib"]
    on_disk, free = gib_of(shape, four_bit=False), shutil.disk_usage(tempfile.gettempdir()).free / 2**30
    reason = None
    if session.device == "cuda" and needed > card:
        reason = f"needs {needed:.0f} GiB, the card has {card:.0f}"
    elif on_disk > free:
        reason = f"needs {on_disk:.0f} GiB of disk, {free:.0f} are free"
    for key in keys if reason else ():
        if not session.figures.has(key):
            session.skip(key, reason)
    return reason is None


def _model_in(session: Session, shape: str, folder: Path) -> bool:
    """Whether the model is in `folder`, made there where it was not."""
    if (folder / "fitted" / "model.json").is_file():  # written last
        return True
    session.figures.known.pop(f"model/{shape}", None)
    return session.measure(f"model/{shape}", "random_models", shape, str(folder), session.device) is not None


def report(session: Session, shapes: list[str], wanted: tuple[str, ...]) -> None:
    """Print what was measured, and add the verdict to the figures."""
    fits = [row for shape in shapes for row in fit.table(session, shape)]
    scores = [row for shape in shapes for row in score.table(session, shape)]
    for name, rows, heads in (("fit", fits, fit.HEADS), ("score", scores, score.HEADS)):
        if name in wanted:
            print_table(rows, heads)
    found = verdict([*fits, *scores])
    session.figures.add("verdict", found)
    for line in found["lines"]:
        print(line)


def verdict(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """`lines` on the targets: met, missed, or not measured; the fastest of the engine's ways counts."""
    ours = [row for row in rows if row["shape"] == SHAPE]
    by_name = {"unsloth": next((row for row in ours if row["way"] == "unsloth"), {})}
    engine = [row for row in ours if row["way"].startswith("ours")]
    by_name["ours"] = max(engine, key=lambda row: row["tokens_per_second"], default={})
    lines = []
    for name, row, column, factor, target, more in TARGETS:
        aim = f"{'at least' if more else 'below'} {target:g}"
        value = by_name[row].get(column)
        if value is None:
            lines.append(f"{SHAPE}, {name}: not measured (target {aim})")
            continue
        value *= factor
        met = value >= target if more else value < target
        lines.append(f"{SHAPE}, {name}: {value:.3g}, {'met' if met else 'MISSED'} (target {aim})")
    return {"lines": lines}


# Tests


def run_tests(session: Session, seconds: float) -> list[str]:
    """Run the tests marked `gpu` that have not passed yet, each noted as it ends; gives those that failed."""
    known = session.figures.known.get("tests", {})
    if find_spec("pytest") is None:
        print("tests: skipped, pytest is not installed")
        return []
    passed = [name for name, outcome in known.items() if outcome == "PASSED"]
    line = [sys.executable, "-m", "pytest", "-m", "gpu", "-vv", *(f"--deselect={name}" for name in passed)]
    for name, outcome in _outcomes(line, seconds):
        known[name] = outcome
        session.figures.add("tests", known)
    failed = [name for name, outcome in known.items() if outcome in ("FAILED", "ERROR")]
    skipped = sum(outcome == "SKIPPED" for outcome in known.values())
    print(f"tests: {len(known) - len(failed) - skipped} passed, {len(failed)} failed, {skipped} skipped")
    return failed


def _outcomes(line: list[str], seconds: float) -> Iterator[tuple[str, str]]:
    """Test and outcome as pytest prints them; stops it after `seconds`, and says so."""
    until = time.monotonic() + seconds
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True, errors="replace") as tests:
        stop = threading.Timer(seconds, tests.kill)
        stop.start()
        for text in tests.stdout:
            name, _, outcome = text.strip().partition(" ")
            if "::" in name and outcome.split(" ")[0] in ("PASSED", "FAILED", "ERROR", "SKIPPED"):
                print(text, end="", flush=True)
                yield name, outcome.split(" ")[0]
        stop.cancel()
    if time.monotonic() >= until:
        print(f"tests: stopped after {seconds:.0f} s; the next call goes on behind what has passed")


if __name__ == "__main__":
    sys.exit(exit_status(main))
