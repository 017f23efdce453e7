"""An exported dataset is read by `datasets.load_dataset`, offline: configs, splits, and the same rows as in the run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from competition_utils.augment.rows import start_table
from competition_utils.data.prepare import prepare
from competition_utils.errors import DamagedFile, UserError
from competition_utils.share.dataset import COLUMNS, export_dataset
from competition_utils.storage import write_parquet, write_sealed_json
from competition_utils.synthetic.competition import make_sample
from competition_utils.tasks import SPLITS, TASKS


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "files"
    make_sample(folder, rows=120, dev_rows=100, test_rows=100)
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> Path:
    """Stages eda and augmentation, with a created row in QC."""
    run = tmp_path_factory.mktemp("runs") / "first"
    for name, table in prepare(data, TASKS.values(), n_folds=2).tables.items():
        write_parquet(run / "eda" / f"{name}.parquet", table)
        augmented = start_table(table, pd.Series("", index=table.index))
        if name == "QC_train":
            created = augmented.head(1).assign(id=9_999, source="translated")
            augmented = pd.concat([augmented, created], ignore_index=True)
        write_parquet(run / "augmentation" / f"{name}.parquet", augmented)
    return run


@pytest.fixture
def load(monkeypatch, tmp_path):
    """`load_dataset` with caches of its own; a call of the network would be an error."""
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    datasets = pytest.importorskip("datasets")
    return lambda *names: datasets.load_dataset(*map(str, names), cache_dir=tmp_path / "cache")


def test_a_run_gives_clean_and_augmented_tables_with_all_splits(run, load, tmp_path):
    out = tmp_path / "out"
    rows = export_dataset(str(run), out)
    assert list(rows) == ["QC", "QI", "QC_augmented", "QI_augmented"]
    for config, splits in rows.items():
        loaded = load(out, config)
        assert {split: len(loaded[split]) for split in SPLITS} == splits
    train = load(out, "QC_augmented")["train"].to_pandas()
    assert train["id"].max() == 9_999 and set(train["source"]) == {"original", "translated"}


def test_rows_and_folds_are_those_of_the_run_and_what_is_not_known_is_null(run, load, tmp_path):
    export_dataset(str(run), tmp_path / "out")
    loaded = load(tmp_path / "out", "QC")
    given = pd.read_parquet(run / "eda" / "QC_train.parquet")
    got = loaded["train"].to_pandas()
    for name in ("id", "query", "target", "label", "fold"):
        assert got[name].tolist() == given[name].tolist(), name
    assert set(loaded["test"]["label"]) == {None} and set(loaded["test"]["fold"]) == {-1}


def test_a_folder_of_official_files_is_cleaned_and_folded(data, load, tmp_path):
    rows = export_dataset(str(data), tmp_path / "out")
    assert list(rows) == ["QC", "QI"]
    assert set(load(tmp_path / "out", "QI")["train"]["fold"]) == set(range(5))


def test_the_card_names_configs_languages_and_every_column_that_it_explains(run, tmp_path):
    export_dataset(str(run), tmp_path / "out")
    _, head, body = (tmp_path / "out" / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    metadata = yaml.safe_load(head)
    assert [config["config_name"] for config in metadata["configs"]] == ["QC", "QI", "QC_augmented", "QI_augmented"]
    assert "vi" in metadata["language"] and "vn" not in metadata["language"]
    table = pd.read_parquet(tmp_path / "out" / "QI_augmented" / "train.parquet")
    assert set(table) <= set(COLUMNS)
    assert all(f"| `{name}` |" in body for name in table)


def test_a_folder_in_use_is_left_alone(run, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="in use"):
        export_dataset(str(run), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_tables_that_are_not_as_the_stage_wrote_them_are_refused(run, tmp_path, monkeypatch):
    changed = tmp_path / "changed"
    for path in (run / "eda").iterdir():
        write_parquet(changed / "eda" / path.name, pd.read_parquet(path))
    manifest = {"outputs": {path.name: "0" * 64 for path in (changed / "eda").iterdir()}}
    write_sealed_json(changed / "eda" / "manifest.json", manifest)
    with pytest.raises(DamagedFile, match="QC_train"):
        export_dataset(str(changed), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_neither_a_run_nor_a_data_folder_is_one_message(project, tmp_path):
    with pytest.raises(UserError, match="expected a run's name"):
        export_dataset("nothing", tmp_path / "out")
