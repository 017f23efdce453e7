"""Cells of a sweep, executed in this process: what they share, what a failed one leaves, what resume does."""

from __future__ import annotations

import multiprocessing
import pickle
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from small_run import contents, execute_here, make_small_project

from competition_utils import paths
from competition_utils.cli import main as cli
from competition_utils.errors import UserError
from competition_utils.runs import runner
from competition_utils.runs.sharing import store
from competition_utils.runs.sweep.cells import UNEXPECTED, Cell, execute_cell, steps_of_original
from competition_utils.runs.sweep.matrix import plan
from competition_utils.storage import write_parquet

HEALS = "healed"  # a file whose presence heals the ill seed
MATRIX = "configs: [small]\nmodels: [linear, encoder]\nseeds: [1, 13]\n"
CELLS = ("mine-linear-seed1", "mine-linear-seed13", "mine-encoder-seed1", "mine-encoder-seed13")


@pytest.fixture
def executed(executed: list[str], project: Path) -> list[str]:
    """The stages that were executed, as RUN/stage, in a project with the matrix `mine`."""
    (project / "configs" / "matrix").mkdir()
    (project / "configs" / "matrix" / "mine.yaml").write_text(MATRIX)
    return executed


def make_ill(project: Path, error: str) -> None:
    """Let stage `finetune` end with an error for seed 13, which reaches it as `eda`'s numbers."""
    notebook = paths.notebook_path("eda")
    ill = f"if seed == 13 and not __import__('pathlib').Path({str(project / HEALS)!r}).exists():\\n    {error}\\n"
    text = notebook.read_text()
    assert "import pandas as pd\\n" in text
    notebook.write_text(text.replace("import pandas as pd\\n", ill.replace('"', '\\"') + "import pandas as pd\\n", 1))


def runs_of(project: Path) -> dict[str, dict[str, bytes]]:
    folders = [*(paths.run_folder(name) for name in CELLS), *(paths.submission_folder(name) for name in CELLS)]
    kept = {str(folder.relative_to(project)): contents(folder) for folder in folders}
    return {
        name: {file: data for file, data in files.items() if not file.endswith((".ipynb", ".yaml"))}
        for name, files in kept.items()
    }


def test_cells_that_differ_in_the_model_share_all_that_does_not_read_it_and_seeds_share_nothing(executed, capsys):
    assert cli.main(["sweep", "mine"]) == 0
    first = [f"{cell}/{stage}" for cell in CELLS[:2] for stage in paths.STAGES[:1]]
    assert first == [name for name in executed if name.endswith("/eda")]
    assert "eda computed twice, taken twice from the store" in capsys.readouterr().out


def test_seeds_of_a_combination_are_one_row_of_the_summary(executed, capsys):
    assert cli.main(["sweep", "mine"]) == 0
    lines = capsys.readouterr().out.partition("F1 by task, over all seeds")[2].splitlines()
    rows = [line.split() for line in lines if line.startswith(("linear", "encoder"))]
    assert rows == [[model, *["0.8000", "±", "0.0000"] * 3] for model in ("linear", "encoder")]


def test_a_cell_is_one_call_that_another_process_can_be_sent(executed):
    (cell, *_) = plan("mine", {"configs": ["small"], "models": ["linear"]})
    result = pickle.loads(pickle.dumps(execute_cell(pickle.loads(pickle.dumps(cell)))))
    assert (result.name, result.failure) == ("mine-linear", None)


def test_cells_in_processes_of_their_own_compute_a_common_stage_once(executed, project, monkeypatch):
    log = project / "executed.log"

    def execute(name, run, *more):
        time.sleep(0.1)  # long enough that both want it
        with log.open("a") as stream:
            stream.write(f"{name}\n")
        execute_here(name, run, *more)

    monkeypatch.setattr(runner, "execute", execute)
    cells = plan("mine", {"configs": ["small"], "models": ["linear", "encoder", "decoder"]})
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=execute_cell, args=[cell]) for cell in cells]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert sorted(log.read_text().split()) == sorted(paths.STAGES)
    assert len({str(contents(paths.run_folder(cell.name) / "submission")) for cell in cells}) == 1


def test_a_sweep_that_is_there_is_not_touched_without_resume(executed, capsys):
    assert cli.main(["sweep", "mine"]) == 0
    done = len(executed)
    assert cli.main(["sweep", "mine"]) == 2
    assert "4 of 4 are there already, mine-linear-seed1 first" in capsys.readouterr().err
    assert cli.main(["sweep", "mine", "--resume"]) == 0
    assert len(executed) == done


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("raise __import__('competition_utils.errors').errors.UserError('expected health')", "expected health"),
        ("raise ValueError('expected health')", "ValueError: expected health"),
    ],
)
def test_a_failed_cell_does_not_stop_the_others_is_shown_with_its_reason_and_retried_by_resume(
    executed, project, capsys, error, reason
):
    make_ill(project, error)
    assert cli.main(["sweep", "mine"]) == 1
    out, err = capsys.readouterr()
    assert "2 of 4 cells FAILED: mine-linear-seed13, mine-encoder-seed13. --resume retries." in err
    rows = [line.split() for line in out.splitlines() if line.startswith("mine-")]
    assert [row[0] for row in rows] == list(CELLS)
    assert [row.count("FAILED") for row in rows] == [0, 3, 0, 3]  # the mean and the two tasks
    summary = [line.split() for line in out.splitlines() if line.startswith(("linear", "encoder"))]
    assert [row[1:] for row in summary] == [["FAILED"] * 3] * 2
    assert "0.8000" in rows[0] and "0.0000" not in rows[1] and reason in out
    page = (project / "papermill_runs" / "comparison.html").read_text()
    assert page.count(">FAILED<") == 12 and "expected health" in page
    assert (paths.run_folder(CELLS[1]) / UNEXPECTED).is_file() == ("ValueError" in reason)

    (project / HEALS).touch()
    healthy = len(executed)
    assert cli.main(["sweep", "mine", "--resume"]) == 0
    assert not any("seed1/" in name for name in executed[healthy:])
    out, err = capsys.readouterr()
    assert "FAILED" not in out + err + (project / "papermill_runs" / "comparison.html").read_text()


def test_a_sweep_stopped_anywhere_ends_with_the_same_files_by_resume(executed, project, monkeypatch):
    assert cli.main(["sweep", "mine"]) == 0
    whole, copied = runs_of(project), store._copied
    stages = [(runner, "execute", execute_here, after, place) for after in (1, 3, 6) for place in ("before", "after")]
    copies = [(store, "_copied", copied, after, "before") for after in (2, 20, 40, 55)]  # into the store, or from it
    for stop in stages + copies:
        for name in ("papermill_runs", "submissions"):
            shutil.rmtree(project / name)
        with monkeypatch.context() as patch:
            patch.setattr(runner, "execute", execute_here)
            stop_at(patch, *stop)
            assert cli.main(["sweep", "mine"]) == 130
        assert cli.main(["sweep", "mine", "--resume"]) == 0
        assert runs_of(project) == whole


def stop_at(monkeypatch, module, name, function, after, place):
    """Let the call number `after` of a function be stopped as by Ctrl-C, before or after it did its work."""
    calls = []

    def stopped(*args):
        calls.append(args)
        if len(calls) == after and place == "before":
            raise KeyboardInterrupt
        result = function(*args)
        if len(calls) == after:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(module, name, stopped)


def test_equal_steps_gives_every_strategy_the_steps_of_the_rows_as_they_came(executed, project, monkeypatch):
    monkeypatch.setattr("competition_utils.runs.sweep.cells.steps_of_original", lambda run: 77)
    cell = Cell("x", "small", {"model": "encoder", "task": "all"}, equal_steps=True)
    assert execute_cell(cell).failure is None
    assert "max_steps: 77" in (paths.run_folder("x") / "run.yaml").read_text()
    assert executed == [f"x/{stage}" for stage in paths.STAGES]


def test_the_steps_of_original_are_counted_on_the_rows_outside_the_first_fold_that_is_fitted(project):
    run = Cell("x", "small", {"task": "QC", "fit_folds": [1], "encoder.total_batch_size": 4}).run({"model": "encoder"})
    write_parquet(run.folder / "eda" / "QC_train.parquet", pd.DataFrame({"fold": [0] * 9 + [1] * 30}))
    assert steps_of_original(run) == 6  # 3 batches of at most 4 rows, for 2 rounds
    both = run.config.settings.model_copy(update={"task": "all"})
    write_parquet(run.folder / "eda" / "QI_train.parquet", pd.DataFrame({"fold": [0] * 8}))
    assert steps_of_original(replace(run, config=replace(run.config, settings=both))) == 10


def test_a_linear_fit_has_no_steps_to_make_equal(executed):
    assert execute_cell(Cell("x", "small", {"model": "linear", "task": "all"}, equal_steps=True)).failure is None


def test_a_cell_whose_config_is_gone_has_failed(executed, project):
    assert "expected a YAML file" in execute_cell(Cell("x", "gone", {})).failure


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory):
    """A sweep of two seeds and two models on real linear fits: status, and its project."""
    with pytest.MonkeyPatch.context() as patch:
        root = make_small_project(tmp_path_factory.mktemp("project"))
        patch.setenv(paths.ROOT_VARIABLE, str(root))
        patch.setattr(runner, "execute", execute_here)
        yield cli.main(["sweep", "small", "--model", "linear", "encoder"]), root


def test_finished_cells_are_compared_on_the_rows_in_common(real, capsys):
    status, root = real
    assert status == 0
    page = (root / "papermill_runs" / "comparison.html").read_text()
    assert "QC, all: 100 rows of dev" in page and "mean of the tasks" in page
    assert "eda computed once, taken once from the store" in page


def test_one_failed_cell_leaves_the_others_compared(real, monkeypatch, capsys):
    def fail(cell):
        raise UserError("expected health")

    from competition_utils.runs.sweep import cells

    execute = cells._execute
    monkeypatch.setattr(cells, "_execute", lambda cell: fail(cell) if "decoder" in cell.name else execute(cell))
    assert cli.main(["sweep", "small", "--model", "decoder", "linear", "encoder", "--resume"]) == 1
    out = capsys.readouterr().out
    assert "FAILED" in out and "mean of the tasks" in out
