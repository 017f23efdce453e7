"""Kaggle and Colab, imitated below a folder: what is found, what is taken, and where outputs go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from competition_utils import hosted, paths
from competition_utils.errors import UserError
from competition_utils.synthetic.folder import data_folder

SMALL = {"rows": 100, "dev_rows": 100, "test_rows": 100, "seed": 0}


@pytest.fixture
def host(tmp_path, monkeypatch) -> Path:
    """The root of a machine on which there is nothing yet; the project lies elsewhere."""
    root, project = tmp_path / "host", tmp_path / "project"
    root.mkdir()
    project.mkdir()
    monkeypatch.setenv(hosted.ROOT_VARIABLE, str(root))
    monkeypatch.setenv(paths.ROOT_VARIABLE, str(project))
    monkeypatch.delenv(paths.WORK_VARIABLE, raising=False)
    return root


def official(folder: Path, name: str = "train_QC.txt") -> Path:
    folder.mkdir(parents=True)
    (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    "place",
    [
        "kaggle/input/files",
        "kaggle/input/competitions/search/official",
        "kaggle/input/datasets/owner/slug/official",
        "content",
        "content/files",
        "content/drive/MyDrive",
        "content/drive/MyDrive/competition/files",
    ],
)
@pytest.mark.parametrize("name", ["train_QC.txt", "train_QI.txt.gz"])
def test_official_files_are_found_and_the_folder_is_said(host, place, name, capsys):
    folder = official(host / place, name)
    assert data_folder("auto") == folder
    assert capsys.readouterr().out == f"data_dir auto: {folder}\n"


@pytest.mark.parametrize("place", ["content/.cache/sample", "content/papermill_runs/x", "content/drive/Trash"])
def test_what_runs_leave_and_what_is_hidden_is_not_taken_for_data(host, place):
    official(host / place)
    assert hosted.official_folders() == []


def test_without_official_files_the_sample_is_taken_and_said(host, capsys):
    (host / "kaggle" / "input").mkdir(parents=True)
    folder = data_folder("auto", SMALL)
    assert folder == data_folder("sample", SMALL) and (folder / "train_QC.txt").is_file()
    said = capsys.readouterr().out
    assert "the built-in sample" in said and str(host / "kaggle" / "input") in said


def test_two_folders_with_official_files_are_one_message_with_both(host):
    both = [official(host / "kaggle" / "input" / name) for name in ("old", "new")]
    with pytest.raises(UserError, match="data_dir: expected one folder") as raised:
        data_folder("auto")
    assert all(str(folder) in str(raised.value) for folder in both)


def test_a_folder_that_is_named_is_taken_whatever_is_found(host, tmp_path):
    official(host / "kaggle" / "input" / "found")
    assert data_folder(str(official(tmp_path / "named"))) == tmp_path / "named"


def test_runs_of_a_project_that_kaggle_mounts_go_to_working(host, monkeypatch):
    working = host / "kaggle" / "working"
    working.mkdir(parents=True)
    monkeypatch.setenv(paths.ROOT_VARIABLE, str(host / "kaggle" / "input" / "suite"))
    written = (paths.run_folder("x"), paths.submission_folder("x"), paths.ledger_path(), paths.in_project(".cache"))
    assert all(path.is_relative_to(working) for path in written)
    assert paths.notebook_path("eda").is_relative_to(host / "kaggle" / "input" / "suite")


def test_a_clone_of_ones_own_keeps_its_runs_on_kaggle_too(host):
    (host / "kaggle" / "working").mkdir(parents=True)
    assert paths.work_root() == paths.project_root()


def finished(host: Path, notebook: str) -> Path:
    stage = host / "kaggle" / "input" / notebook / "papermill_runs" / "manual" / "eda"
    stage.mkdir(parents=True)
    (stage / "manifest.json").touch()
    return stage


def test_a_stage_is_found_in_the_output_of_an_earlier_notebook(host):
    (host / "kaggle" / "working").mkdir(parents=True)
    stage = finished(host, "relevance-01-eda")
    run = paths.run_folder("manual")
    assert paths.stage_folder(run, "eda") == stage
    (run / "eda").mkdir(parents=True)
    assert paths.stage_folder(run, "eda") == run / "eda"


def test_two_outputs_with_the_same_stage_are_one_message(host):
    (host / "kaggle" / "working").mkdir(parents=True)
    for notebook in ("a", "b"):
        finished(host, notebook)
    with pytest.raises(UserError, match="stage eda: expected one notebook's output"):
        paths.stage_folder(paths.run_folder("manual"), "eda")


def test_an_installed_package_has_notebooks_of_its_own_and_writes_to_the_working_directory(tmp_path, monkeypatch):
    for folder in ("site/competition_utils/project/notebooks", "here"):
        (tmp_path / folder).mkdir(parents=True)
    package = Path(paths.__file__).parent
    for name in ("__init__", "paths", "hosted", "errors", "tasks"):
        (tmp_path / "site" / "competition_utils" / f"{name}.py").write_bytes((package / f"{name}.py").read_bytes())
    monkeypatch.delenv(paths.ROOT_VARIABLE, raising=False)
    monkeypatch.setenv(hosted.ROOT_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    code = "from competition_utils import paths; print(paths.project_root()); print(paths.run_folder('x'))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path / "here", capture_output=True, text=True, check=True)
    inside = tmp_path / "site" / "competition_utils" / "project"
    assert done.stdout.split() == [str(inside), str(tmp_path / "here" / "papermill_runs" / "x")]
