"""Notebook 02 step by step: the same tables as the strategy run as a whole, and a step that was edited in its cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from competition_utils import paths
from competition_utils.augment.build import augment_tasks, run_steps
from competition_utils.augment.strategies import load_strategy
from competition_utils.data.prepare import prepare
from competition_utils.runs.parameters import read_notebook
from competition_utils.storage import hash_file, read_json, write_parquet
from competition_utils.synthetic.competition import make_sample
from competition_utils.tasks import SPLITS, TASKS
from competition_utils.translation.open import open_translator

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "02_augmentation.ipynb"
pytestmark = pytest.mark.slow
BACK_AND_FORTH = """
description: Steps in another order than the notebook's sections.
steps:
  - step: balance
  - step: translate_titles
  - step: self_validate
  - step: balance
    most_repeats: 2.0
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_sample(folder / "sample", rows=300, dev_rows=100, test_rows=100, seed=0)
    return folder / "sample"


@pytest.fixture(scope="module")
def clean(data):
    tables = prepare(data, list(TASKS.values())).tables
    return {(task, split): tables[f"{task}_{split}"] for task in TASKS for split in SPLITS}


@pytest.fixture
def run(clean, tmp_path, monkeypatch):
    """A run's folder after stage `eda`."""
    monkeypatch.setenv(paths.ROOT_VARIABLE, str(NOTEBOOK.parents[1]))
    for (name, split), table in clean.items():
        write_parquet(tmp_path / "eda" / f"{name}_{split}.parquet", table)
    return tmp_path


def cells() -> list[str]:
    return [cell["source"] for cell in read_notebook(NOTEBOOK) if cell["cell_type"] == "code"]


def execute(sources: list[str], run: Path, data: Path, strategy: str, **parameters: Any) -> dict[str, Any]:
    """The names that the cells leave behind; the first is the parameters cell."""
    names: dict[str, Any] = {"display": lambda shown: None}
    exec(sources[0], names)
    names |= {"run_dir": str(run), "data_dir": str(data), "strategy": strategy, **parameters}
    for source in sources[1:]:
        exec(source, names)
    return names


@pytest.mark.parametrize(
    "strategy",
    [
        "original",
        pytest.param("translated_minority", marks=pytest.mark.soak),
        "translated_negatives_easy",
        "self_validated",
        BACK_AND_FORTH,
    ],
)
def test_the_cells_one_by_one_write_the_tables_of_the_whole_strategy(strategy, run, clean, data, tmp_path):
    if strategy == BACK_AND_FORTH:
        strategy = str(tmp_path / "back_and_forth.yaml")
        Path(strategy).write_text(BACK_AND_FORTH, encoding="utf-8")
    execute(cells(), run, data, strategy)
    whole = augment_tasks(clean, list(TASKS.values()), load_strategy(strategy), open_translator("auto", data))
    for task in TASKS:
        for split in SPLITS:
            write_parquet(tmp_path / "whole.parquet", whole[task].tables[split])
            written = run / "augmentation" / f"{task}_{split}.parquet"
            assert hash_file(written) == hash_file(tmp_path / "whole.parquet"), (task, split)


@pytest.mark.parametrize("parameters", [{"task": "QI"}, {"category_hints": False}], ids=["QI alone", "switched off"])
def test_without_hints_the_stage_ends_and_every_hint_is_empty(parameters, run, data):
    names = execute(cells(), run, data, "original", **parameters)
    for made in names["results"].values():
        assert {hint for table in made.tables.values() for hint in table["category_hint"]} == {""}
    assert read_json(run / "augmentation" / "hints" / "categories.json")["paths"] == []
    assert (run / "augmentation" / "figures" / "hint_relations.png").is_file()


def test_a_step_can_be_edited_in_its_cell_and_another_left_out(run, data):
    sources = cells()
    edits = {
        'steps["expand"]  #': '[step.but(weight=0.5) for step in steps["expand"]]  #',
        'steps["minority"]  #': "[]  #",
    }
    for old, new in edits.items():
        (place,) = [number for number, source in enumerate(sources) if f"chosen_steps = {old}" in source]
        sources[place] = sources[place].replace(old, new)
    names = execute(sources, run, data, "translated_minority")
    train = pd.concat([made.tables["train"] for made in names["results"].values()])
    assert set(train.loc[train["source"] != "original", "weight"]) == {0.5}
    assert "minority" not in set(train["source"])
    with_it = run_steps(names["mined"], names["steps"]["minority"])
    assert "minority" in set(with_it["QI"].tables["train"]["source"])
