"""Each fixture notebook in `notebooks/` is named after the fault that it reproduces."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpec

from competition_utils import paths
from competition_utils.errors import UserError
from competition_utils.runs.config import load_config
from competition_utils.runs.kernel import OwnKernelManager, StageFailed, clock, execute
from competition_utils.runs.parameters import read_notebook
from competition_utils.runs.runner import Run, execute_run

NOTEBOOKS = Path(__file__).parent / "notebooks"
EXECUTED = "papermill_runs/x/03_finetune.ipynb"


def run_as_finetune(project: Path, fixture: str) -> None:
    shutil.copy(NOTEBOOKS / f"{fixture}.ipynb", paths.notebook_path("finetune"))
    (project / "papermill_runs" / "x").mkdir(parents=True)
    execute("finetune", project / "papermill_runs" / "x", {"run_dir": "papermill_runs/x"})


def test_an_error_in_a_cell_tells_stage_cell_error_and_notebook(project):
    with pytest.raises(StageFailed) as failed:
        run_as_finetune(project, "divides_by_zero")
    assert str(failed.value).startswith(
        f"Stage finetune failed in cell In [4]: ZeroDivisionError: division by zero\nOpen {EXECUTED}"
    )


def test_a_failed_notebook_lies_at_its_place_with_the_traceback(project):
    with pytest.raises(StageFailed):
        run_as_finetune(project, "divides_by_zero")
    outputs = [output for cell in read_notebook(project / EXECUTED) for output in cell.get("outputs", [])]
    assert "ZeroDivisionError" in {output.get("ename") for output in outputs}
    assert not list(project.rglob("*.running.ipynb"))


def test_wrong_input_reported_in_a_cell_is_wrong_input_of_the_run(project):
    with pytest.raises(UserError, match=r"(?s)train_QC\.txt:3: 7.*Mend the file"):
        run_as_finetune(project, "told_wrong_input")


def test_a_file_that_a_cell_may_not_read_is_wrong_input_of_the_run(project):
    with pytest.raises(UserError, match=r"(?s)Stage finetune: .*Permission denied: 'data/train_QC\.txt'.*Check path"):
        run_as_finetune(project, "forbidden_file")


def test_a_kernel_that_dies_is_reported(project):
    with pytest.raises(StageFailed, match="its kernel died"):
        run_as_finetune(project, "kernel_dies")


def test_a_kernel_that_dies_while_it_starts_is_reported(project, monkeypatch):
    dying = property(lambda _: KernelSpec(argv=[sys.executable, "-c", ""], display_name="Dying", language="python"))
    monkeypatch.setattr(OwnKernelManager, "kernel_spec", dying)
    with pytest.raises(StageFailed, match="its kernel died while it started"):
        run_as_finetune(project, "divides_by_zero")


def test_a_figure_that_a_stage_saves_is_seen_in_the_executed_notebook_once(project):
    run_as_finetune(project, "shows_a_figure")
    outputs = [output for cell in read_notebook(project / EXECUTED) for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1


def test_a_warning_in_a_notebook_is_one_line_without_a_path_of_our_code(project):
    run_as_finetune(project, "warns_of_a_renamed_setting")
    outputs = [output for cell in read_notebook(project / EXECUTED) for output in cell.get("outputs", [])]
    errors = "".join("".join(output["text"]) for output in outputs if output.get("name") == "stderr")
    assert errors == "warning: encoder: epochs is now num_train_epochs; the old names work in this release only\n"


def test_the_kernel_is_the_interpreter_that_runs_us_whatever_python3_means(project, monkeypatch, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("jupyter")
    spec = elsewhere / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text('{"argv": ["false", "{connection_file}"], "display_name": "x", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(elsewhere))
    run_as_finetune(project, "tells_its_interpreter")
    outputs = [output for cell in read_notebook(project / EXECUTED) for output in cell.get("outputs", [])]
    assert sys.executable in "".join(outputs[-1]["text"])


def test_a_notebook_that_forgets_to_finish_is_a_failed_stage(project):
    shutil.copy(NOTEBOOKS / "forgets_to_finish.ipynb", paths.notebook_path("eda"))
    text = paths.notebook_path("eda").read_text().replace("'finetune'", "'eda'")
    paths.notebook_path("eda").write_text(text)
    (project / "configs" / "small.yaml").write_text("data_dir: data\n")
    settings = load_config("small")
    with pytest.raises(StageFailed, match=r"must call stage\.finish"):
        execute_run(Run("x", settings), last="eda")


@pytest.mark.parametrize(("seconds", "text"), [(7, "0:07"), (754, "12:34"), (3723, "1:02:03")])
def test_clock(seconds, text):
    assert clock(seconds) == text
