"""What happens around a run: others in its folder, names, permissions, clocks, leftovers of killed processes."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import papermill.engines
import pytest
from small_run import execute_here

from competition_utils import paths
from competition_utils.cli import main as cli
from competition_utils.runs import kernel, runner
from competition_utils.runs.runner import only_runner
from competition_utils.storage import remove_stale_parts, write_text


@pytest.fixture
def without_kernels(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(runner, "execute", execute_here)
    return project


def dead_process() -> int:
    """The number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_two_runs_on_one_folder(without_kernels, capsys):
    with only_runner(paths.run_folder("small")):
        assert cli.main(["run", "small"]) == 2
    assert "papermill_runs/small is being written by another process" in capsys.readouterr().err


def test_a_run_on_a_folder_that_a_sweep_uses(without_kernels, monkeypatch, capsys):
    statuses = []

    def execute(stage, *args):
        statuses.append(cli.main(["run", "small", "--name", "small-linear", "--resume", "-p", "model=linear"]))
        execute_here(stage, *args)

    monkeypatch.setattr(runner, "execute", execute)
    assert cli.main(["sweep", "small", "--model", "linear"]) == 0
    assert statuses == [2] * len(paths.STAGES)
    assert "small-linear is being written by another process" in capsys.readouterr().err


def test_a_cell_of_a_sweep_whose_folder_a_run_uses_has_failed_and_resume_retries_it(without_kernels, capsys):
    with only_runner(paths.run_folder("small-linear")):
        assert cli.main(["sweep", "small", "--model", "linear"]) == 1
    assert "small-linear is being written by another process" in capsys.readouterr().out
    assert cli.main(["sweep", "small", "--model", "linear", "--resume"]) == 0


@pytest.mark.parametrize("name", ["ü", "..", "../x", "/tmp/x", "a/b", "x" * 300])
def test_a_name_that_no_folder_of_a_run_can_have(name, without_kernels, capsys):
    before = sorted(without_kernels.rglob("*"))
    assert cli.main(["run", "small", "--name", name]) == 2
    assert "expected" in capsys.readouterr().err
    assert set(without_kernels.rglob("*")) <= {*before, without_kernels / "papermill_runs"}


@pytest.mark.skipif(os.getuid() == 0 and not shutil.which("setpriv"), reason="root writes where it is not allowed to")
def test_a_read_only_folder(project):
    (project / "papermill_runs").mkdir(mode=0o555)
    heed_permissions = ["setpriv", "--bounding-set=-dac_override"] if os.getuid() == 0 else []
    command = [*heed_permissions, sys.executable, "-m", "competition_utils", "run", "small"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "papermill_runs/small: expected a file or folder to work with, found: Permission denied" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_clock_that_is_set_back_during_a_run(project, monkeypatch):
    start, calls = datetime.now(UTC), itertools.count()
    earlier = staticmethod(lambda *_: start - timedelta(hours=next(calls)))
    monkeypatch.setattr(papermill.engines.NotebookExecutionManager, "now", earlier)
    assert cli.main(["run", "small", "--to", "eda"]) == 0
    assert next(calls) > 1
    assert 0 < kernel.read_executed(paths.run_folder("small"))["eda"]["seconds"] < 300


def test_what_killed_processes_were_writing_is_removed_at_the_next_start(without_kernels):
    run = paths.run_folder("small")
    dead, living = (f".table.parquet.{process}.part" for process in (dead_process(), os.getppid()))
    places = [run, run / "finetune" / ".work" / "QC", paths.submission_folder("small")]
    for place in places:
        write_text(place / dead, "half")
        write_text(place / living, "half")
    with only_runner(run):
        assert not any((place / dead).exists() for place in places)
        assert all((place / living).exists() for place in places)


def test_files_that_no_atomic_write_made_are_left(tmp_path):
    names = [".part", "x.1.part", ".x.part", ".x.y.part"]
    for name in names:
        (tmp_path / name).write_text("")
    remove_stale_parts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
