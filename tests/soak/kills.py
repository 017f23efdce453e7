"""Kills work at random moments, does it again, and compares what is left with unbroken work.

    python tests/soak/kills.py --moments 20 --jobs 2 --output soak.json --table docs/RELIABILITY.md
    python tests/soak/kills.py mining finetune --moments 3

Parts of the work run in forks of this process, which has imported everything and computed nothing; stages and sweeps
are command lines with kernels of their own, and the moments begin with the first kernel.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd
from small_run import contents, make_small_project
from soak.table import fault_tests, write_table
from soak.work import NETWORKS, PARTS, import_networks, prepare_inputs

from competition_utils import paths

SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
REPOSITORY = Path(__file__).resolve().parents[2]
SWEEP = "sweep"
HOLD_TIMES = (".ipynb", ".yaml", ".jsonl", ".png", ".html")
KERNEL_SECONDS = 30  # a kernel notices within a second that its runner is gone; a busy machine takes longer


@dataclass
class Result:
    """The trials of one part with one signal, `missed` ones, where the work had ended before the signal, besides."""

    part: str
    signal: str
    tried: int = 0
    missed: int = 0
    lost: int = 0
    leftovers: int = 0
    orphans: int = 0
    seen: list[str] = field(default_factory=list)

    def wants(self, moments: int) -> bool:
        """Whether fewer signals than `moments` have reached the work, and it does not end before most of them."""
        return self.tried < moments and self.missed < 5 * moments


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

    def runs(self) -> bool:
        return self._process.poll() is None

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
    while result.wants(moments):
        place = folder / "killed"
        status = _kill(Fork(work, inputs, place), number, draw.uniform(0, seconds), result)
        again, _ = Fork(work, inputs, place).wait()
        result.lost += again != 0 or contents(place / "out") != expected
        result.leftovers += len(list(place.rglob("*.part"))) if status != -signal.SIGKILL else 0
        shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(folder)
    return result


def try_command(trial: Trial, moments: int, draw: random.Random) -> Iterator[Result]:
    """Kill a stage or a sweep at random moments, with each signal, and resume it."""
    trial.begin()
    started = trial.start()
    seconds, expected = trial.seconds_of(started), trial.contents()
    for number in SIGNALS:
        result = Result(trial.name, number.name)
        while result.wants(moments):
            trial.begin()
            _kill(trial.start(), number, draw.uniform(0, seconds), result)
            result.orphans += processes_of(trial.project)
            again, _ = trial.command().wait()
            result.lost += again != 0 or trial.contents() != expected
            result.leftovers += len(list(trial.project.rglob("*.part")))
        yield result


@dataclass
class Trial:
    """A command line in a project, begun again and again from what `before` holds of `papermill_runs/`."""

    name: str
    arguments: list[str]
    project: Path
    before: Path

    def begin(self) -> None:
        for name in ("papermill_runs", "submissions"):
            shutil.rmtree(self.project / name, ignore_errors=True)
        shutil.copytree(self.before, self.project / "papermill_runs")

    def command(self) -> Command:
        return Command(self.arguments, self.project)

    def start(self) -> Command:
        """The command, when its first kernel is there: before that nothing is worked on."""
        command = self.command()
        while command.runs() and len(processes(self.project)) < 2:
            time.sleep(0.01)
        return command

    def seconds_of(self, command: Command) -> float:
        started = time.monotonic()
        status, seen = command.wait()
        assert status == 0, f"{self.name} fails without a kill: {seen}"
        return time.monotonic() - started

    def contents(self) -> dict[str, dict[str, bytes]]:
        """Runs and submissions without what holds times, and without notebooks, which hold times too."""
        runs = contents(self.project / "papermill_runs")
        kept = {name: data for name, data in runs.items() if not name.endswith(HOLD_TIMES) and name[:6] != "store/"}
        return {"runs": kept, "submissions": contents(self.project / "submissions")}


def make_trial(name: str, folder: Path) -> Trial:
    """The trial of a stage, on a run whose earlier stages are finished, or of a sweep, from nothing."""
    project, before = make_small_project(folder / "project"), folder / "before"
    before.mkdir()
    if name == SWEEP:
        shutil.copy(project / "configs" / "small.yaml", project / "configs" / "also.yaml")
        return Trial(name, ["sweep", "small", "also", "--resume"], project, before)
    position = paths.STAGES.index(name)
    if position:
        earlier = ["run", "small", "--to", paths.STAGES[position - 1]]
        assert Command(earlier, project).wait()[0] == 0, f"the stages before {name} fail"
        shutil.copytree(project / "papermill_runs", before, dirs_exist_ok=True)
    return Trial(name, ["run", "small", "--resume", "--to", name], project, before)


def _kill(work: Fork | Command, number: signal.Signals, after: float, result: Result) -> int:
    time.sleep(after)
    work.send(number)
    status, seen = work.wait()
    result.missed += status == 0
    result.tried += status != 0
    said = f"status {status}: {seen}" if seen else f"status {status}"
    if said not in result.seen:
        result.seen.append(said)
    return status


def processes(project: Path) -> list[int]:
    """The processes that work for a project."""
    mark, found = f"COMPETITION_UTILS_ROOT={project}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # it ended meanwhile
            continue
    return found


def processes_of(project: Path) -> int:
    """How many still work for a project after they had time to notice that their runner is gone."""
    until = time.monotonic() + KERNEL_SECONDS
    while (alive := len(processes(project))) and time.monotonic() < until:
        time.sleep(0.2)
    return alive


def kill_work(names: list[str], moments: int, seed: int) -> Iterator[Result]:
    """The trials of parts, stages and the sweep, one after the other."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as temporary:
        inputs, folder = Path(temporary) / "inputs", Path(temporary) / "trial"
        networks = any(name in NETWORKS for name in names)
        if networks:
            import_networks()
        if any(name in PARTS for name in names):
            assert Fork(lambda _, folder: prepare_inputs(folder, networks), inputs, inputs).wait()[0] == 0, "no inputs"
        for name in names:
            if name in PARTS:
                yield from (try_part(name, number, inputs, folder, moments, draw) for number in SIGNALS)
            else:
                yield from try_command(make_trial(name, Path(temporary) / name), moments, draw)


def kill_in_a_process(name: str, moments: int, seed: int, folder: Path) -> list[Result]:
    """`kill_work` of one name in a process of its own, since forks of a process with threads may hang."""
    output = folder / f"{name}.json"
    command = [sys.executable, __file__, "--moments", str(moments), "--seed", str(seed), "--output", str(output), name]
    subprocess.run(command, check=False)
    return [Result(**each) for each in json.loads(output.read_text(encoding="utf-8"))["kills"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*PARTS, *paths.STAGES, SWEEP]
    parser.add_argument("names", nargs="*", default=known, metavar="NAME", help=f"of {', '.join(known)} (default: all)")
    parser.add_argument("--moments", type=int, default=20, help="random moments for each name and signal")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="names under trial at the same time")
    parser.add_argument("--output", type=Path, default=Path("soak.json"))
    parser.add_argument("--table", type=Path, help="write docs/RELIABILITY.md here, the tests of faults run besides")
    args = parser.parse_args()
    if unknown := [name for name in args.names if name not in known]:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    results = []
    if args.jobs == 1:
        for result in kill_work(args.names, args.moments, args.seed):
            results.append(result)
            print(result, flush=True)
    else:
        with ThreadPoolExecutor(args.jobs) as pool, tempfile.TemporaryDirectory() as folder:
            made = [pool.submit(kill_in_a_process, name, args.moments, args.seed, Path(folder)) for name in args.names]
            results = [result for each in made for result in each.result()]
    tests = fault_tests(REPOSITORY) if args.table else []
    made = {"machine": machine(), "seed": args.seed, "moments": args.moments}
    made |= {"kills": [asdict(each) for each in results], "tests": tests}
    args.output.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    if args.table:
        write_table(args.table, made)
    if results:
        print(pd.DataFrame(made["kills"]).drop(columns="seen").to_string())
    sys.exit(any(each.lost or each.orphans or each.leftovers for each in results))


def machine() -> str:
    """System, architecture, processor and number of cores."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs ({model})"


if __name__ == "__main__":
    main()
