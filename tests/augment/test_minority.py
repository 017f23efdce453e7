"""Rows of the minority class: swapped targets and queries that ask for what the title is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from competition_utils.augment import minority
from competition_utils.augment.minority import counterfactuals, swapped_targets
from competition_utils.augment.rows import start_table
from competition_utils.augment.tools import Tools
from competition_utils.settings.strategy import Counterfactuals, SwappedTargets
from competition_utils.tasks import QC, QI
from competition_utils.translation.open import open_translator


def train(*rows):
    table = pd.DataFrame(rows, columns=["language", "query", "target", "label"])
    table["id"] = np.arange(1, len(table) + 1)
    table["label"] = table["label"].astype("Int8")
    table["task"], table["fold"] = "QI", np.int16(0)
    table["origin_query"], table["origin_target"] = table["query"], table["target"]
    return start_table(table, pd.Series("", index=table.index, dtype="str"))


def created(made):
    return made[made["source"] == "minority"]


def edited(language, query, target):
    rows = created(counterfactuals(train((language, query, target, 1)), Tools(QI), Counterfactuals(share=1.0)))
    return rows["query"].tolist()


def test_a_colour_that_the_title_states_becomes_another_in_the_same_form():
    (query,) = edited("es", "blusa roja", "Red Blouse for Women 2024")
    assert query.startswith("blusa ")
    assert "roja" not in query
    assert query.removeprefix("blusa ") not in {"azules", "negro", "blanco", "amarillo"}


@pytest.mark.parametrize(
    ("language", "query", "target", "kind"),
    [
        ("en", "leather wallet", "Slim Leather Wallet", "material"),
        ("th", "เสื้อสีแดง", "Shirt Red Cotton", "colour"),
        ("de", "rote tasche", "Red Bag New", "colour"),
        ("en", "iphone 13 case", "Case for iPhone 13 Clear", "number"),
        ("en", "bosch gsr120 drill", "Bosch GSR120 Cordless Drill", "code"),
    ],
)
def test_one_thing_is_changed_in_the_querys_own_language(language, query, target, kind):
    settings = Counterfactuals(share=1.0, kinds=[kind])
    made = created(counterfactuals(train((language, query, target, 1)), Tools(QI), settings))
    assert len(made) == 1
    assert made.iloc[0]["query"] != query
    assert made.iloc[0]["label"] == 0
    assert made.iloc[0]["gate"].startswith(kind)


@pytest.mark.parametrize(
    ("language", "query", "target", "label"),
    [
        ("en", "red blouse", "Blouse for Women", 1),
        ("en", "red blouse", "Red Blouse", 0),
        ("en", "blouse", "Red Blouse", 1),
        ("en", "iphone 13 case", "Case for iPhone", 1),
        ("xx", "red blouse", "Red Blouse", 1),
        ("en", "paper towel holder", "Paper Towel Holder", 1),
        ("en", "rose gold lamp", "Rose Gold Lamp", 1),
    ],
    ids=[
        "title silent",
        "negative row",
        "query silent",
        "number not in title",
        "unknown language",
        "a name's part",
        "a longer colour's part",
    ],
)
def test_nothing_is_made_where_the_title_states_no_opposite(language, query, target, label):
    table = train((language, query, target, label))
    assert len(created(counterfactuals(table, Tools(QI), Counterfactuals(share=1.0)))) == 0


def test_the_new_query_gets_its_own_english():
    tools = Tools(QI, open_translator("built_in", "."))
    table = train(("es", "vestido de noche rojo", "Red Evening Dress", 1))
    row = created(counterfactuals(table, tools, Counterfactuals(share=1.0))).iloc[0]
    assert "evening dress" in row["query_en"]
    assert "red" not in row["query_en"].split()


def letters(texts, model_name="minilm", *, kind="query"):
    counts = np.array([[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts], dtype=np.float32)
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


@pytest.fixture
def swapped(monkeypatch):
    monkeypatch.setattr(minority, "embed", letters)
    rows = [
        ("en", f"{kind} {size}", f"{kind} {size} new", 1)
        for kind in ("lamp", "clamp", "stamp", "ramp")
        for size in "abcdef"
    ]
    table = train(*rows)
    settings = SwappedTargets(share=1.0, low=0.5, high=0.95, margin=0.02)
    return table, swapped_targets(table, Tools(QI), settings)


def test_a_query_gets_the_target_of_a_close_query_and_label_zero(swapped):
    table, made = swapped
    rows = created(made)
    assert len(rows)
    assert (rows["label"] == 0).all()
    assert rows["target"].isin(table["target"]).all()
    close = (letters(rows["query"]) * letters(rows["target"])).sum(axis=1)
    own = table.set_index("id").loc[rows["origin_id"]]
    own_close = (letters(own["query"]) * letters(own["target"])).sum(axis=1)
    assert (own_close - close >= 0.02 - 1e-6).all()


def test_a_known_pair_is_never_swapped_in(swapped):
    table, made = swapped
    pairs = set(zip(table["query"], table["target"], strict=True))
    assert not pairs & set(zip(created(made)["query"], created(made)["target"], strict=True))


@pytest.mark.parametrize(
    ("step", "settings"), [(counterfactuals, Counterfactuals()), (swapped_targets, SwappedTargets())]
)
def test_category_paths_are_left_to_other_steps(step, settings):
    table = train(("en", "red blouse", "apparel,red blouse", 1))
    assert step(table, Tools(QC), settings) is table
