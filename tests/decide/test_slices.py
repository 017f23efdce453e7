"""Where figures are lost, on rows whose figures can be counted by hand."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from competition_utils.decide.slices import (
    figures_by,
    how_near_a_category,
    how_target_is_read,
    how_translated,
    where_it_loses,
    words_of_query,
)


def row(language, query, query_en):
    return {"language": language, "query": query, "query_en": query_en}


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        (row("en", "red shoes", ""), "English"),
        (row("en", "zapatos rojos", "red shoes"), "whole"),
        (row("es", "zapatos rojos", "red shoes"), "whole"),
        (row("es", "zapatos rojos", "shoes rojos"), "part"),
        (row("th", "รองเท้าสีแดง", "shoes สีแดง"), "part"),
        (row("es", "zapatos rojos", ""), "none"),
        (row("es", "zapatos rojos", None), "none"),
        (row("es", "zapatos 42 v2", "shoes 42 v2"), "whole"),  # numbers and codes are the same in every language
        (row("fr", "café à la crème", "coffee à crème"), "part"),  # an accent is no other script
        (row("fr", "thé à la menthe", "mint tea café"), "whole"),
    ],
)
def test_a_query_is_translated_as_a_whole_in_part_or_not(case, kind):
    assert how_translated(pd.DataFrame([case])).tolist() == [kind]


def test_without_translations_only_english_needs_none():
    rows = pd.DataFrame({"language": ["en", "fr"], "query": ["mug", "tasse"]})
    assert how_translated(rows).tolist() == ["English", "none"]


def test_words_are_counted_in_english_where_there_is_one():
    rows = pd.DataFrame([row("th", "รองเท้าสีแดง", "red shoes"), row("en", "(a b c d e f)", ""), row("fr", "?", "")])
    assert words_of_query(rows).tolist() == ["2", "5 to 7", "0"]


def test_a_target_is_read_in_translation_or_in_its_own_letters():
    rows = pd.DataFrame({"target": ["แก้ว red", "cangkir", "red mug", "ถ้วย"], "target_en": ["red mug", "mug", "", None]})
    assert how_target_is_read(rows).tolist() == ["translated", "translated", "as it is", "another script"]
    assert how_target_is_read(rows[["target"]]).tolist()[:3] == ["another script", "as it is", "as it is"]


@pytest.fixture
def measured():
    return pd.DataFrame(
        {
            "language": ["en", "en", "fr", "fr", "pl", "pl"],
            "query": ["mug", "red mug", "tasse", "tasse bleue", "kubek", "kubek"],
            "query_en": ["", "", "mug", "mug bleue", "", ""],
            "target": ["mug", "cup", "mug", "blue mug", "lamp", "mug"],
            "label": [1, 0, 1, 1, 0, 1],
            "score": [0.9, 0.8, 0.6, 0.2, 0.1, 0.3],
            "prediction": [1, 1, 1, 0, 0, 0],
        },
        index=[7, 3, 5, 2, 0, 9],
    )


def test_figures_of_a_part_are_those_of_its_rows(measured):
    table = figures_by(measured, how_translated(measured), ["en", "fr"])
    assert table["rows"].to_dict() == {
        ("English", "seen"): 2,
        ("none", "unseen"): 2,
        ("part", "seen"): 1,
        ("whole", "seen"): 1,
    }
    assert table["share_of_mistakes"].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert table["f1"].tolist() == pytest.approx([2 / 3, 0, 0, 1])
    assert table["auc"].tolist()[:2] == [1, 1]
    assert table["auc"].isna().tolist() == [False, False, True, True]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_every_row_and_every_mistake_is_in_one_part_of_each_split(drawn):
    language, label, prediction = zip(*drawn, strict=True)
    rows = pd.DataFrame({"language": language, "label": label, "prediction": prediction}).astype(
        {"label": int, "prediction": int}
    )
    rows = rows.assign(query=rows["language"] * 3, query_en="", target="mug", score=0.5)
    for table in where_it_loses(rows, ["a"]).values():
        assert table["rows"].sum() == len(rows)
        wrong = (rows["label"] != rows["prediction"]).any()
        assert table["share_of_mistakes"].sum() == pytest.approx(1.0 if wrong else 0.0)


def test_rows_are_split_by_how_near_their_query_is_to_a_category():
    rows = pd.DataFrame(
        {"category_hint": ["same none none 9 lamps", "cousin none none 2 hats", "none none none 5 x 9", ""]}
    )
    assert how_near_a_category(rows).tolist() == ["near (7 to 9)", "far (0 to 2)", "between (3 to 6)", "no hint"]


def test_rows_of_a_release_without_hints_have_none():
    assert how_near_a_category(pd.DataFrame({"query": ["lamp"]})).tolist() == ["no hint"]
