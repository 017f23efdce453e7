"""Trials: work is killed at a random moment, done again, and what it leaves is compared with unbroken work."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from small_run import STRATEGIES, contents, make_small_project
from soak.forks import Forks, has_ended
from soak.work import PARTS

from competition_utils import paths

STOPPING = (signal.SIGINT, signal.SIGTERM)
SIGNALS = (signal.SIGKILL, *STOPPING)
STOPPED = {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130, signal.SIGTERM: 130}  # the exit status
SWEEP = "sweep"
HOLD_TIMES = (".ipynb", ".yaml", ".jsonl", ".png", ".html")
KERNEL_SECONDS = 30  # a kernel notices within a second that its runner is gone; a busy machine takes longer


@dataclass
class Result:
    """The trials of one part with one signal, `missed` ones, where the work had ended before the signal, besides.

    `lost`: results that differ; `leftovers`: half-written files; `orphans`: processes that outlive their runner;
    `amiss`: trials in which a user saw a traceback, or a status that is none of a stopped program.
    """

    part: str
    signal: str
    tried: int = 0
    missed: int = 0
    lost: int = 0
    leftovers: int = 0
    orphans: int = 0
    amiss: int = 0
    seconds: float = 0.0
    seen: list[str] = field(default_factory=list)

    def wants(self, moments: int) -> bool:
        """Whether fewer signals than `moments` have reached the work, and it does not end before most of them."""
        return self.tried < moments and self.missed < 5 * moments

    def note(self, number: signal.Signals, status: int, errors: str = "") -> None:
        """Count a trial by exit status and standard error of the work that got the signal."""
        self.missed += status == 0
        self.tried += status != 0
        self.amiss += status not in (0, STOPPED[number]) or "Traceback" in errors
        lines = errors.strip().splitlines()
        said = f"status {status}: {lines[-1]}" if lines else f"status {status}"
        if said not in self.seen:
            self.seen.append(said)

    def note_differences(self, expected: dict[str, bytes], found: dict[str, bytes]) -> None:
        """Count a result that is not as that of unbroken work, and name its files."""
        differ = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        if differ:
            self.lost += 1
            self.seen.append(f"not as expected: {', '.join(differ)}")

    @property
    def faults(self) -> int:
        return self.lost + self.leftovers + self.orphans + self.amiss


class Fork:
    """A part of the work in a fork of this process, which stops on SIGINT and SIGTERM as the command line does."""

    def __init__(self, work: Callable[[Path, Path], None], inputs: Path, folder: Path):
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # one may come right after the fork
        self.process = os.fork()
        if self.process == 0:
            os._exit(self._work(work, inputs, folder))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)

    @staticmethod
    def _work(work: Callable[[Path, Path], None], inputs: Path, folder: Path) -> int:
        try:
            for number in STOPPING:
                signal.signal(number, signal.default_int_handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            work(inputs, folder)
        except KeyboardInterrupt:
            return 130
        except BaseException:
            return 1
        return 0

    def wait(self) -> int:
        """Exit status."""
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


@dataclass
class Moments:
    """Random moments within the `seconds` of the work until `most` signals have reached it; those of earlier trials,
    which `result` counts already, are left out."""

    result: Result
    seconds: float
    most: int
    seed: int

    def __iter__(self) -> Iterator[float]:
        draw = random.Random(f"{self.seed} {self.result.part} {self.result.signal}")
        for _ in range(self.result.tried + self.result.missed):
            draw.random()
        while self.result.wants(self.most):
            yield draw.random() * self.seconds

    def send(self, process: int, moment: float) -> None:
        """Send the signal to the work at its moment, or when it ended before: it is faster than was thought then."""
        began = time.monotonic()
        while (gone := time.monotonic() - began) < moment and not has_ended(process):
            time.sleep(min(0.005, moment - gone))
        if has_ended(process):
            self.seconds = min(self.seconds, gone)
        os.kill(process, signal.Signals[self.result.signal])


def try_part(result: Result, inputs: Path, folder: Path, moments: int, seed: int) -> Iterator[Result]:
    """Kill a part of `soak.work` at random moments and do it again; gives `result` after each trial."""
    work, number = PARTS[result.part], signal.Signals[result.signal]
    began = time.monotonic()
    assert Fork(work, inputs, folder / "whole").wait() == 0, f"{result.part} fails without a kill"
    seconds, expected = time.monotonic() - began, contents(folder / "whole" / "out")
    place = folder / "killed"
    drawn = Moments(result, seconds, moments, seed)
    for moment in drawn:
        began = time.monotonic()
        fork = Fork(work, inputs, place)
        drawn.send(fork.process, moment)
        status = fork.wait()
        result.note(number, status)
        again = Fork(work, inputs, place).wait()
        result.note_differences(expected, contents(place / "out") if again == 0 else {})
        result.leftovers += len(list(place.rglob("*.part"))) if status != -signal.SIGKILL else 0
        shutil.rmtree(place, ignore_errors=True)
        result.seconds += time.monotonic() - began
        yield result
    shutil.rmtree(folder)


@dataclass
class Trial:
    """A command line in a project, begun again and again from what `before` holds of `papermill_runs/`."""

    arguments: list[str]
    forks: Forks
    before: Path

    def begin(self) -> None:
        for name in ("papermill_runs", "submissions"):
            shutil.rmtree(self.forks.project / name, ignore_errors=True)
        shutil.copytree(self.before, self.forks.project / "papermill_runs")

    def finish(self) -> None:
        """Do the work, or what is left of it."""
        self.forks.start(self.arguments)
        status, errors = self.forks.wait()
        assert status == 0, f"{self.arguments} ended with status {status}: {errors}"

    def contents(self) -> dict[str, bytes]:
        """Runs and submissions without what holds times, notebooks among them; the shared store is compared by what
        the runs took from it."""
        runs = contents(self.forks.project / "papermill_runs")
        kept = {name: data for name, data in runs.items() if not name.endswith(HOLD_TIMES) and name[:6] != "store/"}
        submissions = contents(self.forks.project / "submissions")
        return kept | {f"submissions/{name}": data for name, data in submissions.items()}


def try_command(trial: Trial, result: Result, moments: int, seed: int) -> Iterator[Result]:
    """Kill a stage or a sweep at random moments between its first and its last second, and resume it."""
    number = signal.Signals[result.signal]
    trial.begin()
    began = time.monotonic()
    trial.finish()
    seconds, expected = time.monotonic() - began, trial.contents()
    drawn = Moments(result, seconds, moments, seed)
    for moment in drawn:
        began = time.monotonic()
        trial.begin()
        drawn.send(trial.forks.start(trial.arguments), moment)
        result.note(number, *trial.forks.wait())
        result.orphans += still_working(trial.forks)
        try:
            trial.finish()
            result.note_differences(expected, trial.contents())
        except AssertionError as error:
            result.lost += 1
            result.seen.append(str(error))
        result.leftovers += len(list(trial.forks.project.rglob("*.part")))
        result.seconds += time.monotonic() - began
        yield result


def still_working(forks: Forks) -> int:
    """How many processes still work for a project after they had time to notice that their runner is gone."""
    until = time.monotonic() + KERNEL_SECONDS
    while (alive := len(forks.processes())) and time.monotonic() < until:
        time.sleep(0.05)
    return alive


def make_trial(name: str, folder: Path) -> Trial:
    """The trial of a stage, on a run whose earlier stages are finished, or of a sweep, from nothing."""
    project, before = make_small_project(folder / "project"), folder / "before"
    before.mkdir()
    forks = Forks(project)
    if name == SWEEP:
        return Trial(["sweep", "small", "--strategy", *STRATEGIES, "--model", "linear", "--resume"], forks, before)
    position = paths.STAGES.index(name)
    if position:
        Trial(["run", "small", "--to", paths.STAGES[position - 1]], forks, before).finish()
        shutil.copytree(project / "papermill_runs", before, dirs_exist_ok=True)
    return Trial(["run", "small", "--resume", "--to", name], forks, before)


def try_all(
    name: str, results: Sequence[Result], inputs: Path, folder: Path, moments: int, seed: int
) -> Iterator[Result]:
    """The trials of one name that `results`, one a signal, still want; gives a result after each of its trials."""
    left = [result for result in results if result.wants(moments)]
    if name in PARTS:
        for result in left:
            yield from try_part(result, inputs, folder, moments, seed)
    elif left:
        trial = make_trial(name, folder)
        for result in left:
            yield from try_command(trial, result, moments, seed)
        trial.forks.close()
