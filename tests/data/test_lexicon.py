"""The lexicon's tables are complete and well-formed, its phrases agree, its translation memory is usable."""

import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from competition_utils.data.lexicon import (
    AGREEMENT,
    LANGUAGES,
    UNSPACED,
    load_lexicon,
    names,
    phrase,
)

LEXICON = load_lexicon()
KINDS = {"colour", "material", "size", "audience", "style", "season", "pattern", "feature"}
ROLES = {
    *("buy", "cheap", "new", "original", "best", "set"),
    *("for_home", "gift", "free_shipping", "sale", "accessories"),
}
LATIN = re.compile(r"[a-zà-ɏḁ-ỿ]+", re.IGNORECASE)
SCRIPTS = {
    "ja": re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]"),
    "ko": re.compile(r"[\uac00-\ud7a3]"),
    "th": re.compile(r"[\u0e00-\u0e7f]"),
    "ar": re.compile(r"[\u0600-\u06ff]"),
}
OTHER_THAN_LATIN = re.compile(r"[\u0370-\u1dff\u3040-\u9fff\uac00-\ud7a3]")
# What shoppers type in Latin letters whatever their script.
LOANWORDS = {"xl", "led", "usb", "gps", "cpu", "ssd", "pc", "rc", "t", "web"}


def cells_of(language: str) -> pd.Series:
    """Every name, form and word of a language, one a row, without marks."""
    cells = pd.concat([LEXICON.concepts[language], LEXICON.attributes[language], LEXICON.words[language]])
    texts = cells.str.removeprefix("<").str.split(r" / |~", regex=True).explode()
    return texts.astype("str").str.replace(r"\|\w+$", "", regex=True)


def attribute(name: str, language: str) -> str:
    return LEXICON.attributes.set_index("attribute").at[name, language]


def concept(name: str, language: str) -> str:
    return LEXICON.concepts.set_index("concept").at[name, language]


def levels_of_paths() -> pd.Series:
    return LEXICON.concepts["path"].str.split(r",(?! )", regex=True)


# ── the tables ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_lexicon_is_as_large_as_the_sample_needs():
    assert len(LEXICON.concepts) >= 300
    assert levels_of_paths().str[0].nunique() >= 30
    assert len(LEXICON.attributes) >= 80
    assert set(LEXICON.words.index) >= ROLES


@pytest.mark.parametrize("table", ["concepts", "attributes", "words"])
def test_every_cell_is_filled(table):
    languages = getattr(LEXICON, table)[list(LANGUAGES)]
    assert (languages.apply(lambda column: column.str.strip().str.len()) > 0).all(axis=None)


@pytest.mark.parametrize("column", ["concept", "path"])
def test_concepts_and_paths_are_unique(column):
    assert LEXICON.concepts[column].is_unique


def test_attributes_are_unique():
    assert LEXICON.attributes["attribute"].is_unique


def test_kinds_are_known_and_each_has_words_and_concepts():
    of_concepts = set(LEXICON.concepts["kinds"].str.split().explode())
    assert of_concepts == set(LEXICON.attributes["kind"]) == KINDS


@pytest.mark.parametrize("kind", ["colour", "size", "audience", "material", "pattern"])
def test_words_that_contradict_each_other_share_a_group(kind):
    words = LEXICON.attributes[LEXICON.attributes["kind"] == kind]
    assert set(words["group"]) == {kind}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_concepts_share_a_name(language):
    counts = LEXICON.concepts[language].map(names).explode().value_counts()
    assert counts[counts > 1].empty


@pytest.mark.parametrize("language", AGREEMENT)
def test_every_name_tells_its_gender(language):
    listed = LEXICON.concepts[language].str.split(" / ").explode()
    marks = listed.str.extract(r"^[^|]+\|(\w+)$")[0]
    assert set(marks.unique()) <= set(AGREEMENT[language])


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - set(AGREEMENT)))
def test_names_are_plain_where_adjectives_do_not_agree(language):
    assert not LEXICON.concepts[language].str.contains("|", regex=False).any()


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_attribute_has_one_form_or_one_for_each_mark(language):
    forms = LEXICON.attributes[language].str.count("~") + 1
    assert set(forms) <= {1, len(AGREEMENT.get(language, "m"))}


# ── scripts ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("language", SCRIPTS)
def test_texts_are_in_the_script_of_their_language(language):
    texts = cells_of(language)
    foreign = texts[~texts.str.contains(SCRIPTS[language]) & ~texts.isin(LOANWORDS)]
    assert foreign.empty


@pytest.mark.parametrize("language", SCRIPTS)
def test_latin_letters_among_other_scripts_are_stated_loanwords(language):
    assert set(cells_of(language).str.findall(LATIN).explode().dropna()) <= LOANWORDS


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - set(SCRIPTS)))
def test_latin_texts_are_lower_case_and_free_of_other_scripts(language):
    texts = cells_of(language)
    assert texts[texts.str.contains(OTHER_THAN_LATIN) | (texts != texts.str.lower())].empty


@pytest.mark.parametrize(("language", "least"), [("en", 40), ("th", 15), ("id", 15), ("fil", 12)])
def test_titles_have_fillers(language, least):
    assert len(set(LEXICON.title_words[language])) >= least


def test_thai_fillers_are_thai():
    assert all(SCRIPTS["th"].search(word) for word in LEXICON.title_words["th"])


# ── the tree ────────────────────────────────────────────────────────────────────────────────────────────────


def test_paths_have_two_to_five_levels_in_lower_case():
    assert levels_of_paths().map(len).between(2, 5).all()
    assert (LEXICON.concepts["path"] == LEXICON.concepts["path"].str.lower()).all()


def test_no_concept_lies_under_another_one():
    paths = LEXICON.concepts["path"]
    assert not any(paths.str.startswith(f"{path},").any() for path in paths)


def test_most_parents_have_several_children():
    nodes = {tuple(levels[:depth]) for levels in levels_of_paths() for depth in range(1, len(levels) + 1)}
    children = pd.Series([node[:-1] for node in nodes if len(node) > 1]).value_counts()
    assert (children >= 2).mean() > 0.6


def test_most_top_levels_have_several_concepts():
    assert (levels_of_paths().str[0].value_counts() >= 5).all()


def test_some_level_names_hold_a_comma_an_ampersand_or_wide_brackets():
    levels = levels_of_paths().explode()
    assert all(levels.str.contains(mark, regex=False).any() for mark in (", ", "&", "（", "'"))


# ── phrases ─────────────────────────────────────────────────────────────────────────────────────────────────

GOLDEN = [
    ("en", "shoes", ["red"], "red shoes"),
    ("en", "shoes", ["red", "women"], "red shoes for women"),
    ("es", "zapatos|mp", ["red"], "zapatos rojos"),
    ("es", "falda|f", ["red", "cotton"], "falda roja de algodón"),
    ("es", "gafas|fp", ["blue"], "gafas azules"),
    ("fr", "chaussures|fp", ["white"], "chaussures blanches"),
    ("fr", "sac|m", ["small", "black", "leather"], "petit sac noir en cuir"),
    ("ja", "靴", ["red", "women"], "レディース 靴 赤"),
    ("ko", "신발", ["red"], "빨간 신발"),
    ("pt", "sandálias|fp", ["blue", "women"], "sandálias azuis femininas"),
    ("th", "รองเท้า", ["red", "women"], "รองเท้าสีแดงผู้หญิง"),
    ("ar", "حذاء|m", ["red"], "حذاء أحمر"),
    ("ar", "حقيبة|f", ["black", "women"], "حقيبة سوداء نسائية"),
    ("de", "schuhe|p", ["red"], "rote schuhe"),
    ("de", "kleid|n", ["red", "cotton"], "rotes kleid aus baumwolle"),
    ("de", "rock|m", ["small", "black"], "kleiner schwarzer rock"),
    ("it", "scarpe|fp", ["red", "men"], "scarpe rosse da uomo"),
    ("pl", "buty|p", ["red"], "czerwone buty"),
    ("pl", "torebka|f", ["black", "leather"], "czarna torebka ze skóry"),
    ("pl", "krzesło|n", ["white"], "białe krzesło"),
    ("id", "sepatu", ["red", "women"], "sepatu merah wanita"),
    ("vn", "giày", ["red", "men"], "giày màu đỏ nam"),
    ("tr", "ayakkabı", ["red", "women"], "kırmızı kadın ayakkabı"),
]


@pytest.mark.parametrize(("language", "noun", "attributes", "expected"), GOLDEN)
def test_a_phrase_agrees_and_keeps_the_word_order_of_its_language(language, noun, attributes, expected):
    assert phrase(noun, [attribute(name, language) for name in attributes], language) == expected


def test_a_phrase_takes_the_first_name_of_a_cell():
    assert phrase(concept("casual_sneakers", "es"), [attribute("red", "es")], "es") == "zapatillas rojas"


def test_a_phrase_of_the_second_name_agrees_with_that_one():
    second = concept("casual_sneakers", "es").split(" / ")[1]
    assert phrase(second, [attribute("red", "es")], "es") == "tenis rojos"


@given(
    language=st.sampled_from(LANGUAGES),
    noun=st.sampled_from(LEXICON.concepts["concept"].tolist()),
    word=st.sampled_from(LEXICON.attributes["attribute"].tolist()),
)
def test_every_concept_goes_with_every_attribute(language, noun, word):
    text = phrase(concept(noun, language), [attribute(word, language)], language)
    forms = attribute(word, language).removeprefix("<").split("~")
    space = "" if language in UNSPACED else " "
    name = names(concept(noun, language))[0]
    assert text in {f"{form}{space}{name}" for form in forms} | {f"{name}{space}{form}" for form in forms}


# ── the translation memory ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def memory():
    return LEXICON.pairs()


def meaning(memory: pd.DataFrame, source: str, text: str, target: str) -> list[str]:
    rows = memory.query("source_lang == @source and source_text == @text and target_lang == @target")
    return rows["target_text"].tolist()


@pytest.mark.parametrize(
    ("source", "text", "target", "expected"),
    [
        ("es", "tenis", "en", "sneakers"),
        ("en", "casual trainers", "es", "zapatillas"),
        ("de", "rotes", "en", "red"),
        ("en", "red", "de", "roter"),
        ("ja", "送料無料", "en", "free shipping"),
        ("ar", "سوداء", "en", "black"),
    ],
)
def test_the_memory_translates_names_forms_and_words(memory, source, text, target, expected):
    assert meaning(memory, source, text, target) == [expected]


def test_the_memory_always_has_english_on_one_side(memory):
    assert ((memory["source_lang"] == "en") ^ (memory["target_lang"] == "en")).all()


def test_a_source_text_has_one_target_in_a_language(memory):
    assert not memory.duplicated(["source_lang", "source_text", "target_lang"]).any()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_the_lexicon_can_be_looked_up(memory, language):
    known = memory.loc[memory["source_lang"] == language, "source_text"]
    assert set(cells_of(language)) == set(known)


def test_the_memory_holds_no_marks(memory):
    texts = pd.concat([memory["source_text"], memory["target_text"]])
    assert not texts.str.contains(r"[|~<]| / ", regex=True).any()
