"""Negatives by meaning: inside their band, never a known pair, in the origin's fold and script."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from competition_utils.augment import mining
from competition_utils.augment.known_pairs import RELATIONS, KnownPairs
from competition_utils.augment.negatives import semantic_negatives
from competition_utils.augment.rows import start_table
from competition_utils.augment.tools import Tools
from competition_utils.data.duplicates import near_key
from competition_utils.settings.strategy import SemanticNegatives
from competition_utils.tasks import QC, QI

KINDS = ["lamp", "desk", "chair", "sofa", "plate", "knife", "shoe", "boot", "hat", "scarf"]


def letters(texts, model_name="minilm", *, kind="query"):
    """Embeddings by hand: counts of the letters, of length 1."""
    counts = np.array([[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts], dtype=np.float32)
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


@pytest.fixture(autouse=True)
def embedded_by_letters(monkeypatch):
    monkeypatch.setattr(mining, "embed", letters)


def train(task=QI, rows=200):
    place = np.arange(rows)
    kind = [KINDS[i % 10] for i in place]
    table = pd.DataFrame({"id": place + 1, "task": task.name, "language": np.where(place % 2, "en", "es")})
    table["query"] = [f"{name} {i // 10}" for i, name in zip(place, kind, strict=True)]
    if task == QC:
        table["target"] = [
            f"home,room {ord(name[0]) % 3},{name},{name} {i % 7}" for i, name in zip(place, kind, strict=True)
        ]
    else:
        thai = np.where(place % 5 == 0, "ไทย ", "new ")
        table["target"] = [f"{lead}{name} {i}" for i, name, lead in zip(place, kind, thai, strict=True)]
    table["label"] = pd.array((place % 4 > 0).astype(int), dtype="Int8")
    table["origin_query"], table["origin_target"] = table["query"], table["target"]
    table["fold"] = (place % 2).astype("int16")
    return start_table(table, pd.Series("", index=table.index, dtype="str"))


def mined(table, task=QI, **parameters):
    tools = Tools(task)
    settings = SemanticNegatives(**{"edges": [0.3, 0.6], "max_similarity": 0.9, "ratio": 1.0, **parameters})
    made = semantic_negatives(table, tools, settings)
    return made[made["source"] == "negative"], made, tools


def test_a_negative_keeps_the_query_of_a_positive_row_and_has_label_zero():
    created, made, _ = mined(train())
    origin = made.set_index("id").loc[created["origin_id"]]
    assert len(created) > 50
    assert (created["label"] == 0).all()
    assert (origin["label"] == 1).all()
    assert created["query"].tolist() == origin["query"].tolist()
    assert created["fold"].tolist() == origin["fold"].tolist()


@pytest.mark.parametrize(("band", "low", "high"), [("easy", -1, 0.3), ("medium", 0.3, 0.6), ("hard", 0.6, 0.9)])
def test_a_negative_lies_in_its_band(band, low, high):
    created, _, tools = mined(train(), band=band, max_query_similarity=1.1)
    close = (letters(created["query"]) * letters(created["target"])).sum(axis=1)
    assert len(created)
    assert (close >= low - 1e-6).all()
    assert (close < high + 1e-6).all()
    assert tools.max_similarity == 0.9
    assert {"positive", band} == set(pd.concat(tools.similarities)["kind"])


def test_a_target_comes_from_the_rows_own_fold_and_script():
    table = train()
    created, _, _ = mined(table, band="easy", edges=[0.5, 0.7])
    assert len(created)
    fold_of = table.drop_duplicates("target").set_index("target")["fold"]
    assert created["target"].map(fold_of).tolist() == created["fold"].tolist()
    own = table.set_index("id").loc[created["origin_id"], "target"]
    assert created["target"].str.startswith("ไทย").tolist() == own.str.startswith("ไทย").tolist()


def test_no_target_of_a_known_pair_or_of_a_near_duplicate_query_is_taken():
    table = train()
    shouted = table.iloc[:40].assign(id=range(1001, 1041), query=table["query"].iloc[:40].str.upper())
    table = pd.concat([table, shouted.assign(target=table["target"].iloc[40:80].to_numpy())], ignore_index=True)
    created, _, _ = mined(table, max_query_similarity=1.1)
    known = set(zip(near_key(table["query"]), table["target"], strict=True))
    assert not known & set(zip(near_key(created["query"]), created["target"], strict=True))


def test_a_target_of_a_similar_query_is_left_alone():
    table = train()
    table["label"] = table["label"] * 0 + 1
    created, _, _ = mined(table, band="hard", max_query_similarity=0.99)
    kind = created["query"].str.split().str[0]
    same = [name in target for name, target in zip(kind, created["target"], strict=True)]
    assert not any(same)


def test_the_ratio_is_of_the_positive_rows_and_the_seed_decides():
    table = train()
    one, two = mined(table, ratio=0.2)[0], mined(table, ratio=0.2)[0]
    assert len(one) <= 0.2 * (table["label"] == 1).sum()
    pd.testing.assert_frame_equal(one, two)


def test_a_category_above_or_below_a_right_one_is_never_a_negative():
    table = train(QC)
    up = table.iloc[:50].assign(id=range(2001, 2051), target=table["target"].str.rsplit(",", n=1).str[0].iloc[:50])
    table = pd.concat([table, up.assign(query=[f"other {i}" for i in range(50)])], ignore_index=True)
    created, made, _ = mined(table, QC, band="hard", max_query_similarity=1.1)
    own = made.set_index("id").loc[created["origin_id"], "target"]
    pairs = list(zip(own, created["target"], strict=True))
    assert pairs
    assert not any(a.startswith(b + ",") or b.startswith(a + ",") for a, b in pairs)


def test_the_tree_decides_how_far_a_category_may_lie():
    wide = {"edges": [-0.5, 0.99], "max_similarity": 1.1, "max_query_similarity": 1.1}
    created, made, _ = mined(train(QC), QC, band="medium", tree=["sibling"], **wide)
    own = made.set_index("id").loc[created["origin_id"], "target"]
    assert len(created)
    parents = created["target"].str.rsplit(",", n=1).str[0]
    assert parents.tolist() == own.str.rsplit(",", n=1).str[0].tolist()


def test_relations_in_a_category_tree():
    paths = ["a,b,c,d", "a,b,c,e", "a,b,f,g", "a,h", "i,b,c,d", "a,b", "a,b,c,d,j"]
    table = train(QC).iloc[: len(paths)].assign(target=paths)
    known = KnownPairs(table, QC)
    found = known.relation(np.array([0]), np.arange(len(paths))[None, :])[0]
    names = ["branch", "sibling", "cousin", "vertical", "far", "branch", "branch"]
    assert [RELATIONS[code] for code in found] == names


def fitting_by_the_rule(table, row, task, max_query_similarity, relations):
    """The rule word by word, a candidate at a time: the targets between 0.3 and 0.6 that a row may get."""
    fold = table[table["fold"] == row["fold"]]
    asking = {target: letters(asked) for target, asked in fold[fold["label"] == 1].groupby("target")["query"]}
    own = table[table["key"] == row["key"]]
    right, asked = own.loc[own["label"] == 1, "target"], letters([row["query"]])[0]
    fitting = set()
    for target in fold["target"].unique():
        branch = any(f"{target},".startswith(f"{path},") or f"{path},".startswith(f"{target},") for path in right)
        if (
            0.3 <= letters([target])[0] @ asked < 0.6
            and target not in set(own["target"])
            and target.startswith("ไทย") == row["target"].startswith("ไทย")
            and (target not in asking or (asking[target] @ asked).max() < max_query_similarity)
            and not (task == QC and branch)
            and (relations is None or relation_by_words(row["target"], target) in relations)
        ):
            fitting.add(target)
    return fitting


def relation_by_words(own, other):
    mine, theirs = own.split(","), other.split(",")
    shared = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), None)
    if shared is None:
        return "branch"
    return {0: "far", len(mine) - 1: "sibling", len(mine) - 2: "cousin"}.get(shared, "vertical")


@pytest.mark.parametrize(("task", "tree"), [(QI, None), (QC, None), (QC, ["cousin", "vertical"])])
@pytest.mark.parametrize("max_query_similarity", [0.7, 1.1])
def test_a_row_gets_a_fitting_target_exactly_where_there_is_one(task, tree, max_query_similarity):
    # A fold has fewer targets than a row has candidates, so all of them are candidates of each row.
    table = train(task, rows=120)
    created, _, _ = mined(table, task, max_query_similarity=max_query_similarity, tree=tree)
    found = created.set_index("origin_id")["target"]
    keyed = table.assign(key=near_key(table["query"]))
    for _, row in keyed[keyed["label"] == 1].iterrows():
        fitting = fitting_by_the_rule(keyed, row, task, max_query_similarity, tree)
        assert found.get(row["id"]) in fitting if fitting else row["id"] not in found
    assert len(found) > 0


def test_the_nearest_targets_come_with_their_cosines():
    rng = np.random.default_rng(0)
    queries, targets = letters([*"abcde"]), rng.normal(size=(50, 26)).astype(np.float32)
    close, places = mining.nearest(queries, targets, 7)
    cosines = queries @ targets.T
    np.testing.assert_array_equal(places, np.argsort(-cosines, axis=1)[:, :7])
    np.testing.assert_allclose(close, np.take_along_axis(cosines, places, axis=1), atol=1e-6)
    assert mining.nearest(queries, targets[:3], 7)[1].shape == (5, 3)


@given(
    keys=arrays(np.float64, (5, 12), elements=st.floats(0, 1), unique=True),
    fits=arrays(np.bool_, (5, 12)),
    right=arrays(np.bool_, (5, 12)),
)
def test_checking_the_one_drawn_gives_what_checking_all_would(keys, fits, right):
    picked = mining.draw(keys * fits, lambda rows, columns: right[rows, columns])
    all_checked = keys * fits * right
    expected = np.where(all_checked.any(axis=1), all_checked.argmax(axis=1), -1)
    assert picked.tolist() == expected.tolist()


def test_a_candidate_that_fits_is_drawn_as_often_as_another():
    rng = np.random.default_rng(0)
    fits = np.tile([True, True, False, True, True], (20_000, 1))
    picked = mining.draw(rng.random(fits.shape) * fits, lambda rows, columns: columns != 1)
    assert np.bincount(picked, minlength=5) / 20_000 == pytest.approx([1 / 3, 0, 0, 1 / 3, 1 / 3], abs=0.02)


def test_rows_that_find_no_target_are_counted():
    created, _, tools = mined(train(), band="hard", edges=[0.88, 0.89], max_similarity=0.8901)
    rejected = tools.rejections.table()["rows"].sum()
    assert len(created) + rejected == (train()["label"] == 1).sum()
