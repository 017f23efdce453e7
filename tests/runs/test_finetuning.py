"""What notebook 03 shows before it fits: pairs in the scripts of all tables."""

import pandas as pd

from competition_utils.runs.finetuning import pairs_in_scripts

QUERIES = {"en": "red dress", "es": "vestido rojo", "ja": "赤いドレス", "th": "ชุดราตรี", "ar": "فستان أحمر"}


def table(task, languages, **others):
    rows = {"task": task, "language": languages, "query": [QUERIES[code] for code in languages], "query_en": ""}
    return pd.DataFrame(rows | others)


TABLES = {
    "QC": {"train": table("QC", ["en", "es", "ja"], label=1), "test": table("QC", ["ar", "en"])},
    "QI": {"train": table("QI", ["en", "th"], label=0)},
}


def test_every_script_is_shown_whichever_task_or_split_has_it():
    pairs = pairs_in_scripts(TABLES)
    assert set(pairs["language"].iloc[:4]) == {"en", "ja", "th", "ar"}
    assert pairs["language"].is_unique


def test_a_caption_says_where_a_pair_is_from_and_its_label_where_it_is_known():
    captions = pairs_in_scripts(TABLES).set_index("language")["caption"]
    assert captions["th"] == "QI, train, Thai, label 0"
    assert captions["ar"] == "QC, test, Arabic"


def test_no_more_pairs_are_shown_than_asked_for():
    assert len(pairs_in_scripts(TABLES, count=2)) == 2
    assert pairs_in_scripts(TABLES, count=9)["language"].nunique() == 5


def test_queries_in_the_language_of_their_tag_come_before_others():
    tables = {"QC": {"train": table("QC", ["en", "en"], text_language=["es", "en"], label=[0, 1])}}
    assert pairs_in_scripts(tables)["label"].tolist() == [1]
