"""English for titles in other languages: which get one, from which language, and which stay alone."""

import pandas as pd
import pytest

from competition_utils.translation.interface import Translator
from competition_utils.translation.titles import english_titles, language_if_foreign

VIETNAMESE, THAI, ENGLISH = "ghế nằm trong bể bơi màu đỏ", "ของเล่นแมว", "red lamp for the kitchen"


class Marks(Translator):
    """Says which direction a text was asked for, so that a test sees it; it does not know Thai."""

    engine, model = "test", "marks"

    def supports(self, source, target):
        return source != "th" and target == "en"

    def translate(self, texts, source, target):
        return [f"{source}→{target}" for _ in texts], None


def titles(*targets, task="QI"):
    return pd.DataFrame({"task": task, "language": "pl", "target": targets})


def test_a_title_is_translated_from_the_language_of_its_own_words_and_not_from_the_tag_of_the_row():
    assert english_titles(titles(VIETNAMESE), Marks()).tolist() == ["vn→en"]


@pytest.mark.parametrize("title", [ENGLISH, "", "XR-500 2024", THAI])
def test_a_title_that_is_english_or_may_be_or_that_the_translator_does_not_know_gets_none(title):
    assert english_titles(titles(title), Marks()).tolist() == [""]


def test_a_category_path_gets_none():
    assert english_titles(titles(VIETNAMESE, task="QC"), Marks()).tolist() == [""]


def test_without_a_translator_no_title_gets_one():
    assert english_titles(titles(VIETNAMESE), None).tolist() == [""]


def test_each_row_gets_the_english_of_its_own_title_whatever_the_index():
    table = titles(ENGLISH, VIETNAMESE, ENGLISH, VIETNAMESE).set_axis([7, 3, 9, 1])
    assert english_titles(table, Marks()).to_dict() == {7: "", 3: "vn→en", 9: "", 1: "vn→en"}


def test_a_title_alone_is_read_as_among_others():
    together = titles(
        VIETNAMESE, ENGLISH, THAI, "Tas Wanita Selempang Mini Korea Murah", "Polo Kemeja Style Batik Shirt"
    )
    alone = [english_titles(together.iloc[[row]], Marks()).iloc[0] for row in range(len(together))]
    assert english_titles(together, Marks()).tolist() == alone


def test_a_table_without_rows_gives_a_column_without_rows():
    assert english_titles(titles().astype("str"), Marks()).tolist() == []


def test_only_a_language_that_is_sure_is_named():
    assert language_if_foreign(pd.Series([VIETNAMESE, THAI, ENGLISH])).tolist() == ["vn", "th", ""]


@pytest.mark.parametrize(
    ("title", "foreign"),
    [
        ("Tas Wanita Selempang Mini Korea Murah", True),
        ("Celana Jeans Pria Slim Fit Hitam Original", True),
        ("Botol Minum Anak Sekolah Stainless 500ml", True),
        ("Samsung Galaxy A54 Clear Soft Case", False),
        ("USB Type C Fast Charging Cable 2m", False),
        ("Polo Kemeja Style Batik Shirt", False),
        ("A54 500ml", False),
    ],
)
def test_a_titles_words_tell_whether_it_is_foreign(title, foreign):
    assert (language_if_foreign(pd.Series([title])) != "").tolist() == [foreign]
