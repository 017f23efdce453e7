"""A project of its own for the tests: five tiny notebooks, a data folder, and nothing of the real clone."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from competition_utils import paths

gc.disable()  # until all is imported
# A law holds or not, however busy the machine; the examples come in any time.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    """Trainers collect garbage at every turn: without this they look at all that was imported, a third of the time."""
    gc.freeze()
    gc.enable()


RUN_DIR = 'run_dir = "papermill_runs/x"  # the run\'s folder\n'
PARAMETERS = {
    "eda": 'data_dir = "data"  # official files\nseed = 0  # for every random choice\n',
    "augmentation": "strategies = []  # names of strategies\n",
    "finetune": 'encoder = {"num_train_epochs": 3.0}  # its settings\nhold = ""  # a file to wait for\n',
    "threshold_tuning": "",
    "submission": 'data_dir = "data"  # official files\ntask = "all"  # QC, QI or all\n'
    'submit_split = "test"  # dev or test\n',
}
OPEN = "from competition_utils.runs.stage import open_stage\nstage = open_stage({stage!r}, run_dir, globals())\n"
COPY = 'table = stage.read("numbers", of={of!r})\nstage.write("numbers", table)\n'
CODE = {
    "eda": "import pandas as pd\nstage.data_folder(data_dir)\n"
    'columns = {"id": [1, 2], "prediction": [1, seed % 2], "score": [0.9, 0.4]}\n'
    'stage.write("numbers", pd.DataFrame(columns))\n',
    "augmentation": COPY.format(of="eda"),
    "finetune": COPY.format(of="augmentation") + "import pathlib, time\n"
    "while hold and not pathlib.Path(hold).exists():\n    time.sleep(0.05)\n",
    "threshold_tuning": COPY.format(of="finetune"),
    "submission": "from competition_utils.submit import write_submission\n"
    "from competition_utils.tasks import TASKS\n"
    'table, data = stage.read("numbers", of="threshold_tuning"), stage.data_folder(data_dir)\n'
    "sources = {task.name: task.find_file(data, submit_split) for task in TASKS.values()}\n"
    "write_submission(stage.folder, {name: table for name in sources}, sources)\n",
}
FIGURES = {"rows": 2, "f1": 0.8, "precision": 0.7, "recall": 0.9, "auc": None, "all_positive_f1": 0.75}
METRICS = {
    "tasks": {name: {**FIGURES, "by_language": {"ar": {**FIGURES, "seen": False}}} for name in ("QC", "QI")},
    "f1_mean": 0.8,
}


def write_notebook(path: Path, *sources: str, parameters: str = "") -> Path:
    """A notebook with a parameters cell and one code cell a source."""
    cells = [{"cell_type": "markdown", "metadata": {}, "source": f"# {path.stem}"}]
    for number, source in enumerate([RUN_DIR + parameters, *sources]):
        tags = ["parameters"] if number == 0 else []
        cell = {"cell_type": "code", "metadata": {"tags": tags}, "source": source}
        cells.append({**cell, "execution_count": None, "outputs": []})
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook, indent=1), encoding="utf-8")
    return path


def write_data(folder: Path) -> None:
    """The official test files, two rows a task."""
    folder.mkdir()
    for task, field in (("QC", "category_path"), ("QI", "item_title")):
        rows = [
            {"id": 1, "task": task, "language": "ar", "origin_query": "nan", field: "food,food&fresh（spe）"},
            {"id": 2, "task": task, "language": "it", "origin_query": "scarpe \u2028 rosse", field: "shoes"},
        ]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"test_{task}.txt").write_text(text, encoding="utf-8")


def make_project(root: Path) -> Path:
    """Five notebooks that do as little as may be, their data, and the config `small`."""
    for stage in paths.STAGES:
        metrics = METRICS if stage == "threshold_tuning" else {}
        cells = [OPEN.format(stage=stage), CODE[stage], f"stage.finish({metrics!r})"]
        write_notebook(root / "notebooks" / paths.notebook_name(stage), *cells, parameters=PARAMETERS[stage])
    write_data(root / "data")
    (root / "configs").mkdir()
    (root / "configs" / "small.yaml").write_text("data_dir: data\nseed: 1\n")
    return root


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which nothing was run yet."""
    monkeypatch.setenv(paths.ROOT_VARIABLE, str(tmp_path))
    return make_project(tmp_path)


@pytest.fixture(scope="module")
def shared_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project for the tests of a module that only look at what one run left."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("project")
        patch.setenv(paths.ROOT_VARIABLE, str(root))
        yield make_project(root)
