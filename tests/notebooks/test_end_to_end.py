"""The five notebooks on a very small sample: an unbroken run, and one killed in stage 3 and resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from competition_utils import paths
from competition_utils.runs.parameters import read_notebook
from competition_utils.storage import read_json
from competition_utils.submit import check_submission
from competition_utils.tasks import TASKS

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = {"sample_rows": 600, "sample_dev_rows": 200, "sample_test_rows": 200, "model": "linear"}
ARGUMENTS = [part for key, value in SMALL.items() for part in ("-p", f"{key}={value}")]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The notebooks and configs of the clone, with runs, submissions and samples elsewhere."""
    root = tmp_path_factory.mktemp("project")
    for name in ("notebooks", "configs"):
        (root / name).symlink_to(REPOSITORY / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(paths.ROOT_VARIABLE, str(root))
        yield root


def start(name: str, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "competition_utils", "run", "sample", "--name", name, *ARGUMENTS, *more]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def whole(project: Path) -> Path:
    """The folder of an unbroken run."""
    process = start("whole")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "passed its check" in out
    return project / "papermill_runs" / "whole"


def submission_bytes(project: Path, name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (project / "submissions" / name).iterdir()}


def test_the_submission_answers_the_test_files(whole, project):
    data = next((project / ".cache").glob("sample-*"))
    sources = {task.name: task.find_file(data, "test") for task in TASKS.values()}
    assert check_submission(project / "submissions" / "whole", sources) == []


@pytest.mark.parametrize("stage", paths.STAGES)
def test_every_executed_notebook_shows_figures(whole, stage):
    cells = read_notebook(whole / paths.notebook_name(stage))
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("stage", paths.STAGES)
def test_no_executed_notebook_holds_a_warning_of_a_library_or_a_path_of_ours(whole, stage):
    cells = read_notebook(whole / paths.notebook_name(stage))
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    lines = "".join("".join(output["text"]) for output in outputs if output.get("name") == "stderr").splitlines()
    # Ours is one line, without a path of our code.
    assert [line for line in lines if line.strip() and not line.startswith("warning: ")] == []


def test_metrics_hold_both_tasks_and_every_language(whole):
    metrics = read_json(whole / "metrics.json")
    assert list(metrics["tasks"]) == ["QC", "QI"]
    for name, entry in metrics["tasks"].items():
        assert set(entry["by_language"]) <= {*TASKS[name].languages, "ru", "tr"}
        assert 0 < entry["f1"] <= 1
    assert list(metrics["seconds"]) == list(paths.STAGES)


@pytest.mark.soak  # kills of stages, fits and stand-in notebooks are in `make test`
def test_a_run_killed_in_stage_3_and_resumed_submits_the_same_bytes(whole, project):
    process = start("killed")
    growing = project / "papermill_runs" / "killed" / "finetune" / ".opened.json"
    deadline = time.monotonic() + 300
    while not growing.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    resumed = start("killed", "--resume")
    out, err = resumed.communicate()
    assert resumed.returncode == 0, err
    assert "eda               done before" in out
    assert submission_bytes(project, "killed") == submission_bytes(project, "whole")
