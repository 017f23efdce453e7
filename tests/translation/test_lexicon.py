"""Lexicon translation: what is found, how, and what is left alone."""

from __future__ import annotations

import gzip
import re
import time

import pandas as pd
import pytest
from fuzzing import fuzz
from hypothesis import given, settings
from hypothesis import strategies as st

from competition_utils.errors import DataError, UserError
from competition_utils.translation.interface import translate_table
from competition_utils.translation.lexicon import LexiconTranslator

ROWS = [
    ("es", "Sillas de jardín", "Garden Chairs"),
    ("es", "Rojo", "Red"),
    ("es", "Fundas para mesas de jardín", "Garden Table Covers"),
    ("es", "Fundas para coches", "Car Covers"),
    ("es", "Pantalones", "Pants"),
    ("de", "Drucker", "Printers"),
    ("de", "Trommeln", "Drums"),
    ("de", "Zubehör", "Accessories"),
    ("ja", "アイロン台", "Ironing Boards"),
    ("ja", "フック", "Hooks"),
    ("ja", "カバー", "Covers"),
    ("ja", "レンジカバー", "Stove Covers"),
    ("th", "รองเท้า", "Shoes"),
    ("th", "สีแดง", "Red"),
    ("vn", "Ghế", "Chairs"),
    ("vn", "Đứng", "Upright"),
    ("vn", "Đựng", "Holding"),
    ("vn", "Đựng", "Holding"),
    ("vn", "Hộp đựng", "Holding Boxes"),
    ("fr", "Chaises", "Chairs"),
]


@pytest.fixture(scope="module")
def translator():
    there = pd.DataFrame([(lang, text, "en", english) for lang, text, english in ROWS])
    back = pd.DataFrame([("en", english, lang, text) for lang, text, english in ROWS])
    lexicon = pd.concat([there, back], ignore_index=True)
    lexicon.columns = ["source_lang", "source_text", "target_lang", "target_text"]
    return LexiconTranslator(lexicon)


def english(translator, text, source):
    return translator.translate([text], source, "en")[0][0]


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("es", "SILLAS DE JARDÍN", "garden chairs"),
        ("es", "sillas de jardin", "garden chairs"),
        ("es", "silla de jardín", "garden chairs"),
        ("es", "sillas jardin", "garden chairs"),
        ("es", "pantalonse", "pants"),
        ("de", "druckertrommeln", "printers drums"),
        ("ja", "アイロン台フック", "ironing boards hooks"),
        ("th", "รองเท้าสีแดง", "red shoes"),
        ("vn", "ghe", "chairs"),
    ],
    ids=[
        "case",
        "accent",
        "singular",
        "dropped function word",
        "typo",
        "compound",
        "unsegmented",
        "head first",
        "vn",
    ],
)
def test_a_phrase_is_found_in_spite_of(translator, source, text, expected):
    assert english(translator, text, source) == expected


def test_vietnamese_with_accents_is_read_by_them_and_without_by_letters(translator):
    asked = ["hộp đứng", "hộp đựng", "hop dung"]
    found = translator.translate(asked, "vn", "en")[0]
    assert found == ["upright boxes", "holding boxes", "holding boxes"]


def test_an_accent_that_vietnamese_lexicon_lacks_gives_no_other_word(translator):
    assert translator.translate(["đúng"], "vn", "en")[0] == ["đúng"]


def test_pieces_of_a_head_first_language_are_turned_round(translator):
    assert english(translator, "sillas de jardín rojas", "es") == "red garden chairs"


def test_brands_models_and_numbers_stay_in_their_order(translator):
    assert english(translator, "pantalones Zorvik X9 40", "es") == "Zorvik X9 40 pants"


def test_a_text_without_known_words_comes_back_unchanged_with_confidence_zero(translator):
    texts, confidence = translator.translate(["Zorvik  X9", ""], "es", "en")
    assert texts == ["Zorvik  X9", ""]
    assert confidence.tolist() == [0.0, 0.0]


def test_confidence_is_full_for_a_phrase_and_lower_where_words_are_unknown(translator):
    _, (whole, part) = translator.translate(["sillas de jardín", "sillas de jardín plegadora"], "es", "en")
    assert whole == 1.0
    assert 0 < part < 1


def test_numbers_do_not_lower_confidence(translator):
    assert translator.translate(["pantalones 2024"], "es", "en")[1][0] == 1.0


def test_a_word_inside_phrases_only_is_learnt_from_them(translator):
    assert english(translator, "mesas", "es") == "table"


def test_a_part_of_a_phrase_is_learnt_by_taking_the_known_part_away(translator):
    assert english(translator, "レンジカバー", "ja") == "stove covers"
    assert english(translator, "レンジ", "ja") == "stove"


def test_translates_from_english_too(translator):
    assert translator.translate(["red chairs"], "en", "fr")[0] == ["chaises red"]


@settings(max_examples=50)
@given(st.text(max_size=40))
def test_every_text_has_a_translation_and_a_confidence_between_zero_and_one(text):
    lexicon = pd.DataFrame(
        [("es", "Rojo", "en", "Red"), ("th", "สีแดง", "en", "Red")],
        columns=["source_lang", "source_text", "target_lang", "target_text"],
    )
    for source in ("es", "th"):
        texts, confidence = LexiconTranslator(lexicon).translate([text, text], source, "en")
        assert texts[0] == texts[1]
        assert 0 <= confidence[0] <= 1


def rows(*triples):
    return pd.DataFrame(triples, columns=["language", "query", "text_language"], index=range(7, 7 + len(triples)))


def test_table_gets_english_and_keeps_its_index(translator):
    table = rows(("es", "silla de jardin", "es"), ("fr", "chaises", "fr"), ("es", "silla de jardin", "es"))
    made = translate_table(table, translator)
    assert made.tolist() == ["garden chairs", "chairs", "garden chairs"]
    assert made.index.tolist() == [7, 8, 9]
    assert made.name == "query_en"


def test_english_rows_get_no_translation(translator):
    assert translate_table(rows(("en", "garden chairs", "en")), translator).tolist() == [""]


def test_a_row_mis_tagged_en_is_read_in_its_detected_language(translator):
    assert translate_table(rows(("en", "pantalones", "es")), translator).tolist() == ["pants"]


def test_a_row_mis_tagged_en_is_recognised_by_its_words_alone(translator):
    table = rows(("en", "pantalones rojo", "en")).drop(columns="text_language")
    assert translate_table(table, translator).tolist() == ["red pants"]


def test_a_wrong_detection_does_not_spoil_a_rightly_tagged_row(translator):
    assert translate_table(rows(("es", "sillas de jardín", "fr")), translator).tolist() == ["garden chairs"]


def test_an_unknown_language_or_a_repeated_query_gives_nothing(translator):
    assert translate_table(rows(("ar", "كرسي", "ar"), ("es", "zorvik", "es")), translator).tolist() == [
        "",
        "",
    ]


def test_reads_a_zipped_lexicon(tmp_path):
    path = tmp_path / "lexicon.tsv.gz"
    text = 'source_lang\tsource_text\ttarget_lang\ttarget_text\nes\tNull\ten\t"Zero\n'
    path.write_bytes(gzip.compress(text.encode()))
    translator = LexiconTranslator.from_file(path)
    assert translator.supports("es", "en")
    assert not translator.supports("en", "es")
    assert english(translator, "null", "es") == '"zero'


@pytest.mark.parametrize("content", [None, "", "a\tb\n1\t2\n"], ids=["no file", "empty", "other columns"])
def test_a_lexicon_that_is_none_is_refused_in_one_message(tmp_path, content):
    path = tmp_path / "lexicon.tsv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=r"expected"):
        LexiconTranslator.from_file(path)


def test_a_direction_that_is_not_there_is_refused(translator):
    with pytest.raises(UserError, match="pl→en"):
        translator.translate(["x"], "pl", "en")


# ------------------------------------------------------------------------------- long texts, odd files

LONG = {
    "without_a_blank": "アイロン台" * 200_000,
    "with_blanks": "sillas de jardín " * 60_000,
    "one_letter": "x" * 1_000_000,
}


@pytest.mark.parametrize("kind", LONG)
@pytest.mark.parametrize("source", ["ja", "es", "de", "th"])
def test_a_query_of_a_million_characters_is_left_as_it_is_at_once_and_reported(translator, kind, source):
    text = LONG[kind]
    start = time.process_time()
    with pytest.warns(UserWarning, match=r"over 2,000 characters, left untranslated: 1"):
        (same,), sure = translator.translate([text], source, "en")
    assert (same, sure[0]) == (text, 0)
    assert translator.guess_language([text], "en") == [""]
    assert time.process_time() - start < 5


@pytest.mark.parametrize("source", ["ja", "es", "de", "th"])
def test_time_is_about_linear_in_the_text(translator, source):
    def seconds(length: int) -> float:
        text = ("レンジカバーx" * length if source in ("ja", "th") else "druckerzubehörx" * length)[:length]
        start = time.process_time()
        for repeat in range(5):
            translator.explain(f"{text}{repeat}"[-length:], source, "en")
        return time.process_time() - start

    seconds(100)  # indexes are made on the first use
    assert seconds(2_000) < 8 * 20 * max(seconds(100), 0.002)


LEXICON_HEAD = b"source_lang\tsource_text\ttarget_lang\ttarget_text\n"
WRONG_LEXICONS = {
    "too_few_cells": (LEXICON_HEAD + b"es\tRojo\ten\tred\nes\tAzul\n", r"(?s)lexicon row: 1.*:3"),
    "too_many_cells": (LEXICON_HEAD + b"es\tRojo\ten\tred\tmore\n", r"(?s)lexicon row: 1.*:2"),
    "a_million_characters": (LEXICON_HEAD + b"es\t" + b"x" * 1_000_000 + b"\ten\tred\n", r"(?s)1,000,010 characters"),
    "not_utf8": (LEXICON_HEAD + b"es\tcaf\xe9\ten\tcoffee\n", "expected tab-separated UTF-8"),
    "cut_gzip": (gzip.compress(LEXICON_HEAD)[:-5], "expected tab-separated UTF-8"),
    "damaged_gzip": (gzip.compress(LEXICON_HEAD)[:12] + b"\xff" * 9, "expected tab-separated UTF-8"),
    "empty": (b"", "missing in its first line"),
}


@pytest.mark.parametrize("kind", WRONG_LEXICONS)
def test_a_wrong_lexicon_is_one_clear_error(tmp_path, kind):
    content, expected = WRONG_LEXICONS[kind]
    (tmp_path / "lexicon.tsv").write_bytes(content)
    with pytest.raises(UserError, match=expected):
        LexiconTranslator.from_file(tmp_path / "lexicon.tsv")


lexicon_cells = st.sampled_from(
    ["es", "ja", "en", "", "Rojo", "カバー", '"', "\u2028", "e\u0301", "\u202e", "\x00", "nan"]
)
lexicon_lines = st.lists(lexicon_cells | st.text(max_size=5), min_size=1, max_size=5).map("\t".join)


@fuzz(150)
@given(lines=st.lists(lexicon_lines, max_size=6), end=st.sampled_from(["\n", "\r\n"]), text=st.text(max_size=20))
def test_every_lexicon_line_is_read_or_named(tmp_path_factory, lines, end, text):
    path = tmp_path_factory.getbasetemp() / "law.tsv"
    lines = [re.sub(r"[\r\n\ud800-\udfff]", "", line) for line in lines]
    path.write_bytes((LEXICON_HEAD.decode().strip() + end + end.join(lines)).encode())
    faulty = [number for number, line in enumerate(lines, 2) if line and line.count("\t") != 3]
    try:
        made = LexiconTranslator.from_file(path)
    except DataError as error:
        assert [int(fault.where.rpartition(":")[2]) for fault in error.faults] == faulty
        return
    assert not faulty
    for source, target in made.directions:
        translated, sure = made.translate([text], source, target)
        assert len(translated) == 1 and 0 <= sure[0] <= 1
