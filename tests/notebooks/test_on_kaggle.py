"""Notebook 03 as Kaggle runs it: files, package and earlier notebooks' outputs below `/kaggle/input`, which is only
read, and everything that it writes below `/kaggle/working`. Both lie below a folder here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from competition_utils import hosted, paths
from competition_utils.augment.rows import start_table
from competition_utils.category_tree.hints import HINTS, HintWriter
from competition_utils.category_tree.tree import CategoryTree
from competition_utils.data.prepare import prepare
from competition_utils.runs.parameters import read_notebook
from competition_utils.runs.stage import open_stage
from competition_utils.storage import hash_file, read_json, read_parquet
from competition_utils.synthetic.competition import make_sample
from competition_utils.tasks import SPLITS, TASKS

REPOSITORY = Path(__file__).resolve().parents[2]
RUN_DIR = "papermill_runs/manual"  # as in the notebooks
# Executes a notebook's cells as Kaggle does: papermill with no parameters, in the folder that may be written to.
EXECUTE = """\
import sys
import papermill
from competition_utils.runs.kernel import OwnKernelManager

options = {"kernel_name": "python3", "language": "python", "kernel_manager_class": OwnKernelManager}
papermill.execute_notebook(sys.argv[1], "__notebook__.ipynb", progress_bar=False, **options)
"""


def contents(folder: Path) -> dict[str, tuple[str, int]]:
    """Hash and time of every file, and the times of folders, in which a file that came and went leaves its trace."""
    return {
        str(path.relative_to(folder)): (hash_file(path) if path.is_file() else "", path.stat().st_mtime_ns)
        for path in [folder, *folder.rglob("*")]
    }


def files_of_the_package() -> set[Path]:
    return {path for path in (REPOSITORY / "competition_utils").rglob("*") if "__pycache__" not in path.parts}


def run_stages_one_and_two() -> None:
    """What notebooks 01 and 02 leave, without their figures."""
    stage = open_stage("eda", RUN_DIR, {})
    prepared = prepare(stage.data_folder("auto"), TASKS.values(), n_folds=2)
    prepared.write(stage.write)
    stage.finish({})
    stage = open_stage("augmentation", RUN_DIR, {})
    for name in prepared.tables:
        table = stage.read(name, of="eda")
        stage.write(name, start_table(table, pd.Series("", index=table.index)))
    HintWriter(CategoryTree([])).save(stage.folder / HINTS)  # none
    stage.finish({"tasks": {name: {} for name in TASKS}})


@pytest.fixture(scope="module")
def kaggle(tmp_path_factory) -> Iterator[Path]:
    """`/kaggle`: the official files, the project with model linear, and the outputs of notebooks 01 and 02."""
    host = tmp_path_factory.mktemp("host")
    inputs, working = host / "kaggle" / "input", host / "kaggle" / "working"
    make_sample(inputs / "competitions" / "search" / "files", rows=200, dev_rows=100, test_rows=100)
    for name in ("notebooks", "configs"):
        shutil.copytree(REPOSITORY / name, inputs / "suite" / name)
    finetune = inputs / "suite" / "notebooks" / paths.notebook_name("finetune")
    finetune.write_text(finetune.read_text(encoding="utf-8").replace('model = \\"encoder\\"', 'model = \\"linear\\"'))
    working.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(hosted.ROOT_VARIABLE, str(host))
        patch.setenv(paths.ROOT_VARIABLE, str(inputs / "suite"))
        patch.delenv(paths.WORK_VARIABLE, raising=False)
        run_stages_one_and_two()
        for stage, notebook in (("eda", "relevance-01-eda"), ("augmentation", "relevance-02-augmentation")):
            output = inputs / notebook / RUN_DIR / stage
            output.parent.mkdir(parents=True)
            (working / RUN_DIR / stage).rename(output)
        shutil.rmtree(working)
        working.mkdir()
        yield host / "kaggle"


@pytest.fixture(scope="module")
def before_and_after(kaggle) -> tuple[dict, dict]:
    """The inputs' contents before and after the notebook ran."""
    before = contents(kaggle / "input"), files_of_the_package()
    notebook = kaggle / "input" / "suite" / "notebooks" / paths.notebook_name("finetune")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", textwrap.dedent(EXECUTE), str(notebook)]
    done = subprocess.run(command, cwd=kaggle / "working", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return before, (contents(kaggle / "input"), files_of_the_package())


def test_inputs_and_package_are_as_they_were(before_and_after):
    before, after = before_and_after
    assert before == after


def test_models_scores_and_figures_lie_in_working(kaggle, before_and_after):
    folder = kaggle / "working" / RUN_DIR / "finetune"
    outputs = read_json(folder / "manifest.json")["outputs"]
    assert {"QC_scores.parquet", "QI/fold0/weights.npz", "figures/score_distributions.png"} <= outputs.keys()
    scored = read_parquet(folder / "QC_scores.parquet")
    assert set(scored["split"]) == {"valid", *SPLITS[1:]}


def test_everything_that_was_read_is_named_as_an_input(kaggle, before_and_after):
    manifest = read_json(kaggle / "working" / RUN_DIR / "finetune" / "manifest.json")
    assert {f"augmentation/{task}_{split}.parquet" for task in TASKS for split in SPLITS} <= manifest["inputs"][
        "run"
    ].keys()
    assert "absent" not in manifest["inputs"]["run"].values()


def test_the_notebook_shows_its_figures(kaggle, before_and_after):
    cells = read_notebook(kaggle / "working" / "__notebook__.ipynb")
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) > 3
