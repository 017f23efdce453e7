"""Whether a query names its target's category, and whether the lexicon would have known the name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from competition_utils.category_tree.named import NONE, STATES, ListedNames
from competition_utils.errors import DamagedFile
from competition_utils.translation.lexicon import LexiconTranslator

LEXICON = pd.DataFrame(
    [
        ("de", "Vasen", "en", "Vases"),
        ("de", "Wasserflaschen", "en", "water bottles"),
        ("pl", "kubki", "en", "mugs"),
        ("en", "vases", "de", "Vasen"),
    ],
    columns=["source_lang", "source_text", "target_lang", "target_text"],
)


@pytest.fixture
def listed() -> ListedNames:
    return ListedNames.of_pairs(LexiconTranslator(LEXICON).known_pairs("en"))


def state(listed: ListedNames, english: str, *names: str, language: str = "de", translated: bool = True) -> str:
    query = pd.DataFrame({"english": [english], "language": [language], "translated": [translated]})
    return listed.states(query, np.zeros(len(names), dtype=np.int64), pd.Series(names, dtype="str")).item()


@pytest.mark.parametrize(
    ("english", "name", "expected"),
    [
        ("tall vase", "vases", "named"),
        ("bottles for water", "water bottles", "named"),
        ("bottle rack", "water bottles", "partly"),
        ("bottle rack", "bottle openers", "possible"),
        ("krug", "water bottles", "unnamed"),
        ("krug", "jugs", "unlisted"),
    ],
)
def test_the_state_says_how_much_of_the_name_the_query_holds_and_whether_the_lexicon_has_it(
    listed, english, name, expected
):
    assert state(listed, english, name) == expected


def test_a_name_is_listed_for_the_languages_that_the_lexicon_has_it_in(listed):
    assert state(listed, "x", "mugs", language="de") == "unlisted"
    assert state(listed, "x", "mugs", language="pl") == "unnamed"


def test_for_an_english_query_every_name_is_listed(listed):
    assert state(listed, "tall vase", "jugs", language="en", translated=False) == "unnamed"


def test_a_translated_query_under_the_tag_of_english_was_read_in_some_language_of_the_lexicon(listed):
    assert state(listed, "x", "mugs", language="en") == "unnamed"
    assert state(listed, "x", "jugs", language="en") == "unlisted"


def test_for_a_language_that_the_lexicon_lacks_no_name_is_listed(listed):
    assert state(listed, "زهرية", "vases", language="ar", translated=False) == "unlisted"


def test_of_several_names_of_a_title_the_most_telling_counts(listed):
    assert state(listed, "tall vase", "water bottles", "vases", "jugs") == "named"
    assert state(listed, "krug", "water bottles", "jugs") == "unlisted"


def test_a_target_without_a_name_has_no_state(listed):
    assert state(listed, "tall vase") == NONE


def test_without_a_lexicon_no_name_is_listed():
    empty = ListedNames(pd.DataFrame({"language": [], "name": []}, dtype="str"))
    assert state(empty, "krug", "vases") == "unlisted"


def test_a_name_misses_the_words_that_the_lexicon_would_have_read(listed):
    queries = pd.DataFrame({"english": ["bottle rack"], "language": ["de"], "translated": [True]})
    names = pd.Series(["water bottles", "vases", "jugs", "bottle openers"])
    assert listed.missed(queries, np.zeros(4, dtype=np.int64), names).tolist() == [0.5, 1, 0, 0]


words = st.lists(st.sampled_from(["vases", "vase", "water", "bottles", "mugs", "jug", "krug"]), max_size=4).map(
    " ".join
)


@given(rows=st.lists(st.tuples(words, words, st.sampled_from(["de", "pl", "en", "ar"]), st.booleans()), max_size=6))
def test_a_state_depends_on_its_own_row_alone(rows):
    listed = ListedNames.of_pairs(LexiconTranslator(LEXICON).known_pairs("en"))
    table = pd.DataFrame(rows, columns=["english", "name", "language", "translated"]).astype({"translated": bool})
    together = listed.states(table, np.arange(len(table)), table["name"].astype("str"))
    alone = [state(listed, e, n, language=language, translated=t) for e, n, language, t in rows]
    assert together.tolist() == alone and set(alone) <= {*STATES}


def test_the_names_come_back_from_their_file(listed, tmp_path):
    listed.save(tmp_path / "listed.parquet")
    assert ListedNames.load(tmp_path / "listed.parquet").listed.equals(listed.listed)


def test_a_file_that_is_none_of_these_is_refused(tmp_path):
    (path := tmp_path / "listed.parquet").write_bytes(b"no parquet")
    with pytest.raises(DamagedFile):
        ListedNames.load(path)
