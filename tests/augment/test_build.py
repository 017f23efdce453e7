"""From clean tables to augmented ones with the strategy `original`."""

from __future__ import annotations

import pandas as pd

from competition_utils.augment.build import augment_tables, new_languages, open_translator
from competition_utils.augment.strategies import load_strategy
from competition_utils.augment.tools import Tools
from competition_utils.tasks import QC


def clean(*rows):
    table = pd.DataFrame(rows, columns=["id", "language", "query", "target", "label"])
    return table.assign(task="QC", origin_query=table["query"], origin_target=table["target"])


TABLES = {
    "train": clean((1, "es", "vestido de noche rojo", "dresses", 1), (2, "en", "red lamp", "lamps", 0)),
    "dev": clean((1, "it", "vestito da sera", "dresses", 1)),
    "test": clean((1, "de", "abendkleid", "dresses", 1)).drop(columns="label"),
}


def test_original_adds_english_and_the_trace_and_nothing_else(tmp_path):
    translator = open_translator("built_in", tmp_path)
    made = augment_tables(TABLES, load_strategy("original"), Tools(QC, translator)).tables
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
    made = augment_tables(TABLES, load_strategy("original"), tools).tables["train"]
    assert tools.english.loc[made["id"], "translated"].tolist() == made["query_en"].tolist()
    assert tools.english["confidence"].between(0, 1).all()


def test_without_a_translator_there_is_no_english(tmp_path):
    assert open_translator("auto", tmp_path) is None
    made = augment_tables(TABLES, load_strategy("original"), Tools(QC, None)).tables
    assert made["train"]["query_en"].tolist() == ["", ""]


def test_the_data_folders_lexicon_is_used_by_itself(tmp_path):
    text = "source_lang\tsource_text\ttarget_lang\ttarget_text\nes\tvestido\ten\tdress\n"
    (tmp_path / "lexicon.tsv").write_text(text)
    assert open_translator("auto", tmp_path).supports("es", "en")


def test_new_languages_are_found_in_the_files():
    assert new_languages(TABLES) == ("de", "it")
