"""A project of its own for each test: five one-cell notebooks, and nothing of the real clone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from competition_utils.runs import paths

PARAMETERS = {
    "eda": 'run_dir = "papermill_runs/x"  # the run\'s folder\nseed = 0  # for every random choice\n',
    "augmentation": 'run_dir = "papermill_runs/x"  # the run\'s folder\nstrategies = []  # names\n',
}
DEFAULT_PARAMETERS = 'run_dir = "papermill_runs/x"  # the run\'s folder\n'


def write_notebook(path: Path, *sources: str, parameters: str = DEFAULT_PARAMETERS) -> Path:
    """A notebook with a parameters cell and one code cell a source."""
    cells = [{"cell_type": "markdown", "metadata": {}, "source": f"# {path.stem}"}]
    for number, source in enumerate([parameters, *sources]):
        tags = ["parameters"] if number == 0 else []
        cell = {"cell_type": "code", "metadata": {"tags": tags}, "source": source}
        cells.append({**cell, "execution_count": None, "outputs": []})
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project whose notebooks have parameters cells only."""
    monkeypatch.setenv(paths.ROOT_VARIABLE, str(tmp_path))
    for stage in paths.STAGES:
        write_notebook(paths.notebook_path(stage), parameters=PARAMETERS.get(stage, DEFAULT_PARAMETERS))
    return tmp_path
