"""Notebook 03 with the decoder's ways to train on both tasks, on a tiny Gemma of random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from finetune_runs import DECODER, REPOSITORY, THINGS, augmented

from benchmarks.gpu.random_models import build_random_model
from competition_utils import paths
from competition_utils.runs.kernel import execute
from competition_utils.runs.parameters import read_notebook
from competition_utils.storage import read_json, write_json, write_parquet

FIGURES = ["auc_by_language", "learning_curves", "score_distributions", "token_lengths"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with the notebooks of the clone and a model folder `tiny`."""
    root = tmp_path_factory.mktemp("project")
    (root / "notebooks").symlink_to(REPOSITORY / "notebooks")
    build_random_model(root / "tiny", "gemma3-tiny", [*THINGS] * 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(paths.ROOT_VARIABLE, str(root))
        yield root


def run_notebook(project: Path, training: str) -> Path:
    """Execute notebook 03 for two tables of 32 rows; gives the run's folder."""
    run = project / "papermill_runs" / training
    write_json(run / "augmentation" / "metrics.json", {"tasks": {"QC": {}, "QI": {}}})
    write_json(run / "augmentation" / "hints" / "categories.json", {"paths": []})  # no hints
    for task, first_id in (("QC", 1), ("QI", 1001)):
        table = augmented(task, 32, first_id)
        write_parquet(run / "augmentation" / f"{task}_train.parquet", table)
        write_parquet(run / "augmentation" / f"{task}_test.parquet", table.head(4).drop(columns="label"))
    decoder = DECODER | {"model_name_or_path": str(project / "tiny"), "training": training}
    execute("finetune", run, {"run_dir": str(run), "model": "decoder", "decoder": decoder})
    return run


@pytest.fixture(scope="module")
def two_stage(project: Path) -> Path:
    return run_notebook(project, "two_stage")


@pytest.fixture(scope="module")
def joint(project: Path) -> Path:
    return run_notebook(project, "joint")


def outputs_of(run: Path) -> list[dict]:
    cells = read_notebook(run / "03_finetune.ipynb")
    return [output for cell in cells for output in cell.get("outputs", [])]


def showing(kind: str, run: Path) -> int:
    """How many outputs are shown as the MIME type `kind`."""
    return sum(kind in output.get("data", {}) for output in outputs_of(run))


def test_two_stages_leave_the_history_of_both_for_each_task(two_stage):
    history = pd.DataFrame(read_json(two_stage / "finetune" / "history.json"))
    assert set(zip(history["task"], history["stage"], strict=True)) == {("QC", 1), ("QC", 2), ("QI", 1), ("QI", 2)}
    assert history.loc[history["stage"] == 1, "valid_auc"].isna().all()
    assert history.loc[history["stage"] == 2, "valid_auc"].notna().any()


def test_two_stages_score_each_task_by_a_model_of_its_own(two_stage):
    for task in ("QC", "QI"):
        scores = pd.read_parquet(two_stage / "finetune" / f"{task}_scores.parquet")
        assert scores["split"].value_counts().to_dict() == {"valid": 16, "test": 4}
        assert scores["score"].between(0, 1).all()
        assert (two_stage / "finetune" / task / "fold0" / "model.json").is_file()


@pytest.mark.soak  # a notebook of its own; joint training itself is in `make test`
def test_one_model_for_both_tasks_leaves_one_history_and_scores_of_each_task(joint):
    history = pd.DataFrame(read_json(joint / "finetune" / "history.json"))
    assert set(history["task"]) == {"joint"}
    for task in ("QC", "QI"):
        scores = pd.read_parquet(joint / "finetune" / f"{task}_scores.parquet")
        assert set(scores["task"]) == {task} and len(scores) == 20
    assert (joint / "finetune" / "joint" / "fold0" / "model.json").is_file()
    assert showing("image/png", joint) == len(FIGURES) + 1


def test_the_executed_notebook_shows_its_figures(two_stage):
    assert showing("image/png", two_stage) == len(FIGURES) + 1  # and the live one
    assert sorted(path.stem for path in (two_stage / "finetune" / "figures").glob("*.png")) == FIGURES


def test_no_widget_leaves_an_empty_box_and_no_library_its_warnings(two_stage):
    assert showing("application/vnd.jupyter.widget-view+json", two_stage) == 0
    printed = [output["text"] for output in outputs_of(two_stage) if output.get("name") == "stderr"]
    assert "".join(map("".join, printed)).strip() == ""
