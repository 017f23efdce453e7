"""The F1 to expect on languages without labels, by hand and by its laws."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from competition_utils.decide.decisions import decide, read_scores
from competition_utils.decide.expect import expectation_table, expected_f1, expected_on_unseen, strata, weights_like
from competition_utils.decide.metrics import f1_score


def rows(kinds: str, language: str, label=1, prediction=1) -> pd.DataFrame:
    """A row a letter: `w` translated whole, `n` not at all; queries all differ."""
    kinds = list(kinds)
    query = [f"{language}frage{number}" for number in range(len(kinds))]
    english = [f"question {number}" if kind == "w" else "" for number, kind in enumerate(kinds)]
    facts = {"query": query, "query_en": english, "language": language, "target": "a,b"}
    return pd.DataFrame({**facts, "label": label, "prediction": prediction})


def test_a_row_counts_as_often_as_its_like_among_the_others():
    weights, covered = weights_like(rows("wwwn", "fr"), rows("wnnn", "de"))
    # a quarter of the others is translated whole, three quarters of the rows: 1/4 / (3/4)
    np.testing.assert_allclose(weights, [1 / 3, 1 / 3, 1 / 3, 3])
    assert covered == 1.0


def test_rows_that_none_of_the_others_is_like_count_nothing_and_what_has_no_like_is_shown():
    weights, covered = weights_like(rows("ww", "fr"), rows("wnnn", "de"))
    np.testing.assert_allclose(weights, [0.25, 0.25])
    assert covered == 0.25


def test_f1_is_that_of_the_weighted_rows():
    right, wrong = rows("www", "fr"), rows("n", "fr", label=0)
    one = expected_f1(pd.concat([right, wrong], ignore_index=True), rows("wn", "de"), resamples=10)
    # weights 2/3 and 2: two right ones, two false alarms
    assert one.f1 == pytest.approx(2 * 2 / (2 * 2 + 2))
    assert one.seen_f1 == pytest.approx(2 * 3 / (2 * 3 + 1))
    assert (one.rows, one.covered, len(one.drawn)) == (2, 1.0, 10)


@given(
    st.lists(st.tuples(st.sampled_from("wn"), st.booleans(), st.booleans()), min_size=1, max_size=30),
    st.integers(1, 4),
)
def test_languages_that_read_alike_are_expected_to_score_alike(facts, times):
    kinds, labels, predictions = zip(*facts, strict=True)
    seen = rows("".join(kinds), "fr", list(map(int, labels)), list(map(int, predictions)))
    one = expected_f1(seen, rows("".join(kinds) * times, "de"), resamples=5)
    assert one.f1 == pytest.approx(f1_score(seen["label"].to_numpy(), seen["prediction"].to_numpy()))


@pytest.mark.parametrize(
    ("seen", "unseen"), [("", "w"), ("w", ""), ("w", "n")], ids=["no seen", "no unseen", "no like"]
)
def test_nothing_is_expected_where_nothing_can_be_said(seen, unseen):
    assert expected_f1(rows(seen, "fr"), rows(unseen, "de"), resamples=5) is None


def test_a_row_is_described_by_how_it_was_read_and_where_it_lies():
    assert strata(rows("wn", "de")).tolist() == ["whole, no hint", "none, no hint"]


@pytest.mark.parametrize("dev_labelled", [True, False])
def test_dev_needs_no_labels_for_something_to_be_expected(make_run, read_from, dev_labelled):
    given = read_scores("QC", read_from(make_run(dev_labelled=dev_labelled)))
    one = expected_on_unseen(given, decide(given, resamples=20), resamples=20)
    assert one.rows == (~given.dev["language"].isin(given.seen_languages)).sum() > 0
    assert 0 < one.f1 < 1


def test_labels_of_unseen_languages_are_not_looked_at(make_run, read_from):
    given = read_scores("QC", read_from(make_run()))
    made = decide(given, resamples=20)
    one = expected_on_unseen(given, made, resamples=20)
    unseen = ~made.measured["language"].isin(given.seen_languages)
    made.measured.loc[unseen, "label"] = 1 - made.measured.loc[unseen, "label"]
    assert expected_on_unseen(given, made, resamples=20).f1 == one.f1


def test_the_table_shows_what_was_measured_beside_it():
    one = expected_f1(rows("ww", "fr"), rows("w", "de"), resamples=5)
    table = expectation_table({"QC": one, "QI": None}, {"QC": {"unseen_language_f1": 0.8}, "QI": {}})
    assert table.index.tolist() == ["QC"]
    assert table.loc["QC", ["expected", "measured", "rows"]].tolist() == [1.0, 0.8, 1]


def test_an_unlabelled_dev_has_no_measured_figure():
    one = expected_f1(rows("ww", "fr"), rows("w", "de"), resamples=5)
    assert expectation_table({"QC": one}, {"QC": {"unseen_language_f1": None}})["measured"].isna().all()
