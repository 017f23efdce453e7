"""Kills work at random moments, does it again, and compares what is left with unbroken work.

    python tests/soak/kills.py --moments 20 --output soak.json --table docs/RELIABILITY.md

Parts of the work run in forks of this process, which has imported everything and computed nothing; runs and sweeps are
command lines with kernels of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd
from small_run import contents, make_small_project
from soak.table import fault_tests, write_table
from soak.work import NETWORKS, PARTS, import_networks, prepare_inputs

SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
REPOSITORY = Path(__file__).resolve().parents[2]
COMMANDS = {"run": ["run", "small", "--resume"], "sweep": ["sweep", "small", "also"]}
KERNEL_SECONDS = 30  # a kernel notices within a second that its runner is gone; a busy machine takes longer


@dataclass
class Result:
    """The trials of one part with one signal. `missed`: the work had ended before the signal came."""

    part: str
    signal: str
    tried: int = 0
    missed: int = 0
    lost: int = 0
    leftovers: int = 0
    orphans: int = 0
    seen: list[str] = field(default_factory=list)


class Fork:
    """A part of the work in a fork of this process, which stops on SIGINT and SIGTERM as the command line does."""

    def __init__(self, work: Callable[[Path, Path], None], inputs: Path, folder: Path):
        self._child = os.fork()
        if self._child == 0:
            os._exit(self._work(work, inputs, folder))

    @staticmethod
    def _work(work: Callable[[Path, Path], None], inputs: Path, folder: Path) -> int:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        try:
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            work(inputs, folder)
        except KeyboardInterrupt:
            return 130
        except BaseException:
            return 1
        return 0

    def send(self, number: signal.Signals) -> None:
        os.kill(self._child, number)

    def wait(self) -> tuple[int, str]:
        """Exit status, and what a user saw."""
        return os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1]), ""


class Command:
    """A command line of the suite in a project; its standard error is what a user sees at the end."""

    def __init__(self, arguments: list[str], project: Path):
        environment = {**os.environ, "COMPETITION_UTILS_ROOT": str(project), "PYTHONPATH": str(REPOSITORY)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "competition_utils", *arguments],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> tuple[int, str]:
        errors = self._process.communicate()[1].strip().splitlines()
        return self._process.returncode, errors[-1] if errors else ""


def try_part(
    name: str, number: signal.Signals, inputs: Path, folder: Path, moments: int, draw: random.Random
) -> Result:
    """Kill a part of `soak.work` at random moments and do it again."""
    work = PARTS[name]
    started = time.monotonic()
    assert Fork(work, inputs, folder / "whole").wait()[0] == 0, f"{name} fails without a kill"
    seconds, expected = time.monotonic() - started, contents(folder / "whole" / "out")
    result = Result(name, number.name)
    for _ in range(moments):
        place = folder / "killed"
        status = _kill(Fork(work, inputs, place), number, draw.uniform(0, seconds), result)
        again, _ = Fork(work, inputs, place).wait()
        result.lost += again != 0 or contents(place / "out") != expected
        result.leftovers += len(list(place.rglob("*.part"))) if status != -signal.SIGKILL else 0
        shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(folder)
    return result


def try_command(name: str, arguments: list[str], project: Path, moments: int, draw: random.Random) -> Iterator[Result]:
    """Kill a run or a sweep at random moments, with each signal, and resume it."""
    runs = project / "papermill_runs"
    shutil.rmtree(runs, ignore_errors=True)
    started = time.monotonic()
    assert Command(arguments, project).wait()[0] == 0, f"{name} fails without a kill"
    seconds, expected = time.monotonic() - started, contents_of_runs(project)
    for number in SIGNALS:
        result = Result(name, number.name)
        for _ in range(moments):
            shutil.rmtree(runs, ignore_errors=True)
            shutil.rmtree(project / "submissions", ignore_errors=True)
            _kill(Command(arguments, project), number, draw.uniform(1, seconds), result)
            result.orphans += processes_of(project)
            again, _ = Command(arguments, project).wait()
            result.lost += again != 0 or contents_of_runs(project) != expected
            result.leftovers += len(list(runs.rglob("*.part")))
        yield result


def _kill(work: Fork | Command, number: signal.Signals, after: float, result: Result) -> int:
    time.sleep(after)
    work.send(number)
    status, seen = work.wait()
    result.tried += 1
    result.missed += status == 0
    said = f"status {status}: {seen}" if seen else f"status {status}"
    if said not in result.seen:
        result.seen.append(said)
    return status


def contents_of_runs(project: Path) -> dict[str, dict[str, bytes]]:
    """Runs and submissions without what holds times, and without notebooks, which hold times too."""
    runs = contents(project / "papermill_runs")
    kept = {name: data for name, data in runs.items() if not name.endswith((".ipynb", ".yaml", ".jsonl", ".png"))}
    return {"runs": kept, "submissions": contents(project / "submissions")}


def processes_of(project: Path) -> int:
    """Processes that still work for a project, after they had time to notice that their runner is gone."""
    mark, until = f"COMPETITION_UTILS_ROOT={project}".encode(), time.monotonic() + KERNEL_SECONDS
    while True:
        alive = 0
        for environment in Path("/proc").glob("[0-9]*/environ"):
            try:
                alive += mark in environment.read_bytes().split(b"\0")
            except OSError:  # it ended meanwhile
                continue
        if not alive or time.monotonic() > until:
            return alive
        time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=20, help="random moments for each part and signal")
    parser.add_argument("--run-moments", type=int, help="the same for whole runs and sweeps (default: --moments)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS), help="default: all")
    parser.add_argument("--commands", nargs="*", default=list(COMMANDS), choices=list(COMMANDS), help="default: all")
    parser.add_argument("--output", type=Path, default=Path("soak.json"))
    parser.add_argument("--table", type=Path, help="write docs/RELIABILITY.md here, the tests of faults run besides")
    args = parser.parse_args()
    draw, results = random.Random(args.seed), []
    run_moments = args.moments if args.run_moments is None else args.run_moments
    with tempfile.TemporaryDirectory() as temporary:
        inputs = Path(temporary) / "inputs"
        networks = any(name in NETWORKS for name in args.parts)
        if networks:
            import_networks()
        assert Fork(lambda _, folder: prepare_inputs(folder, networks), inputs, inputs).wait()[0] == 0, "no inputs"
        for name in args.parts:
            for number in SIGNALS:
                results.append(try_part(name, number, inputs, Path(temporary) / "trial", args.moments, draw))
                print(results[-1], flush=True)
        project = make_small_project(Path(temporary) / "project")
        shutil.copy(project / "configs" / "small.yaml", project / "configs" / "also.yaml")
        for name in args.commands if run_moments else ():
            for result in try_command(name, COMMANDS[name], project, run_moments, draw):
                results.append(result)
                print(result, flush=True)
    tests = fault_tests(REPOSITORY) if args.table else []
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    made = {"machine": machine, "seed": args.seed, "kills": [asdict(each) for each in results], "tests": tests}
    args.output.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    if args.table:
        write_table(args.table, made)
    print(pd.DataFrame(made["kills"]).drop(columns="seen").to_string())
    sys.exit(any(each.lost or each.orphans or each.leftovers for each in results))


if __name__ == "__main__":
    main()
