import pandas as pd
import pytest

from competition_utils.decide.mistakes import (
    confident_mistakes,
    confusion_by,
    scores_by_similarity,
    top_category,
    words_in_common,
)


@pytest.fixture
def measured():
    return pd.DataFrame(
        {
            "id": range(1, 7),
            "language": ["en", "en", "fr", "fr", "fr", "pl"],
            "query": ["red shoes", "mug", "chaussure", "tasse", "lampe", "?"],
            "query_en": ["", "", "shoe", "mug", "lamp", ""],
            "target": ["Red shoes,boots", "shoes", "shoes,boots", "kitchen, bar,mug", "lamp", "shoes"],
            "label": [1, 0, 0, 1, 1, 0],
            "score": [0.9, 0.8, 0.95, 0.2, 0.45, 0.1],
            "threshold": 0.5,
            "prediction": [1, 1, 1, 0, 0, 0],
        }
    )


def test_the_most_confident_mistakes_of_each_kind_come_first(measured):
    table = confident_mistakes(measured, each=1)
    assert table["id"].tolist() == [3, 4]
    assert table["mistake"].tolist() == ["false alarm", "missed"]


def test_mistakes_carry_their_texts_and_translations(measured):
    assert {"query", "query_en", "target"} <= set(confident_mistakes(measured))
    assert "query_en" not in confident_mistakes(measured.drop(columns="query_en"))


def test_confusion_counts_every_row_once(measured):
    table = confusion_by(measured, measured["language"])
    assert table.loc["fr"].to_dict() == pytest.approx(
        {"rows": 3, "hits": 0, "false_alarms": 1, "missed": 2, "right_no": 0, "f1": 0}
    )
    assert table["rows"].sum() == 6


def test_groups_with_few_rows_are_left_out(measured):
    assert confusion_by(measured, measured["language"], at_least=2).index.tolist() == ["fr", "en"]


def test_the_top_category_may_hold_a_comma(measured):
    assert top_category(measured).tolist()[3] == "kitchen, bar"


def test_words_in_common_are_those_of_the_translation_where_there_is_one(measured):
    assert words_in_common(measured).tolist() == [1, 0, 0, 1, 1, 0]


def test_words_in_common_are_those_of_a_translated_title(measured):
    titles = measured.assign(target="chaussure", target_en="red shoe")
    assert words_in_common(titles).tolist() == [0.5, 0, 1, 0, 0, 0]


def test_words_in_common_without_translations(measured):
    assert words_in_common(measured.drop(columns="query_en")).tolist() == [1, 0, 0, 0, 0, 0]


def test_scores_are_reported_by_the_words_in_common(measured):
    table = scores_by_similarity(measured)
    assert table.index.tolist() == ["none", "all"]
    assert table["rows"].tolist() == [3, 3]
    assert table.loc["all", "positive_rate"] == 1
