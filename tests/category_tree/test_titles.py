"""Names of categories in titles."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from competition_utils.category_tree.titles import NamesInTitles, singular
from competition_utils.category_tree.tree import CategoryTree

TREE = CategoryTree(["garden,plant pots", "garden,pots", "kitchen,bench scrapers", "kitchen,salt & pepper mills"])


def named(*titles: str) -> list[set[str]]:
    found = NamesInTitles(TREE).find(pd.Series(titles, dtype="str"))
    return [{TREE.paths[node] for node in found.loc[found["row"] == row, "node"]} for row in range(len(titles))]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Set of 2 Bench Scraper, Steel", {"kitchen,bench scrapers"}),
        ("terracotta plant pots", {"garden,plant pots"}),
        ("pots for plants", {"garden,pots"}),
        ("Salt and Pepper Mill", {"kitchen,salt & pepper mills"}),
        ("PLANT POT, bench scraper", {"garden,plant pots", "kitchen,bench scrapers"}),
        ("bench for the garden", {"garden"}),
        ("nothing of it", set()),
        ("", set()),
    ],
    ids=[
        "singular for plural",
        "the longest name counts",
        "words in another order are another phrase",
        "function words are passed over",
        "two names",
        "half a name is none",
        "none",
        "empty",
    ],
)
def test_a_title_names(title, expected):
    assert named(title) == [expected]


def test_a_name_does_not_reach_from_one_title_into_the_next():
    assert named("big bench", "scrapers of steel") == [set(), set()]


WORDS = st.sampled_from(["garden", "pot", "plant", "bench", "scraper", "x"])


@given(st.lists(st.lists(WORDS, max_size=7).map(" ".join), max_size=5))
def test_titles_are_read_one_by_one_as_together(titles):
    assert named(*titles) == [named(title)[0] for title in titles]


@pytest.mark.parametrize(
    ("one", "other"),
    [("bottle", "bottles"), ("box", "boxes"), ("battery", "batteries"), ("dress", "dresses"), ("bench", "benches")],
)
def test_singular_and_plural_are_one_word(one, other):
    assert singular(one) == singular(other)


def test_a_word_that_only_ends_like_a_plural_stays():
    assert [singular(word) for word in ("glass", "bus", "tennis", "gas")] == ["glass", "bus", "tennis", "gas"]


def test_a_category_above_another_of_the_same_title_is_left_out():
    tree = CategoryTree(["garden tools,hedge trimmers", "kitchen"])
    found = NamesInTitles(tree).find(pd.Series(["hedge trimmer, garden tools, kitchen"]))
    assert {tree.paths[node] for node in found["node"]} == {"garden tools,hedge trimmers", "kitchen"}
