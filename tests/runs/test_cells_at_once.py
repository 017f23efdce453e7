"""`sweep --jobs N`: cells in processes of their own give the files of one after the other, and outlive nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import small_run
from small_run import contents, make_small_project

from competition_utils import paths
from competition_utils.cli.main import main
from competition_utils.runs import runner
from competition_utils.runs.sweep.cells import CellResult, execute_cell, execute_cells
from competition_utils.runs.sweep.matrix import plan
from competition_utils.runs.sweep.pool import execute_cells_at_once

MATRIX = {"configs": ["small"], "models": ["linear"], "seeds": [1, 2]}
NAMES = ("small-linear-seed1", "small-linear-seed2")


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.ROOT_VARIABLE, str(tmp_path / "project"))
    return make_small_project(tmp_path / "project")


def without_kernels(cell):
    """Execute a cell in the worker's own process."""
    runner.execute = small_run.execute_here
    return execute_cell(cell)


def tell_threads(cell):
    return CellResult(cell.name, f"{os.environ['OMP_NUM_THREADS']} threads", 0.0)


def die_at_the_first(cell):
    if cell.name == NAMES[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def wait(cell):
    paths.run_folder(f"begun-{cell.name}").mkdir(parents=True)
    time.sleep(60)


def run_files():
    """The files of the runs, apart from times."""
    kept = (".parquet", ".npz", ".txt", ".csv")
    runs = [contents(paths.run_folder(name)) for name in NAMES]
    return [{name: data for name, data in files.items() if name.endswith(kept)} for files in runs]


@pytest.mark.soak
def test_cells_at_once_leave_the_files_of_one_after_the_other(project, tmp_path, monkeypatch):
    said = []
    results = execute_cells_at_once(plan(None, MATRIX), 2, said.append, without_kernels)
    assert [(one.name, one.failure) for one in results] == [(name, None) for name in NAMES]
    assert sorted(line.partition(": ")[2].split(" done")[0] for line in said) == list(NAMES)
    at_once = run_files()
    assert all(any(name.endswith(".txt") for name in files) for files in at_once)  # the submission was reached

    monkeypatch.setenv(paths.ROOT_VARIABLE, str(tmp_path / "other"))
    make_small_project(tmp_path / "other")
    monkeypatch.setattr(runner, "execute", small_run.execute_here)
    execute_cells(plan(None, MATRIX), said.append)
    assert run_files() == at_once


def test_a_worker_has_its_share_of_the_cores(project, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)))
    results = execute_cells_at_once(plan(None, MATRIX), 2, print, tell_threads)
    assert {one.failure for one in results} == {"3 threads"}


@pytest.mark.soak
def test_cells_of_a_worker_that_died_have_failed_with_the_reason(project):
    results = execute_cells_at_once(plan(None, MATRIX), 2, print, die_at_the_first)
    assert all("a worker died" in one.failure for one in results)


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_sweep(project, number):
    code = (
        "import test_cells_at_once as here\n"
        "if __name__ == '__main__':\n"
        "    import signal; from competition_utils.cli.main import _stop\n"
        "    signal.signal(signal.SIGTERM, _stop)\n"
        "    here.execute_cells_at_once(here.plan(None, here.MATRIX), 2, print, here.wait)\n"
    )
    script = project / "sweep.py"
    script.write_text(code)
    tests = Path(small_run.__file__).parent
    path = os.pathsep.join(map(str, (Path(paths.__file__).parents[1], tests, Path(__file__).parent)))
    sweep = subprocess.Popen(
        [sys.executable, script], env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not all(paths.run_folder(f"begun-{name}").exists() for name in NAMES):
        assert time.monotonic() < deadline and sweep.poll() is None
        time.sleep(0.05)
    workers = psutil.Process(sweep.pid).children(recursive=True)
    assert len(workers) >= 2
    sweep.send_signal(number)
    sweep.wait(20)
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive


def test_the_command_takes_jobs(project, capsys, monkeypatch):
    asked = []

    def at_once(cells, jobs, say):
        asked.append(jobs)
        monkeypatch.setattr(runner, "execute", small_run.execute_here)
        return execute_cells(cells, say)

    monkeypatch.setattr("competition_utils.runs.sweep.pool.execute_cells_at_once", at_once)
    assert main(["sweep", "small", "--model", "linear", "--jobs", "2"]) == 0
    assert asked == [2]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--jobs", "0"], "expected a number of cells from 1 on, found '0'"),
        (["--jobs", "two"], "expected a number of cells from 1 on, found 'two'"),
        (["--jobs", "2", "--engine", "ray"], "--jobs: expected --engine local with it"),
    ],
)
def test_wrong_jobs_are_refused(project, capsys, given, expected):
    try:
        status = main(["sweep", "small", *given])
    except SystemExit as ended:  # argparse
        status = ended.code
    assert status == 2
    assert expected in capsys.readouterr().err
