"""Rows in languages that train lacks: as many as allowed, traceable, in their origin's fold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from competition_utils.augment import expand
from competition_utils.augment.expand import expand_languages, translate_titles
from competition_utils.augment.rows import start_table
from competition_utils.augment.tools import Tools
from competition_utils.settings.strategy import ExpandLanguages, TranslateTitles
from competition_utils.tasks import QC, QI
from competition_utils.translation.interface import translate_rows
from competition_utils.translation.open import open_translator

QUERIES = [
    ("es", "vestido de noche"),
    ("es", "vestido de noche rojo"),
    ("es", "vestido largo"),
    ("fr", "robe de soirée"),
    ("fr", "robe de soirée rouge"),
    ("en", "evening dress"),
    ("en", "red evening dress"),
    ("en", "zorvik 4497eq"),
]


def train(copies=5, task="QC"):
    rows = [(lang, f"{query} {1000 + copy}") for copy in range(copies) for lang, query in QUERIES]
    table = pd.DataFrame(rows, columns=["language", "query"])
    table["id"] = np.arange(1, len(table) + 1)
    table["task"] = task
    table["label"] = pd.array((table["id"] % 3 > 0).astype(int), dtype="Int8")
    table["target"] = [f"dresses,kind {i}" if task == "QC" else f"red evening dress {i}" for i in table["id"]]
    table["origin_query"], table["origin_target"] = table["query"], table["target"]
    table["fold"] = (table["id"] % 2).astype("int16")
    return start_table(table, pd.Series("", index=table.index, dtype="str"))


@pytest.fixture(scope="module")
def translator():
    return open_translator("built_in", ".")


def test_created_rows_keep_label_target_and_fold_of_their_origin(translator):
    table = train()
    made = expand_languages(table, Tools(QC, translator, ("de",)), ExpandLanguages())
    created = made[made["source"] == "translated"]
    origin = made.set_index("id").loc[created["origin_id"]]
    assert len(created)
    for column in ("label", "target", "fold"):
        assert created[column].tolist() == origin[column].tolist()
    assert set(created["language"]) == {"de"}
    assert created["query"].str.contains("abendkleid").any()
    assert created["id"].min() > table["id"].max()
    assert created["gate"].str.contains("changed number").all()


def test_the_query_in_english_is_translated_back_from_the_new_query(translator):
    made = expand_languages(train(), Tools(QC, translator, ("de",)), ExpandLanguages())
    created = made[(made["source"] == "translated") & made["query"].str.startswith("abendkleid")]
    assert created["query_en"].str.startswith("evening dress").all()


def test_the_cap_holds_over_all_languages(translator):
    made = expand_languages(train(), Tools(QC, translator, ("de", "it")), ExpandLanguages(cap=0.2))
    assert (made["source"] == "translated").sum() <= 0.2 * 40


def test_rows_per_language_is_kept(translator):
    made = expand_languages(train(), Tools(QC, translator, ("it",)), ExpandLanguages(rows_per_language=6, cap=1.0))
    assert (made["language"] == "it").sum() == 6


def test_the_same_seed_gives_the_same_rows_and_another_gives_others(translator):
    one, same, other = (
        expand_languages(train(), Tools(QC, translator, ("de",), seed=seed), ExpandLanguages(rows_per_language=8))
        for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)


def test_untranslatable_rows_are_rejected_and_counted(translator):
    tools = Tools(QC, translator, ("de",))
    expand_languages(train(), tools, ExpandLanguages(cap=1.0, rows_per_language=40))
    assert "no translation" in set(tools.rejections.table()["reason"])


@pytest.mark.parametrize(("given", "languages"), [(None, ("de",)), ("built_in", ())])
def test_without_translator_or_new_languages_nothing_is_made_and_a_note_says_why(given, languages):
    table = train(1)
    tools = Tools(QC, open_translator("built_in", ".") if given else None, languages)
    assert expand_languages(table, tools, ExpandLanguages()) is table
    assert "made no rows" in tools.notes[0]


def test_english_that_is_known_already_changes_no_row_and_is_not_asked_again(translator, monkeypatch):
    table = train()
    known = Tools(QC, translator, ("de", "it"), english=translate_rows(table, translator).set_index(table["id"]))
    asked = []
    monkeypatch.setattr(
        expand,
        "translate_rows",
        lambda rows, *given, **more: asked.append(rows) or translate_rows(rows, *given, **more),
    )
    fresh = expand_languages(table, Tools(QC, translator, ("de", "it")), ExpandLanguages())
    without = len(asked)
    pd.testing.assert_frame_equal(expand_languages(table, known, ExpandLanguages()), fresh)
    assert len(asked) - without == without - 1


def test_titles_are_put_into_the_language_of_the_query(translator):
    made = translate_titles(train(task="QI"), Tools(QI, translator), TranslateTitles(share=0.5))
    created = made[made["source"] == "translated_title"]
    assert set(created["language"]) == {"es", "fr"}
    assert created.loc[created["language"] == "es", "target"].str.contains("vestido de noche rojo").all()
    assert created["query"].isin(train(task="QI")["query"]).all()


def test_an_indonesian_title_is_not_taken_for_an_english_one(translator):
    table = train(task="QI")
    table["target"] = [f"Sepatu Pria Casual Kulit Asli red evening dress {i}" for i in table["id"]]
    assert translate_titles(table, Tools(QI, translator), TranslateTitles(share=0.5)) is table


def test_category_paths_are_not_translated(translator):
    table = train()
    assert translate_titles(table, Tools(QC, translator), TranslateTitles()) is table


def test_a_gate_that_the_tools_do_not_have_rejects_nothing(translator):
    tools = Tools(QC, translator, ("de",))
    expand_languages(train(), tools, ExpandLanguages(min_confidence=0.0))
    assert "changed number" in set(tools.rejections.table()["reason"])
    without = Tools(QC, translator, ("de",), gates={})
    expand_languages(train(), without, ExpandLanguages(min_confidence=0.0))
    assert "changed number" not in set(without.rejections.table()["reason"])


def test_a_share_of_less_than_a_row_makes_no_title(translator):
    table = train(1, task="QI")
    assert translate_titles(table, Tools(QI, translator), TranslateTitles(share=0.1)) is table
