"""The tree of category paths, and how two categories lie to each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from competition_utils.category_tree.tree import RELATIONS, CategoryTree

PATHS = [
    "home & garden,decor,vases",
    "home & garden,decor,candles, wicks & wax",
    "home & garden,kitchen,vases",
    "toys,games,board games,chess",
]
names = st.sampled_from(["a", "b", "c, d"])
paths = st.lists(names, min_size=1, max_size=4).map(",".join)


def relation(tree: CategoryTree, category: str, target: str) -> str:
    node = tree.node_of
    return RELATIONS[tree.relation(np.array([node[category]]), np.array([node[target]]))[0]]


def test_every_category_above_a_path_is_a_node():
    assert CategoryTree(["toys,games,chess"]).paths == ["toys", "toys,games", "toys,games,chess"]


def test_a_comma_with_a_blank_behind_it_belongs_to_the_name():
    assert "candles, wicks & wax" in set(CategoryTree(PATHS).names["name"])


def test_one_name_may_stand_for_several_categories():
    tree = CategoryTree(PATHS)
    assert (tree.names["name"] == "vases").sum() == 2


@pytest.mark.parametrize(
    ("category", "target", "expected"),
    [
        ("home & garden,decor,vases", "home & garden,decor,vases", "same"),
        ("home & garden,decor", "home & garden,decor,vases", "child"),
        ("home & garden,decor,vases", "home & garden,decor", "parent"),
        ("toys,games", "toys,games,board games,chess", "descendant"),
        ("toys,games,board games,chess", "toys,games", "ancestor"),
        ("home & garden,decor,vases", "home & garden,decor,candles, wicks & wax", "sibling"),
        ("home & garden,decor,vases", "home & garden,kitchen,vases", "department"),
        ("home & garden", "toys", "elsewhere"),
        ("home & garden,decor,vases", "toys,games", "elsewhere"),
    ],
)
def test_the_relation_says_how_the_target_lies_to_the_category(category, target, expected):
    assert relation(CategoryTree(PATHS), category, target) == expected


def test_categories_that_share_two_levels_and_no_parent_are_cousins():
    tree = CategoryTree(["a,b,c,d", "a,b,e,f"])
    assert relation(tree, "a,b,c,d", "a,b,e,f") == "cousin"


LEVELS_LEFT_OUT = [
    "home,kitchen,brewing,coffee makers,spare parts",
    "home,kitchen,coffee makers,spare parts,adapters",  # "home,kitchen,brewing,coffee makers,spare parts,adapters"
    "home,kitchen,brewing,kettles",
]


@pytest.mark.parametrize(
    ("category", "target", "expected"),
    [
        ("home,kitchen,coffee makers,spare parts,adapters", "home,kitchen,brewing,coffee makers,spare parts", "parent"),
        ("home,kitchen,coffee makers,spare parts,adapters", "home,kitchen,brewing", "ancestor"),
        ("home,kitchen,coffee makers,spare parts", "home,kitchen,brewing,coffee makers,spare parts", "same"),
        ("home,kitchen,coffee makers,spare parts,adapters", "home,kitchen,brewing,kettles", "cousin"),
    ],
)
def test_a_path_that_lost_middle_levels_lies_below_the_whole_path_of_its_parent(category, target, expected):
    assert relation(CategoryTree(LEVELS_LEFT_OUT), category, target) == expected


@pytest.mark.parametrize(
    "paths",
    [
        ["wear,shirts", "wear,baby,shirts", "wear,shirts,polo shirts,a,b"],
        ["wear,shirts,polo", "wear,baby,shirts", "wear,men,shirts,polo,long"],
        ["wear,shirts,polo,a", "toys,dolls,shirts"],
    ],
    ids=["given as a path itself", "above a path that had no need to lose a level", "another department"],
)
def test_a_category_of_the_same_name_elsewhere_stays_another(paths):
    tree = CategoryTree(paths)
    assert tree.full.tolist() == list(range(len(tree)))


@given(st.lists(paths, min_size=1, max_size=6))
def test_no_category_lies_above_itself(given_paths):
    for line in CategoryTree(given_paths).ancestors:
        nodes = line[line >= 0].tolist()
        assert len(nodes) == len(set(nodes))


@given(st.lists(paths, min_size=1, max_size=6), st.data())
def test_seen_from_the_other_side_above_and_below_change_places(given_paths, data):
    tree = CategoryTree(given_paths)
    one, other = (data.draw(st.sampled_from(tree.paths)) for _ in range(2))
    turned = {"child": "parent", "parent": "child", "descendant": "ancestor", "ancestor": "descendant"}
    found = relation(tree, one, other)
    assert relation(tree, other, one) == turned.get(found, found)


@given(st.lists(paths, min_size=1, max_size=6), paths)
def test_including_a_path_moves_no_relation_of_the_others(given_paths, new):
    tree = CategoryTree(given_paths)
    larger = tree.including([new])
    assert new in larger.paths
    for target in tree.paths:
        assert relation(larger, tree.paths[0], target) == relation(tree, tree.paths[0], target)


def test_a_tree_without_paths_is_empty():
    assert len(CategoryTree([""])) == 0
