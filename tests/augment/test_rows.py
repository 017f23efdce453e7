"""Rows of an augmented table: traceable, in their origin's fold, never a second copy."""

from __future__ import annotations

import numpy as np
import pandas as pd

from competition_utils.augment.rows import add_rows, originals, sample_stratified, start_table


def clean_table(rows=4):
    return pd.DataFrame(
        {
            "id": np.arange(1, rows + 1) * 10,
            "task": "QC",
            "language": "es",
            "origin_query": [f"q{i}" for i in range(rows)],
            "origin_target": [f"t{i}" for i in range(rows)],
            "label": pd.array([1] * rows, dtype="Int8"),
            "query": [f"q{i}" for i in range(rows)],
            "target": [f"t{i}" for i in range(rows)],
            "fold": np.arange(rows, dtype=np.int16),
        }
    )


def started():
    clean = clean_table()
    return start_table(clean, pd.Series("", index=clean.index, dtype="str"))


def test_an_original_row_is_its_own_origin_and_weighs_one():
    table = started()
    assert table["origin_id"].tolist() == table["id"].tolist()
    assert set(table["source"]) == {"original"}
    assert table["weight"].tolist() == [1.0] * 4
    assert table["weight"].dtype == np.float32


def test_a_created_row_has_a_new_id_its_origins_id_and_its_origins_fold():
    table = started()
    made = add_rows(table, table.iloc[[2]].assign(query="neu", language="de"), source="translated", step="s")
    row = made.iloc[-1]
    assert (row["id"], row["origin_id"], row["fold"], row["source"], row["step"]) == (
        41,
        30,
        2,
        "translated",
        "s",
    )
    assert row["origin_query"] == "neu"
    assert made.dtypes.to_dict() == table.dtypes.to_dict()


def test_a_pair_that_is_there_already_or_made_twice_is_not_added_again():
    table = started()
    twice = table.iloc[[0, 0, 1]].assign(query=["neu", "neu", "q1"])
    assert len(add_rows(table, twice, source="x", step="s")) == len(table) + 1


def test_originals_are_the_rows_of_the_files():
    table = started()
    made = add_rows(table, table.iloc[[0]].assign(query="neu"), source="x", step="s")
    pd.testing.assert_frame_equal(originals(made), table)


def test_a_stratified_sample_keeps_the_shares_and_has_the_size_asked_for():
    table = pd.DataFrame({"language": ["a"] * 60 + ["b"] * 30 + ["c"] * 10})
    sample = sample_stratified(table, 20, ["language"], np.random.default_rng(0))
    assert sample["language"].value_counts().to_dict() == {"a": 12, "b": 6, "c": 2}
    assert sample.index.is_monotonic_increasing


def test_asking_for_more_rows_than_there_are_gives_all():
    table = pd.DataFrame({"language": ["a", "b"]})
    assert len(sample_stratified(table, 5, ["language"], np.random.default_rng(0))) == 2
