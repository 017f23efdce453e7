"""What is written for Kaggle, held against the keys and values that Kaggle's documentation names."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from competition_utils import paths
from competition_utils.cli import main as cli
from competition_utils.errors import UserError
from competition_utils.runs.parameters import read_notebook
from competition_utils.share import kaggle, wheels

# By the documentation of Kaggle's command (github.com/Kaggle/kaggle-api): key → its values, of lists as patterns.
KERNEL_KEYS = {
    "id": r"[a-z0-9-]+/[a-z0-9-]+",
    "title": r".{5,50}",
    "code_file": r"\w+\.ipynb",
    "language": r"python|r|rmarkdown",
    "kernel_type": r"script|notebook",
    "is_private": r"true|false",
    "enable_gpu": r"true|false",
    "enable_internet": r"true|false",
    "dataset_sources": r"[a-z0-9-]+/[a-z0-9-]+",
    "competition_sources": r"[a-z0-9-]+",
    "kernel_sources": r"[a-z0-9-]+/[a-z0-9-]+",
    "model_sources": r"[\w-]+/[\w-]+/[\w-]+/[\w-]+/\d+",
}
# The same for a dataset.
DATASET_KEYS = {"title": r".{6,50}", "subtitle": r".{20,80}", "description": r".+", "id": r"[a-z0-9-]+/[a-z0-9-]{3,50}"}
NOTEBOOKS = sorted(path.name for path in paths.project_root().glob("notebooks/*.ipynb"))


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("kaggle")
    assert cli.main(["kaggle", "--user", "someone", "--data", "owner/files", "--out", str(out)]) == 0
    return out


def metadata(written: Path, notebook: str) -> dict:
    return json.loads((written / "kernels" / Path(notebook).stem / "kernel-metadata.json").read_text())


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_every_notebook_has_metadata_with_the_documented_keys_and_values(written, notebook):
    found = metadata(written, notebook)
    assert found.keys() == KERNEL_KEYS.keys()
    for key, pattern in KERNEL_KEYS.items():
        values = found[key] if key.endswith("_sources") else [found[key]]
        assert all(re.fullmatch(pattern, value) for value in values), key


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_slug_is_the_one_that_kaggle_makes_of_the_title(written, notebook):
    found = metadata(written, notebook)
    assert found["id"] == "someone/" + re.sub(r"[^a-z0-9]+", "-", found["title"].lower())


def test_a_stage_reads_the_data_the_wheels_and_the_outputs_of_all_stages_before_it(written):
    found = metadata(written, "03_finetune.ipynb")
    assert found["dataset_sources"] == ["someone/competition-utils-wheels", "owner/files"]
    assert found["kernel_sources"] == ["someone/relevance-01-eda", "someone/relevance-02-augmentation"]
    assert metadata(written, "01_eda.ipynb")["kernel_sources"] == []


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_notebook_installs_below_its_title_and_is_otherwise_that_of_the_project(written, notebook):
    cells = read_notebook(written / "kernels" / Path(notebook).stem / notebook)
    install = cells.pop(1)
    assert cells == read_notebook(paths.project_root() / "notebooks" / notebook)
    code, _, command = install["source"].partition("%pip")
    ast.parse(code)
    assert "--no-index" in command and "requirements.txt" in command


def test_the_dataset_has_the_documented_keys_and_values(written):
    found = json.loads((written / "dataset" / "dataset-metadata.json").read_text())
    assert all(re.fullmatch(pattern, found[key]) for key, pattern in DATASET_KEYS.items())
    assert found["licenses"] == [{"name": "other"}] and found.keys() == {*DATASET_KEYS, "licenses"}


@pytest.mark.parametrize(
    ("user", "data"), [("Some One", None), ("", None), ("a/b", None), ("a", "files"), ("a", "A/b")]
)
def test_names_that_kaggle_does_not_have_are_refused(tmp_path, user, data):
    with pytest.raises(UserError, match="expected"):
        kaggle.write_kernels(tmp_path, user, data)
    assert list(tmp_path.iterdir()) == []


def test_torch_and_what_comes_with_cuda_stay_those_of_the_image():
    pins = ["torch==2.14.1", "torchvision==0.29.2", "nvidia-cublas==13.1", "triton==3.8", "pandas==3.1", "unsloth==1"]
    assert wheels.brought(pins) == ["pandas==3.1", "unsloth==1"]


def test_the_wheel_carries_notebooks_and_configs(tmp_path):
    for tool in ("pip", "setuptools"):
        if find_spec(tool) is None:  # not imported: setuptools refuses to come after distutils
            pytest.skip(f"{tool} is not installed: see the extra `kaggle`")
    names = zipfile.ZipFile(wheels.build_wheel(tmp_path)).namelist()
    inside = {name.removeprefix("competition_utils/project/") for name in names if "/project/" in name}
    root = paths.project_root()
    listed = subprocess.run(["git", "ls-files", "notebooks", "configs"], cwd=root, capture_output=True, text=True)
    assert inside == set(listed.stdout.split()) and "competition_utils/cli/printed.txt" in names


def test_a_machine_without_the_tools_gets_one_message(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(wheels, "find_spec", lambda name: None)
    assert cli.main(["kaggle", "--user", "a", "--out", str(tmp_path), "--wheels"]) == 2
    assert "[kaggle]" in capsys.readouterr().err
