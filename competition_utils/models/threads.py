"""Threads of a CPU: how many this process may use, and fewer of them where a training has become slow.

Each barrier of OpenMP waits for the slowest thread. Where another process takes the core of one of them, a step of two
threads takes ten times as long and more (docs/LOG.md); one thread has no barrier.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import torch
from transformers import TrainerCallback

from competition_utils.storage import read_json, write_json

RECORD = "threads.json"  # first step → number of threads, of a fit in which they changed
STEPS = 5  # whose median says how fast a training is
TRIED_STEPS = 3
SLOW = 1.5  # times the usual seconds a token; beside one busy neighbour 2.2 was seen, where one thread takes 1.6
FASTER = 0.85  # of the seconds a token: what another number of threads must reach to be kept
RETRY_SECONDS = 300.0
QUIET_SECONDS = 15.0  # through which a core must have stood idle for all threads to be tried earlier
IDLE = 0.6  # of a core: what counts as idle


@cache
def most_threads() -> int:
    """The threads that torch had at the first call (OMP_NUM_THREADS, `torch.set_num_threads`), at most one a core that
    this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(torch.get_num_threads(), cores)


@contextmanager
def num_threads(count: int) -> Iterator[None]:
    """torch's number of threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def idle_cores() -> float:
    """How many of the cores that this process may use had nothing to do since the last call, 1.5 for one and a half."""
    busy = psutil.cpu_percent(percpu=True)
    mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(busy))
    return sum(1 - busy[core] / 100 for core in mine if core < len(busy))


class Threads(TrainerCallback):
    """Tries half of the threads where the steps of a training take half as long again, and all that there were again
    when a core stands idle, or after five minutes; keeps what is faster.

    Sums in another order have other last digits, so each change is noted in the trainer's folder: a training that is
    resumed makes the same changes at the same steps. It needs `include_num_input_tokens_seen`, since batches differ in
    their tokens.
    """

    def __init__(self, folder: Path, most: int):
        self.record, self.most = Path(folder) / RECORD, most
        self.changes: dict[int, int] = {}
        self._tried: tuple[int, float] | None = None  # threads and seconds a token before a try
        self._start_over()

    def _start_over(self) -> None:
        self._recent: deque[float] = deque(maxlen=STEPS)
        self._usual, self._patience = float("inf"), QUIET_SECONDS
        self._wait_anew()

    def _wait_anew(self) -> None:
        self._changed = self._looked = time.monotonic()
        idle_cores()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.changes, self._tokens = read_changes(self.record.parent), state.num_input_tokens_seen
        past = [count for step, count in self.changes.items() if step < state.global_step]
        if past:
            torch.set_num_threads(past[-1])

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step in self.changes:
            torch.set_num_threads(self.changes[state.global_step])
        self._begun = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        seconds, tokens = time.perf_counter() - self._begun, state.num_input_tokens_seen - self._tokens
        self._tokens = state.num_input_tokens_seen
        if state.global_step <= max(self.changes, default=-1):
            return  # a resumed training makes the changes that it made before
        self._recent.append(seconds / max(tokens, 1))
        if self._tried is not None:
            if len(self._recent) == TRIED_STEPS:
                self._decide(state.global_step)
        elif len(self._recent) == STEPS:
            self._look(state.global_step)

    def _look(self, step: int) -> None:
        now, threads = median(self._recent), torch.get_num_threads()
        self._usual = min(self._usual, now)
        if threads > 1 and now > SLOW * self._usual:
            self._try(step, threads // 2, now)
        elif threads < self.most and self._may_be_quiet():
            self._try(step, min(2 * threads, self.most), now)

    def _may_be_quiet(self) -> bool:
        now, idle = time.monotonic(), 0.0
        if now - self._looked > self._patience:
            self._looked, idle = now, idle_cores()
        return idle > IDLE or now - self._changed > RETRY_SECONDS

    def _try(self, step: int, threads: int, now: float) -> None:
        self._tried = torch.get_num_threads(), now
        self._change(step, threads)

    def _decide(self, step: int) -> None:
        (before, then), now, threads = self._tried, median(self._recent), torch.get_num_threads()
        self._tried = None
        if now < FASTER * then:
            print(
                f"threads: {threads} instead of {before} from step {step} on, {then / now:.1f} times as fast; the last "
                "digits of the weights may differ from a fit without this change (`num_threads` fixes their number)"
            )
            self._start_over()
        else:
            self._change(step, before)
            self._usual = then  # slow for another reason
            self._patience *= 2  # a core may look idle and not be ours, in a container

    def _change(self, step: int, threads: int) -> None:
        self.changes[step] = threads
        write_json(self.record, {str(step): count for step, count in self.changes.items()})
        torch.set_num_threads(threads)
        self._recent.clear()
        self._wait_anew()


def read_changes(folder: Path) -> dict[int, int]:
    """The changes that were noted in a trainer's folder: first step → number of threads."""
    record = Path(folder) / RECORD
    return {int(step): count for step, count in read_json(record).items()} if record.is_file() else {}


def changes_as_notes(folder: Path) -> list[str]:
    """A sentence for the report of a fit where its number of threads changed; `folder` is the trainer's."""
    changes = ", ".join(f"{count} from step {step} on" for step, count in read_changes(folder).items())
    return [f"threads changed, since steps had become slow: {changes}"] if changes else []
