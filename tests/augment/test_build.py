"""From clean tables to translated ones, and step by step to augmented ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from competition_utils.augment import self_validate
from competition_utils.augment.build import (
    HINT,
    MEANINGS,
    add_hints,
    augment_tasks,
    category_tree,
    disambiguate,
    fit_ngrams,
    hint_writer,
    new_languages,
    run_step,
    translate_tables,
    translate_targets,
)
from competition_utils.augment.strategies import load_strategy
from competition_utils.augment.tools import Tools
from competition_utils.category_tree.hints import first_relation
from competition_utils.category_tree.tree import RELATIONS
from competition_utils.settings.strategy import ExpandLanguages
from competition_utils.tasks import QC, QI
from competition_utils.translation.lexicon import LexiconTranslator
from competition_utils.translation.lexicon_file import COLUMNS
from competition_utils.translation.open import open_translator


def clean(*rows):
    table = pd.DataFrame(rows, columns=["id", "language", "query", "target", "label"])
    return table.assign(task="QC", origin_query=table["query"], origin_target=table["target"])


TABLES = {
    "train": clean((1, "es", "vestido de noche rojo", "dresses", 1), (2, "en", "red lamp", "lamps", 0)),
    "dev": clean((1, "it", "vestito da sera", "dresses", 1)),
    "test": clean((1, "de", "abendkleid", "dresses", 1)).drop(columns="label"),
}


def test_translation_adds_english_and_the_trace_and_nothing_else(tmp_path):
    translator = open_translator("built_in", tmp_path)
    made = translate_tables(TABLES, Tools(QC, translator)).tables
    assert made["train"]["query_en"].tolist() == ["red evening dress", ""]
    assert made["dev"]["query_en"].tolist() == ["evening dress"]
    assert made["test"]["query_en"].tolist() == ["evening dress"]
    assert set(made["train"].columns) - set(TABLES["train"].columns) == {
        "query_en",
        "source",
        "origin_id",
        "step",
        "gate",
        "weight",
    }
    assert "label" not in made["test"]


def test_the_steps_get_the_english_of_train_with_its_confidence(tmp_path):
    tools = Tools(QC, open_translator("built_in", tmp_path))
    made = translate_tables(TABLES, tools)
    train, english = made.tables["train"], made.tools.english
    assert english.loc[train["id"], "translated"].tolist() == train["query_en"].tolist()
    assert english["confidence"].between(0, 1).all()


def test_without_a_translator_there_is_no_english():
    made = translate_tables(TABLES, Tools(QC, None)).tables
    assert made["train"]["query_en"].tolist() == ["", ""]


def test_new_languages_are_found_in_the_files():
    assert new_languages(TABLES) == ("de", "it")


def test_a_step_leaves_the_results_before_it_as_they_were(tmp_path):
    before = translate_tables(TABLES, Tools(QC, open_translator("built_in", tmp_path), ("it",)))
    rows, logged = before.tables["train"].copy(), dict(before.tools.rejections.counts)
    first, again = (run_step(before, ExpandLanguages(cap=2.0, rows_per_language=4)) for _ in range(2))
    assert len(first.tables["train"]) > len(rows)
    pd.testing.assert_frame_equal(before.tables["train"], rows)
    assert before.tools.rejections.counts == logged
    pd.testing.assert_frame_equal(first.tables["train"], again.tables["train"])
    assert first.tools.rejections == again.tools.rejections


def test_titles_get_their_english_after_the_steps_so_that_created_ones_have_it_too(tmp_path):
    translator = open_translator("built_in", tmp_path)
    title = translator.translate(["red evening dress"], "en", "vn")[0][0]
    tables = {"train": clean((1, "en", "dress", "red evening dress", 1)).assign(task="QI")}
    made = translate_tables(tables, Tools(QI, translator))
    created = made.tables["train"].assign(id=2, target=title, source="translated_title")
    made.tables["train"] = pd.concat([made.tables["train"], created], ignore_index=True)
    train = translate_targets({"QI": made})["QI"].tables["train"]
    assert dict(zip(train["target"], train["target_en"], strict=True)) == {
        "red evening dress": "",
        title: "red evening dress",
    }


SEVERAL = pd.DataFrame([("de", "anhänger", "en", "pendant"), ("de", "anhänger", "en", "charm")], columns=COLUMNS)


def read_in(targets):
    """Results of a train with one German query beside each target, titles read."""
    tables = {"train": clean(*((row, "de", "anhänger", target, 1) for row, target in enumerate(targets)))}
    return translate_targets({"QC": translate_tables(tables, Tools(QC, LexiconTranslator(SEVERAL)))})


def test_a_word_of_several_meanings_is_read_as_the_pair_s_target_has_it():
    results = read_in(["jewelry,charm", "jewelry,pendant", "lamps"])
    read = disambiguate(results)["QC"]
    assert read.tables["train"]["query_en"].tolist() == ["charm", "pendant", "pendant"]
    assert MEANINGS in read.seconds
    assert results["QC"].tables["train"]["query_en"].tolist() == ["pendant"] * 3


def test_hints_are_about_the_tree_of_all_splits_and_stand_in_every_table():
    tables = {
        "train": clean((1, "en", "vase", "home,decor,vases", 1)),
        "test": clean((2, "en", "vase", "home,kitchen,vases and jugs", 1)),
    }
    results = {"QC": translate_tables(tables, Tools(QC))}
    writer = hint_writer(results, category_tree(results))
    assert set(writer.tree.names["name"]) == {"home", "decor", "vases", "kitchen", "vases and jugs"}
    made = add_hints(results, writer)["QC"]
    assert [first_relation(table["category_hint"]).item() for table in made.tables.values()] == ["same", "department"]
    assert HINT in made.seconds


def test_a_lexicon_places_a_query_that_it_lacks_by_the_letters_of_its_words():
    lexicon = pd.DataFrame(
        [("de", "blumenvase", "en", "flower vase"), ("de", "kochtopf", "en", "cooking pot")] * 20, columns=COLUMNS
    )
    paths = ["home,decor,vases", "home,kitchen,pots", "home,lighting,lamps"]
    tables = {"train": clean(*((row, "de", "vasenset", path, 1) for row, path in enumerate(paths)))}
    results = {"QC": translate_tables(tables, Tools(QC, LexiconTranslator(lexicon)))}
    tree = category_tree(results)
    made = add_hints(results, hint_writer(results, tree, fit_ngrams(results, tree)))["QC"].tables["train"]
    assert made["query_en"].tolist() == [""] * 3 and made["category_hint"].str.endswith(" vases").all()


def test_without_a_lexicon_there_are_no_ngrams():
    results = {"QC": translate_tables(TABLES, Tools(QC))}
    assert fit_ngrams(results, category_tree(results)) is None


def test_without_categories_hints_are_empty():
    results = {"QI": translate_tables({"train": clean((1, "en", "vase", "a vase", 1)).assign(task="QI")}, Tools(QI))}
    writer = hint_writer(results, category_tree(results))
    assert add_hints(results, writer)["QI"].tables["train"]["category_hint"].tolist() == [""]


def test_labels_are_validated_by_a_model_that_reads_hints_and_english_titles(monkeypatch):
    seen = []
    monkeypatch.setattr(
        self_validate, "out_of_fold_scores", lambda table, tools: seen.append(table) or np.full(len(table), 0.5)
    )
    tables = {("QC", split): table.assign(fold=0) for split, table in TABLES.items()}
    augment_tasks(tables, [QC], load_strategy("self_validated"), open_translator("built_in", "."))
    assert "target_en" in seen[0] and first_relation(seen[0]["category_hint"]).isin(RELATIONS).all()
