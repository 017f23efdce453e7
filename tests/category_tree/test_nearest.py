"""The names nearest to a query: which ones the lexicon excludes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from competition_utils.category_tree import nearest as module
from competition_utils.category_tree.named import ListedNames
from competition_utils.category_tree.nearest import EXCLUSION, NearestNames, queries_of

NAMES = ["jugs", "vases", "mugs"]
COSINES = {"krug": [0.5, 0.6, 0.1], "vase": [0.4, 0.8, 0.1]}


@pytest.fixture(autouse=True)
def cosines_given_by_hand(monkeypatch):
    def embed(texts, model="", kind="query"):
        axes = np.eye(len(NAMES))
        return np.array([COSINES[text] if text in COSINES else axes[NAMES.index(text)] for text in texts], np.float32)

    monkeypatch.setattr(module, "embed", embed)


def queries(*english: str, language: str = "de") -> pd.DataFrame:
    return queries_of(pd.DataFrame({"query": [*english], "query_en": [*english], "language": language}, dtype="str"))


def listed(*names: str) -> ListedNames:
    return ListedNames(pd.DataFrame({"language": "de", "name": [*names]}, dtype="str"))


def test_without_a_lexicon_the_highest_similarity_is_first():
    similarity, places = NearestNames(NAMES).search(queries("krug"), 2)
    assert places.tolist() == [[1, 0]] and similarity == pytest.approx(np.array([[0.6, 0.5]]))


def test_a_name_that_the_lexicon_would_have_read_loses_its_place_to_one_that_it_lacks():
    similarity, places = NearestNames(NAMES, listed=listed("vases")).search(queries("krug"), 2)
    assert places.tolist() == [[0, 1]] and similarity == pytest.approx(np.array([[0.5, 0.6 - EXCLUSION]]))


def test_a_name_that_the_query_holds_keeps_its_place():
    similarity, places = NearestNames(NAMES, listed=listed("vases")).search(queries("vase"), 1)
    assert places.tolist() == [[1]] and similarity == pytest.approx(np.array([[0.8]]))


def test_the_target_s_own_name_is_excluded_like_the_others():
    finder = NearestNames(NAMES[:1], listed=listed("vases"))
    names, places, similarity = finder.search_with_own(queries("krug", "krug"), pd.Series(["vases", "jugs"]), 1)
    assert names[places.ravel()].tolist() == ["jugs", "jugs"] and similarity.ravel().tolist() == pytest.approx(
        [0.5, 0.5]
    )
    names, places, _ = finder.search_with_own(queries("krug"), pd.Series(["mugs"]), 1)
    assert names[places.ravel()].tolist() == ["jugs"]


def test_fewer_names_than_asked_for_give_fewer_places():
    assert NearestNames(NAMES[:1]).search(queries("krug", "vase"), 3)[1].tolist() == [[0], [0]]
