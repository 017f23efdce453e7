"""Hints: where a query lands, and how the target lies to that place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from competition_utils.category_tree import nearest as module
from competition_utils.category_tree.hints import HintWriter, first_relation, nearest_name, target_state
from competition_utils.category_tree.named import ListedNames
from competition_utils.category_tree.tree import CategoryTree

PATHS = ["home,kitchen,water bottles", "home,kitchen,flasks", "home,decor,vases", "toys,water guns"]


def pairs(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Pairs of (task, query, target), in English."""
    table = pd.DataFrame(rows, columns=["task", "query", "target"], dtype="str")
    return table.assign(language="en", query_en="", target_en="")


@pytest.fixture(autouse=True)
def words_as_vectors(monkeypatch):
    """Embeddings worked out by hand: a text is the sum of its words' axes, so that a cosine counts common words."""
    words = ["home", "kitchen", "water", "bottles", "flasks", "decor", "vases", "toys", "guns", "tall"]
    axes = {word: place for place, word in enumerate(words)}

    def embed(texts, model="", kind="query"):
        vectors = np.zeros((len(texts), len(axes)), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row, [axes[word] for word in text.split()]] = 1
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1)

    monkeypatch.setattr(module, "embed", embed)


@pytest.fixture
def writer() -> HintWriter:
    return HintWriter(CategoryTree(PATHS), tenths=[0.1 * tenth for tenth in range(1, 10)])


@pytest.mark.parametrize(
    ("task", "target", "expected"),
    [
        ("QC", "home,kitchen,water bottles", "same"),
        ("QC", "home,kitchen", "parent"),
        ("QC", "home", "ancestor"),
        ("QC", "home,kitchen,flasks", "sibling"),
        ("QC", "home,decor,vases", "department"),
        ("QC", "toys", "elsewhere"),
        ("QI", "Tall Water Bottle, red", "same"),
        ("QI", "Flask for travel", "sibling"),
        ("QI", "something else", "none"),
    ],
)
def test_the_first_word_is_the_target_s_relation_to_the_nearest_category(writer, task, target, expected):
    made = writer.hints(pairs((task, "tall water bottles", target)))
    assert first_relation(made).tolist() == [expected]


def test_relations_to_the_next_categories_the_nearness_and_the_name_follow(writer):
    # cosine 2/√6 = .816 with water bottles, 1/√6 with water guns; the third shares no word, the first such name counts
    made = writer.hints(pairs(("QC", "tall water bottles", "toys,water guns"))).item()
    assert made == "elsewhere same department 8 water bottles" or made.startswith("elsewhere same ")
    assert made.endswith(" 8 water bottles")


def test_the_english_of_query_and_title_is_read(writer):
    table = pairs(("QI", "agua", "Botella")).assign(query_en="water bottles", target_en="water bottle")
    assert first_relation(writer.hints(table)).tolist() == ["same"]


def test_of_several_categories_with_one_name_the_closest_to_the_target_counts():
    writer = HintWriter(CategoryTree(["home,decor,vases", "toys,vases"]))
    assert first_relation(writer.hints(pairs(("QC", "vases", "toys,vases")))).tolist() == ["same"]


def test_a_target_that_the_tree_lacks_is_known_to_its_own_pair_alone(writer):
    table = pairs(("QC", "tall vases", "home,decor,tall vases"), ("QC", "tall vases", "home,decor,vases"))
    made = writer.hints(table)
    assert first_relation(made).tolist() == ["same", "same"]
    assert made.str.endswith("tall vases").tolist() == [True, False]


def test_a_pair_has_the_same_hint_whatever_stands_beside_it(writer):
    table = pairs(
        ("QC", "tall vases", "home,decor,tall vases"),
        ("QC", "vases", "toys,tall,vases"),
        ("QC", "vases", "toys"),
        ("QI", "water guns", "water gun for toys"),
    )
    alone = pd.concat([writer.hints(table.iloc[[row]]) for row in range(len(table))])
    assert writer.hints(table).tolist() == alone.tolist()


def test_without_categories_every_hint_is_empty():
    made = HintWriter.measured(CategoryTree([]), pairs(("QI", "vases", "vase"))).hints(pairs(("QI", "vases", "vase")))
    assert made.tolist() == [""]


def test_no_pairs_give_no_hints(writer):
    assert writer.hints(pairs()).tolist() == []


def test_a_tree_of_one_name_leaves_the_other_relations_open():
    assert HintWriter(CategoryTree(["vases"])).hints(pairs(("QC", "vases", "vases"))).item() == "same none none 0 vases"


def test_nearness_counts_the_tenths_of_the_measured_queries_that_are_less_near(writer):
    rows = pairs(*[("QC", query, "home") for query in ("water bottles", "tall water", "tall")])
    measured = HintWriter.measured(writer.tree, rows)
    nearness = measured.hints(rows).str.split(" ").str[3].astype(int)
    assert nearness.is_monotonic_decreasing and nearness.iloc[0] > nearness.iloc[2] == 0


def test_a_model_s_folder_gives_back_the_writer(writer, tmp_path):
    writer.save(tmp_path)
    table = pairs(("QC", "water bottles", "home,kitchen"), ("QI", "vases", "vase"))
    assert HintWriter.of_model(tmp_path).hints(table).tolist() == writer.hints(table).tolist()


def test_a_lexicon_puts_in_front_whether_the_query_names_the_target(writer, tmp_path):
    listed = ListedNames(pd.DataFrame({"language": ["de"], "name": ["flasks"]}, dtype="str"))
    listing = HintWriter(writer.tree, tenths=writer.tenths, listed=listed)
    table = pairs(("QC", "tall vases", "home,decor,vases"), ("QI", "tall vases", "flask"), ("QI", "vases", "x"))
    table = table.assign(language="de")
    made = listing.hints(table)
    assert target_state(made).tolist() == ["named", "unnamed", "none"]
    assert first_relation(made).tolist() == first_relation(writer.hints(table)).tolist()
    assert nearest_name(made).tolist() == ["vases"] * 3
    listing.save(tmp_path)
    assert HintWriter.of_model(tmp_path).hints(table).tolist() == made.tolist()


@pytest.mark.parametrize(
    ("query", "target", "expected"),
    [
        # cosines 1 and 0 by a temperature of .1: 1 / (1 + 2 / e¹⁰), the other two names are as far
        ("vases", "home,decor,vases", "99"),
        ("vases", "home,decor", "99"),
        ("vases", "toys", "00"),
        # √½ with water bottles and with water guns: half and half
        ("water", "toys,water guns", "40"),
        ("water", "toys", "40"),
    ],
)
def test_in_front_stands_how_probably_the_query_asks_for_the_target_its_parent_or_a_child(query, target, expected):
    tree = CategoryTree(["home,decor,vases", "home,kitchen,water bottles", "toys,water guns"])
    nothing = ListedNames(pd.DataFrame({"language": [], "name": []}, dtype="str"))
    made = HintWriter(tree, tenths=[0.5], listed=nothing).hints(pairs(("QC", query, target))).item()
    assert made.split(" ")[0] == expected


def test_a_model_without_hints_has_no_writer(tmp_path):
    assert HintWriter.of_model(tmp_path) is None
