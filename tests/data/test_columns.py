"""Columns of texts: their words, and the English of a query."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from competition_utils.data.columns import english_query, english_target, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Red_Dress 1.5m", ["red", "dress", "1", "5m"]),
        ("รองเท้า สีแดง", ["รองเท้า", "สีแดง"]),
        ("cafe\u0301 ole\u0301", ["cafe\u0301", "ole\u0301"]),
    ],
    ids=["punctuation", "vowel signs", "combining accents"],
)
def test_words_are_runs_of_letters_marks_and_digits(text, words):
    assert split_words(pa.array([text], pa.large_string())).to_pylist() == [words]


def test_a_query_without_translation_stands_for_itself():
    rows = pd.DataFrame({"query": ["rojo", "lamp", "x"], "query_en": ["red", "", None]})
    assert english_query(rows).tolist() == ["red", "lamp", "x"]
    assert english_query(rows[["query"]]).tolist() == ["rojo", "lamp", "x"]


def test_a_target_without_english_of_its_own_stands_for_itself():
    rows = pd.DataFrame({"target": ["lampu merah", "red lamp", "x"], "target_en": ["red lamp", "", None]})
    assert english_target(rows).tolist() == ["red lamp", "red lamp", "x"]
    assert english_target(rows[["target"]]).tolist() == ["lampu merah", "red lamp", "x"]
