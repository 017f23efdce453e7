"""Balancing: sizes and shares as asked for, rows of the files before created ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from competition_utils.augment.balance import balance
from competition_utils.augment.tools import Tools
from competition_utils.settings.strategy import Balance
from competition_utils.tasks import QC


def train(**rows):
    """`en=(positives, negatives)` and so on."""
    parts = []
    for language, (positives, negatives) in rows.items():
        parts += [(language, 1)] * positives + [(language, 0)] * negatives
    table = pd.DataFrame(parts, columns=["language", "label"]).astype({"label": "Int8"})
    table["id"] = np.arange(len(table)) + 1
    table["query"], table["target"] = "q" + table["id"].astype("str"), "t"
    table["source"] = pd.Series(np.where(np.arange(len(table)) % 3 == 0, "translated", "original"), dtype="str")
    table["step"] = pd.Series("", index=table.index, dtype="str")
    return table.assign(weight=np.float32(1))


def weights(made):
    return made.groupby(["language", "label"])["weight"].sum().round(1).to_dict()


def test_every_language_and_label_weighs_the_same():
    made = balance(train(en=(80, 20), es=(50, 50), fr=(60, 40)), Tools(QC), Balance(rows_per_language=100))
    assert set(weights(made).values()) == {50.0}


def test_rows_are_left_out_and_never_copied():
    table = train(en=(80, 20), es=(50, 50))
    made = balance(table, Tools(QC), Balance(rows_per_language=100))
    assert made["id"].is_unique
    assert len(made) == 50 + 20 + 100


def test_a_row_weighs_no_more_than_allowed():
    made = balance(train(en=(99, 1), es=(50, 50)), Tools(QC), Balance(rows_per_language=100, most_repeats=3.0))
    assert made["weight"].max() == 3.0


def test_without_a_rate_each_language_keeps_its_own():
    made = balance(train(en=(80, 20), es=(20, 20)), Tools(QC), Balance(positive_rate=None, rows_per_language=50))
    assert weights(made) == {("en", 0): 10.0, ("en", 1): 40.0, ("es", 0): 25.0, ("es", 1): 25.0}


def test_created_rows_are_left_out_before_rows_of_the_files():
    made = balance(train(en=(90, 90)), Tools(QC), Balance(rows_per_language=60))
    assert set(made["source"]) == {"original"}


def test_what_is_left_out_is_counted():
    tools = Tools(QC)
    balance(train(en=(80, 20)), tools, Balance(rows_per_language=100))
    assert tools.rejections.table()["rows"].sum() == 30
