"""`sweep --jobs N`: several cells at once on one machine, each in a process with its share of the cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from ipykernel.parentpoller import ParentPollerUnix
from tqdm import tqdm

from competition_utils.runs.sweep.cells import Cell, CellResult, execute_cell, outcome

Execute = Callable[[Cell], CellResult]


def execute_cells_at_once(
    cells: Sequence[Cell], jobs: int, say: Callable[[str], None], execute: Execute = execute_cell
) -> list[CellResult]:
    """As `execute_cells`, but `jobs` at once, with the cores divided by `jobs` as their number of threads.

    A worker that dies takes the cells that are not done with it: they are failures, for a resume to retry.
    """
    results: dict[str, CellResult] = {}
    with _workers(jobs) as pool, tqdm(total=len(cells), unit="cell", disable=None) as bar:
        futures = {pool.submit(execute, cell): cell for cell in cells}
        for future in as_completed(futures):
            cell = futures[future]
            results[cell.name] = result = _result_of(future, cell)
            bar.update()
            with bar.external_write_mode():
                say(f"{len(results)} of {len(cells)}: {cell.name} {outcome(result)}")
    return [results[cell.name] for cell in cells]


@contextmanager
def _workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool whose processes end with this one, whatever ends it, and at once where a signal does."""
    threads = str(max(1, len(os.sched_getaffinity(0)) // jobs))
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=fresh, initializer=_begin_worker, initargs=(threads,)) as pool:
        try:
            yield pool
        except BaseException:
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise


def _begin_worker(threads: str) -> None:
    ParentPollerUnix(os.getppid()).start()  # ends this process, and so its kernel, when the sweep is killed
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the sweep decides
    os.environ["OMP_NUM_THREADS"] = threads
    # The progress of several stages in one terminal cannot be read.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _result_of(future: Future[CellResult], cell: Cell) -> CellResult:
    try:
        return future.result()
    except BrokenProcessPool:
        found = "a worker died, most often for want of memory. Go on with --resume and fewer --jobs."
        return CellResult(cell.name, found, 0.0)
