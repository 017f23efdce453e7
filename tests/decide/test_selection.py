import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from competition_utils.decide.metrics import f1_score
from competition_utils.decide.rules import COMMON, MATCHED_RATE, PER_LANGUAGE, SINGLE
from competition_utils.decide.selection import (
    choose_for_unlabelled,
    choose_rule,
    f1_gain,
    grouped_folds,
    threshold_intervals,
    with_unlabelled,
)

SIMULATIONS = 100


def simulated(seed, shift, rows=2500, languages=5):
    """Out-of-fold scores whose log-odds lie `shift` higher from one language to the next."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, languages, rows)
    labels = (rng.random(rows) < 0.65).astype(np.int64)
    log_odds = rng.normal(1.6 * labels - 0.8, 1.0) + shift * (codes - (languages - 1) / 2)
    scores = (1 / (1 + np.exp(-log_odds))).astype(np.float32)
    return (
        labels,
        scores,
        np.array(["en", "es", "fr", "ja", "ko", "pt"])[codes],
        rng.integers(0, rows // 3, rows),
    )


def times_picked(name, shift):
    choices = (choose_rule(*simulated(seed, shift), resamples=400) for seed in range(SIMULATIONS))
    return sum(choice.rule.name == name for choice in choices)


def test_where_languages_truly_differ_thresholds_per_language_are_picked_95_times_in_100():
    assert times_picked(PER_LANGUAGE, shift=0.7) >= 95


def test_where_languages_do_not_differ_the_single_threshold_is_picked_95_times_in_100():
    assert times_picked(SINGLE, shift=0.0) >= 95


@given(hnp.arrays(np.int64, 50, elements=st.integers(0, 20)))
def test_rows_of_one_query_share_a_fold(groups):
    folds = grouped_folds(groups)
    assert all(len(set(folds[groups == group])) == 1 for group in set(groups.tolist()))


def test_the_choice_tells_nested_figures_not_those_of_its_own_tuning():
    labels, scores, languages, groups = simulated(1, shift=0.0, rows=600)
    choice = choose_rule(labels, scores, languages, groups, resamples=100)
    assert choice.f1[SINGLE] == f1_score(labels, choice.predictions)
    assert len(set(choice.thresholds.tolist())) > 1  # one a fold
    assert choice.f1[SINGLE] < f1_score(labels, scores >= choice.rule.common)


def test_the_choice_says_why_in_one_sentence():
    choice = choose_rule(*simulated(1, shift=0.0), resamples=100)
    assert choice.why.startswith("single: ")
    assert "the simpler rule wins" in choice.why


def test_one_language_leaves_nothing_to_choose():
    labels, scores, _, groups = simulated(0, shift=0.0, rows=300)
    assert choose_rule(labels, scores, ["en"] * 300, groups, resamples=50).rule.name == SINGLE


def test_a_choice_is_the_same_each_time():
    first, again = (choose_rule(*simulated(3, shift=0.4), resamples=100) for _ in range(2))
    assert first.rule == again.rule
    assert first.gain == again.gain


def test_languages_that_differ_make_the_matched_rate_win_for_unlabelled_ones():
    labels, scores, languages, groups = simulated(0, shift=0.9, rows=4000)
    choice = choose_for_unlabelled(labels, scores, languages, groups, resamples=200)
    assert choice.name == MATCHED_RATE
    assert (choice.by_language["f1_matched_rate"] <= choice.by_language["f1_own"]).all()


def test_languages_that_do_not_differ_leave_the_common_threshold_to_unlabelled_ones():
    choice = choose_for_unlabelled(*simulated(0, shift=0.0), resamples=200)
    assert choice.name == COMMON
    assert choice.by_language["rows"].sum() == 2500


def test_two_languages_are_too_few_to_ask_what_a_third_would_need():
    labels, scores, _, groups = simulated(0, shift=0.5, rows=300)
    assert choose_for_unlabelled(labels, scores, ["en", "fr"] * 150, groups).name == COMMON


def test_what_unlabelled_languages_get_becomes_part_of_the_rule():
    rows = simulated(0, shift=0.9, rows=4000)
    unlabelled = choose_for_unlabelled(*rows, resamples=100)
    assert with_unlabelled(choose_rule(*rows, resamples=100), unlabelled).unlabelled == MATCHED_RATE


def test_a_way_gains_nothing_over_itself():
    gain = f1_gain(np.array([0, 1, 1]), np.array([1, 1, 0]), np.array([1, 1, 0]), np.arange(3), resamples=20)
    assert (gain.value, gain.low, gain.high, gain.p_value) == (0, 0, 0, 1)


def test_a_gain_that_every_resample_shows_is_certain():
    labels = np.tile([0, 1, 1, 0], 50)
    gain = f1_gain(labels, labels, np.ones(200, dtype=int), np.arange(200), resamples=200)
    assert gain.significant
    assert gain.p_value < 0.05
    assert gain.value == pytest.approx(1 - 2 / 3)


def test_thresholds_of_languages_with_few_rows_are_less_sure():
    labels, scores, languages, groups = simulated(0, shift=0.5, rows=3000)
    keep = (languages != "fr") | (np.cumsum(languages == "fr") <= 60)
    table = threshold_intervals(labels[keep], scores[keep], languages[keep], groups[keep], prior_rows=10, resamples=60)
    assert ((table["low"] <= table["threshold"]) & (table["threshold"] <= table["high"])).mean() >= 0.8
    widths = table["high"] - table["low"]
    assert widths["fr"] > widths.drop("fr").median()
    assert table.loc["fr", "rows"] == 60


def test_labels_of_one_byte_count_as_far_as_any():
    labels, scores, languages, groups = simulated(3, shift=0.6)
    narrow, wide = (
        choose_rule(labels.astype(kind), scores, languages, groups, resamples=50) for kind in (np.int8, np.int64)
    )
    assert narrow.rule == wide.rule
    assert narrow.f1 == wide.f1
