import unicodedata
from collections import Counter

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competition_utils.data.clean import RULES, category_prefix, clean_table, split_levels
from competition_utils.errors import UserError
from competition_utils.tasks import QC, QI

any_example = settings(max_examples=100, deadline=None)
PIECES = [
    *("gopro12", "４４９７eq", "ﾌｨﾙﾑ", "น้ำหอม", "كوب", "케이스", "é", "e\u0301", "™", "½", "ﬁ"),
    *('14"', '"', "“", "\\n", "\\u00e9", '\\"', "&amp;", "&quot;", "&#39;", "&", ";", "&amp;amp;"),
    *(",", ", ", "，", "%", "*", " ", "\t", "\u3000", "\u200b", "\ufeff", "\x07"),
]
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.characters(max_codepoint=0x3FF)), max_size=8).map("".join)


def table_of(query: str, target: str | None = "toys") -> pd.DataFrame:
    table = pd.DataFrame({"id": [1], "origin_query": [query], "origin_target": [target]})
    return table.astype({"origin_query": "str", "origin_target": "str"})


def cleaned(query: str, rules=("all",)) -> str:
    return clean_table(table_of(query), QI, rules)[0]["query"][0]


def cleaned_path(path: str) -> str:
    return clean_table(table_of("q", path), QC)[0]["target"][0]


def letters_and_digits(text: str) -> Counter:
    return Counter(c for c in unicodedata.normalize("NFKC", text) if c.isalnum())


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("ｇｏｐｒｏ１２ ﾌｨﾙﾑ", "gopro12 フィルム"),
        ("usb\u200b c\u00adable\x07", "usb cable"),
        ('"stanley cup', "stanley cup"),
        ('stanley cup"', "stanley cup"),
        ('"stanley cup"', "stanley cup"),
        ("caf\\u00e9 \\ud83d\\ude00", "café 😀"),
        ("men\\'s shoes\\n", "men's shoes"),
        ("salt &amp; pepper", "salt & pepper"),
        ("salt &amp;amp;amp; pepper", "salt & pepper"),
        ("%منتخب ايطالي", "منتخب ايطالي"),
        ("led  \t strip\u3000light ", "led strip light"),
    ],
)
def test_noise_goes(given_text, expected):
    assert cleaned(given_text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("nan", "null", "None", 'tv 14"', 'scarpe "dirty star"', '"dirty star" scarpe', "lego™ 1½", "น้ำหอม"),
        *("%100 pamuk", "\\nike", "\\ud83d alone", "4497eq", "food&fresh", "12v/24v", "c++", '"', "%%"),
    ],
)
def test_what_has_a_meaning_stays(text):
    assert cleaned(text) == text


@any_example
@given(texts)
def test_cleaning_twice_is_cleaning_once(text):
    once = cleaned(text)
    assert cleaned(once) == once


@any_example
@given(texts, st.sampled_from(sorted(set(RULES) - {"escapes", "html_entities"})))
def test_no_rule_but_those_that_decode_changes_a_letter_or_digit(text, rule):
    assert letters_and_digits(cleaned(text, [rule])) == letters_and_digits(text)


@any_example
@given(texts)
def test_a_text_with_anything_to_see_never_becomes_empty(text):
    if any(unicodedata.category(character)[0] not in "CZ" for character in text):
        assert cleaned(text).strip()


@pytest.mark.parametrize("text", ["", "  ", "\x1f", "\u200b \t"])
def test_a_text_with_nothing_to_see_becomes_empty(text):
    assert cleaned(text) == ""


@any_example
@given(st.from_regex(r"[A-Za-z0-9.'()+/&!?#$@-]{1,5}(,? ?[A-Za-z0-9.'()+/&!?#$@-]{1,5}){0,4}", fullmatch=True))
def test_every_rule_leaves_plain_words_alone(text):
    # clean_table does not even try the rules on such a text, so the rules themselves are asked.
    for rule in RULES.values():
        assert rule.apply(pa.array([text], pa.large_string())).to_pylist() == [text], rule.name


def test_originals_stay_as_they_were():
    table = table_of("  ｗｉｄｅ ", "a， b")
    result, _ = clean_table(table, QC)
    pd.testing.assert_frame_equal(result[table.columns], table)


def test_a_null_target_becomes_empty_text():
    assert cleaned_path(None) == ""


def test_counts_tell_rows_and_texts_by_rule_and_field():
    table = pd.concat([table_of("a  b"), table_of("a  b"), table_of("c", "x &amp; y")], ignore_index=True)
    _, counts = clean_table(table, QI)
    changed = counts[counts["rows"] > 0].set_index(["rule", "field"])
    assert changed.loc[("blanks", "query"), ["rows", "texts"]].tolist() == [2, 1]
    assert changed.loc[("html_entities", "target"), ["rows", "texts"]].tolist() == [1, 1]
    assert len(changed) == 2


def test_a_rule_that_is_switched_off_does_nothing():
    assert cleaned("a  &amp;", ["html_entities"]) == "a  &"
    assert cleaned(" a ", []) == " a "


def test_an_unknown_rule_is_refused_by_name():
    with pytest.raises(UserError, match="found shout"):
        cleaned("a", ["nfkc", "shout"])


def test_a_level_may_hold_a_comma_with_a_blank_and_wide_brackets():
    paths = pd.Series(["automobiles, parts & accessories,car lights,signal lamp", "food,food&fresh（spe）", ""])
    assert split_levels(paths).tolist() == [
        ("automobiles, parts & accessories", "car lights", "signal lamp"),
        ("food", "food&fresh（spe）"),
        (),
    ]


def test_cleaning_does_not_cut_a_level_at_its_wide_comma():
    path = "home decor,plaques，signs &boxes,plaques & signs"
    assert cleaned_path(path) == "home decor,plaques, signs &boxes,plaques & signs"


@any_example
@given(
    st.lists(
        st.text(alphabet="ab ，,\u3000", min_size=1, max_size=6).map(lambda s: f"x{s}x"),
        min_size=1,
        max_size=5,
    )
)
def test_levels_joined_again_are_the_path(levels):
    path = ",".join(levels)
    assert ",".join(split_levels(pd.Series([path]))[0]) == path


@any_example
@given(st.text(alphabet="abc,， &\u3000", max_size=20))
def test_cleaning_keeps_the_number_of_levels(path):
    path = f"x{path}x"
    assert len(split_levels(pd.Series([cleaned_path(path)]))[0]) == len(split_levels(pd.Series([path]))[0])


def test_a_prefix_is_the_first_levels_and_a_shorter_path_stays_whole():
    paths = pd.Series(["a, b,c,d", "a, b", ""], index=[5, 6, 7])
    assert category_prefix(paths, 1).to_dict() == {5: "a, b", 6: "a, b", 7: ""}
    assert category_prefix(paths, 2).to_dict() == {5: "a, b,c", 6: "a, b", 7: ""}


def test_the_index_and_the_dtype_of_a_column_stay():
    table = table_of("a").set_index(pd.Index([9]))
    result, _ = clean_table(table, QI)
    assert result.index.tolist() == [9]
    assert result["query"].dtype == result["target"].dtype == "str"
