"""`sweep --engine ray`: cells on two nodes give the table of one process, and a killed worker's cell is run again."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from small_run import contents, execute_here, make_small_project

from competition_utils import paths
from competition_utils.cli.main import main
from competition_utils.runs import runner
from competition_utils.runs.cluster import start
from competition_utils.runs.cluster.sweep import execute_cells_on_ray
from competition_utils.runs.ledger import entry
from competition_utils.runs.sweep.cells import execute_cell, execute_cells
from competition_utils.runs.sweep.matrix import plan
from competition_utils.settings.schema import RaySettings

MATRIX = {"configs": ["small"], "models": ["linear"], "seeds": [1, 2], "tasks": ["all"]}
COMPARED = (".parquet", ".json", ".npz", ".txt", ".csv")
NAMES = ("small-linear-all-seed1", "small-linear-all-seed2")


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.ROOT_VARIABLE, str(tmp_path / "project"))
    return make_small_project(tmp_path / "project")


def without_kernels(kill_at: str = ""):
    """An `execute` for workers: a cell in the worker's own process, which kills itself at a stage (`CELL/STAGE`)
    unless it did so before. A closure, so that it is sent to the workers as it is, and not by its module's name."""
    tests = str(Path(__file__).parents[2])

    def execute(cell):
        sys.path.append(tests)
        import small_run

        from competition_utils.paths import run_folder
        from competition_utils.runs import runner
        from competition_utils.runs.sweep.cells import execute_cell

        def execute_stage(stage, run, *more):
            with (run_folder("executed")).open("a") as log:
                log.write(f"{run.name}/{stage}\n")
            killed = run_folder("killed")
            if f"{run.name}/{stage}" == kill_at and not killed.exists():
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            small_run.execute_here(stage, run, *more)

        runner.execute = execute_stage
        return execute_cell(cell)

    return execute


def results_of(names):
    """Files and figures of runs, apart from times."""
    folders = [paths.run_folder(name) for name in names]
    files = [{name: data for name, data in contents(folder).items() if name.endswith(COMPARED)} for folder in folders]
    return files, [(entry(folder)["f1"], entry(folder)["f1_mean"]) for folder in folders]


def test_two_nodes_give_the_table_of_one_process_and_a_killed_workers_cell_is_run_again(
    cluster, second_node, tmp_path, monkeypatch, project
):
    said = []
    settings = RaySettings(max_retries=1)
    results = execute_cells_on_ray(plan(None, MATRIX), said.append, settings, without_kernels(f"{NAMES[1]}/finetune"))
    assert [(one.name, one.failure) for one in results] == [(name, None) for name in NAMES]
    assert sorted(line.partition(": ")[2].split(" done")[0] for line in said) == list(NAMES)
    executed = paths.run_folder("executed").read_text().split()
    assert executed.count(f"{NAMES[1]}/finetune") == 2
    assert executed.count(f"{NAMES[1]}/eda") == 1  # what it had finished stays
    on_ray = results_of(NAMES)

    monkeypatch.setenv(paths.ROOT_VARIABLE, str(tmp_path / "local"))
    make_small_project(tmp_path / "local")
    monkeypatch.setattr(runner, "execute", execute_here)
    execute_cells(plan(None, MATRIX), said.append, execute_cell)
    assert results_of(NAMES) == on_ray


@pytest.mark.soak
def test_a_cell_whose_worker_dies_in_every_try_has_failed_and_the_other_is_done(cluster, second_node, project):
    healthy = without_kernels()

    def die(cell):
        if cell.name == NAMES[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return healthy(cell)

    said = []
    settings = RaySettings(max_retries=1, concurrency=1)
    failed, done = execute_cells_on_ray(plan(None, MATRIX), said.append, settings, die)
    assert failed.failure.startswith("its worker died, and so in every further try: ")
    assert done.failure is None
    assert said[0].startswith(f"1 of 2: {NAMES[0]} FAILED: its worker died")


def test_an_error_before_a_cell_begins_is_its_failure(cluster, project):
    def raises(cell):
        raise ModuleNotFoundError("No module named 'competition_utils'")

    (result, _) = execute_cells_on_ray(plan(None, MATRIX), print, RaySettings(max_retries=0), raises)
    assert result.failure == "on its node: ModuleNotFoundError: No module named 'competition_utils'"


def test_without_the_extra_one_sentence_says_which(project, capsys, monkeypatch):
    monkeypatch.setattr(start, "find_spec", lambda name: None)
    assert main(["sweep", "small", "--engine", "ray"]) == 2
    assert "engine: ray expects the extra ray, which is not installed." in capsys.readouterr().err
