import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score

from competition_utils.decide.thresholds import best_threshold
from competition_utils.errors import UserError
from competition_utils.f1 import f1_curve

# Few distinct values on purpose: ties are where a curve goes wrong.
LABELLED_SCORES = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.int8, n, elements=st.integers(0, 1)),
        hnp.arrays(np.float32, n, elements=st.sampled_from(np.linspace(0, 1, 8, dtype=np.float32))),
    )
)
DIFFERING = LABELLED_SCORES.filter(lambda pair: len(set(pair[1].tolist())) > 1)


def brute_force(labels, scores, threshold):
    return f1_score(labels, scores >= threshold, zero_division=0)


@given(LABELLED_SCORES)
def test_every_point_of_the_curve_is_what_counting_gives(pair):
    labels, scores = pair
    curve = f1_curve(labels, scores)
    expected = [brute_force(labels, scores, threshold) for threshold in curve.thresholds]
    np.testing.assert_allclose(curve.f1, expected)


@given(LABELLED_SCORES)
def test_the_curve_has_one_cut_for_each_distinct_score(pair):
    labels, scores = pair
    assert len(f1_curve(labels, scores).thresholds) == len(set(scores.tolist()))


@settings(max_examples=40)
@given(DIFFERING)
def test_no_threshold_beats_the_best_one(pair):
    labels, scores = pair
    best = best_threshold(labels, scores)
    assert best.f1 == pytest.approx(max(brute_force(labels, scores, score) for score in scores))
    assert best.f1 == pytest.approx(brute_force(labels, scores, best.threshold))


@given(DIFFERING, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(pair, random):
    labels, scores = pair
    order = list(range(len(labels)))
    random.shuffle(order)
    assert best_threshold(labels[order], scores[order]) == best_threshold(labels, scores)


def test_a_threshold_lies_midway_between_neighbouring_scores():
    best = best_threshold([0, 0, 1, 1], np.array([0.1, 0.2, 0.6, 0.9]))
    assert best.threshold == pytest.approx(0.4)
    assert best.f1 == 1.0


def test_precision_recall_and_rate_belong_to_the_best_cut():
    # Cuts of 1, 2, 3, 4 rows: F1 2/3, 1/2, 4/5, 2/3.
    best = best_threshold([1, 0, 1, 0], np.array([0.9, 0.8, 0.7, 0.6]))
    assert (best.f1, best.precision, best.recall) == pytest.approx((4 / 5, 2 / 3, 1.0))
    assert best.positive_rate == 3 / 4


def test_neighbouring_floats_are_reported_apart():
    low = 0.5
    high = np.nextafter(low, 1)
    best = best_threshold([0, 1], np.array([low, high]))
    assert low < best.threshold <= high


def test_all_positive_rows_are_all_predicted_relevant():
    best = best_threshold(np.ones(5, dtype=int), np.linspace(0.2, 0.9, 5))
    assert best.f1 == 1.0
    assert best.threshold < 0.2


def test_all_negative_rows_have_no_f1_to_win_and_the_fewest_are_predicted_relevant():
    best = best_threshold(np.zeros(5, dtype=int), np.linspace(0.2, 0.9, 5))
    assert best.f1 == 0.0
    assert best.positive_rate == 1 / 5


def test_one_row_has_a_curve_of_one_cut():
    assert f1_curve([1], np.array([0.3])).f1.tolist() == [1.0]


@pytest.mark.parametrize("scores", [[0.7], [0.7, 0.7, 0.7]], ids=["one row", "three rows"])
def test_constant_scores_are_refused(scores):
    with pytest.raises(UserError, match=r"expected values that differ, found 0\.7"):
        best_threshold([1] * len(scores), np.array(scores))


@pytest.mark.parametrize("fault", [np.nan, np.inf, -0.1, 1.5])
def test_scores_that_are_no_number_from_0_to_1_are_refused(fault):
    with pytest.raises(UserError, match="row 1"):
        best_threshold([0, 1, 1], np.array([0.2, fault, 0.4]))


@pytest.mark.parametrize("fault", [2, -1, np.nan])
def test_labels_other_than_0_and_1_are_refused(fault):
    with pytest.raises(UserError, match="expected 0 or 1"):
        best_threshold([0, fault, 1], np.array([0.2, 0.3, 0.4]))


def test_a_missing_label_of_a_nullable_column_is_refused():
    with pytest.raises(UserError, match="labels"):
        best_threshold(pd.Series([0, None, 1], dtype="Int8"), np.array([0.2, 0.3, 0.4]))


@pytest.mark.parametrize(("labels", "scores"), [([], []), ([0, 1], [0.5])], ids=["no rows", "two lengths"])
def test_columns_that_do_not_match_are_refused(labels, scores):
    with pytest.raises(UserError, match="one length"):
        best_threshold(labels, np.array(scores))
