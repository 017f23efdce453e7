"""Words of several meanings: a query reads the one that its target names, a foreign title the one in its query."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competition_utils.translation.interface import Translator, translate_table
from competition_utils.translation.lexicon import LexiconTranslator
from competition_utils.translation.meanings import disambiguate

ROWS = [
    ("vn", "vàng", "gold"),
    ("vn", "vàng", "yellow"),
    ("vn", "đèn", "lamps"),
    ("de", "Anhänger", "pendants"),
    ("de", "Anhänger", "charms"),
    ("de", "Silber", "silver"),
    ("th", "สีแดง", "red"),
    ("th", "สีแดง", "crimson"),
    ("th", "รองเท้า", "shoes"),
]


@pytest.fixture(scope="module")
def translator():
    columns = ["source_lang", "source_text", "target_lang", "target_text"]
    return LexiconTranslator(pd.DataFrame([(of, text, "en", said) for of, text, said in ROWS], columns=columns))


def pairs(translator, *rows):
    """Of (language, query, target), with the English that each query has by itself."""
    table = pd.DataFrame(rows, columns=["language", "query", "target"])
    return table.assign(query_en=translate_table(table, translator))


def english_queries(table, translator):
    table = table if "target_en" in table else table.assign(target_en="")
    return disambiguate(table, translator)["query_en"]


def beside(translator, *rows):
    return english_queries(pairs(translator, *rows), translator).tolist()


@pytest.mark.parametrize(
    ("language", "query", "target", "expected"),
    [
        ("vn", "đèn vàng", "Yellow Lamp for the kitchen", "yellow lamps"),
        ("vn", "đèn vàng", "Lamp in gold", "gold lamps"),
        ("vn", "den vang", "Yellow Lamp", "yellow lamps"),
        ("de", "Silber Anhänger", "apparel & accessories,jewelry,charms", "silver charms"),
        ("th", "รองเท้าสีแดง", "Crimson shoes", "crimson shoes"),
    ],
)
def test_the_meaning_that_the_target_names_is_read(translator, language, query, target, expected):
    assert beside(translator, (language, query, target)) == [expected]


def test_a_target_that_names_none_of_them_leaves_the_english_as_it_is(translator):
    alone = pairs(translator, ("vn", "đèn vàng", "Blue Lamp"))
    assert english_queries(alone, translator).tolist() == alone["query_en"].tolist()


def test_a_query_is_read_anew_beside_each_target(translator):
    rows = [("vn", "đèn vàng", "Yellow Lamp"), ("vn", "đèn vàng", "Gold Lamp"), ("vn", "đèn vàng", "Yellow Lamp")]
    assert beside(translator, *rows) == ["yellow lamps", "gold lamps", "yellow lamps"]


def test_the_english_of_a_title_in_another_language_counts_as_the_target(translator):
    table = pairs(translator, ("vn", "đèn vàng", "โคมไฟสีเหลือง")).assign(target_en="yellow lamps")
    assert english_queries(table, translator).tolist() == ["yellow lamps"]


THAI_TITLE = "รองเท้า สีแดง รองเท้า"


@pytest.mark.parametrize(
    ("query", "expected"), [("crimson shoes", "shoes crimson shoes"), ("shoes", "shoes red shoes")]
)
def test_a_title_in_another_language_reads_the_meaning_that_its_query_names(translator, query, expected):
    table = pd.DataFrame({"language": ["en"], "query": [query], "query_en": "", "target": THAI_TITLE})
    table = table.assign(target_en=translator.translate([THAI_TITLE], "th", "en")[0])
    assert disambiguate(table, translator)["target_en"].tolist() == [expected]


def test_a_query_that_was_read_in_another_language_than_its_tag_stays(translator):
    table = pairs(translator, ("de", "đèn vàng", "Yellow Lamp")).assign(query_en="gold lamps")
    assert english_queries(table, translator).tolist() == ["gold lamps"]


def test_queries_without_english_stay_without(translator):
    table = pairs(translator, ("en", "gold lamps", "Yellow Lamp"), ("vn", "xyz", "Yellow Lamp"))
    assert english_queries(table, translator).tolist() == ["", ""]


class OneTranslation(Translator):
    engine, model = "test", "one"

    def supports(self, source, target):
        return True

    def translate(self, texts, source, target):
        return [f"{text} in English" for text in texts], None


@pytest.mark.parametrize("engine", [None, OneTranslation()])
def test_without_a_lexicon_the_english_stays(translator, engine):
    table = pairs(translator, ("vn", "đèn vàng", "Yellow Lamp"))
    assert english_queries(table, engine).tolist() == table["query_en"].tolist()


def test_a_table_without_rows_gives_a_column_without_rows(translator):
    table = pairs(translator, ("vn", "đèn vàng", "Yellow Lamp")).iloc[:0]
    assert english_queries(table, translator).tolist() == []


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["vn", "de", "th", "en"]),
            st.lists(st.sampled_from([text for _, text, _ in ROWS]), min_size=1, max_size=3).map(" ".join),
            st.lists(st.sampled_from([said for _, _, said in ROWS]), max_size=3).map(" ".join),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_pair_alone_is_read_as_among_others_whatever_the_index(translator, rows):
    table = pairs(translator, *rows)
    together = english_queries(table.set_axis(range(len(table), 0, -1)), translator)
    alone = [english_queries(table.iloc[[row]], translator).iloc[0] for row in range(len(table))]
    assert together.tolist() == alone
    assert together.index.tolist() == list(range(len(table), 0, -1))
