import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit, logit

from competition_utils.decide.calibrate import (
    FITS,
    compare_calibrations,
    cross_fitted,
    equal_mass_bins,
    expected_calibration_error,
    fit_by_language,
    fit_calibrator,
    reliability_intervals,
)
from competition_utils.errors import UserError


def drawn(rows=4000, distort=lambda truth: truth, seed=0):
    """Labels drawn with known probabilities, and the distorted scores that a model would give."""
    rng = np.random.default_rng(seed)
    truth = rng.beta(1.5, 1.0, rows)
    return (rng.random(rows) < truth).astype(np.int64), distort(truth), truth


def overconfident(truth):
    return expit(3 * logit(truth))


@pytest.mark.parametrize("method", FITS)
def test_calibration_undoes_overconfidence_on_rows_not_used_for_fitting(method):
    labels, scores, truth = drawn(distort=overconfident)
    calibrated = cross_fitted(method, labels, scores, np.arange(len(labels)) % 5)
    before, after = (expected_calibration_error(labels, each) for each in (scores, calibrated))
    assert after < before / 3
    assert np.abs(calibrated - truth).mean() < 0.03


def test_temperature_finds_the_factor_that_was_used():
    labels, scores, _ = drawn(rows=20_000, distort=overconfident)
    calibrated = fit_calibrator("temperature", labels, scores)(np.array([0.9]))
    assert logit(0.9) / logit(calibrated[0]) == pytest.approx(3, rel=0.05)


def test_beta_undoes_what_platt_cannot():
    labels, scores, truth = drawn(rows=20_000, distort=lambda truth: truth**4)
    errors = {m: np.abs(fit_calibrator(m, labels, scores)(scores) - truth).mean() for m in ("platt", "beta")}
    assert errors["beta"] < errors["platt"] / 2


@settings(max_examples=40)
@given(
    st.sampled_from(sorted(FITS)),
    hnp.arrays(np.int64, 30, elements=st.integers(0, 1)).filter(lambda labels: 0 < labels.sum() < 30),
    hnp.arrays(np.float64, 30, elements=st.floats(0, 1)),
)
def test_no_method_ever_turns_two_rows_round(method, labels, scores):
    calibrated = fit_calibrator(method, labels, scores)(np.sort(scores))
    assert (np.diff(calibrated) >= -1e-12).all()
    assert calibrated.min() >= 0
    assert calibrated.max() <= 1


def test_scores_that_rank_backwards_become_the_base_rate_and_not_the_reverse():
    labels, scores, _ = drawn()
    calibrated = fit_calibrator("platt", 1 - labels, scores)(scores)
    assert calibrated == pytest.approx(np.full(len(labels), 1 - labels.mean()))


def test_languages_with_few_rows_share_the_common_calibrator():
    labels, scores, _ = drawn(distort=overconfident)
    languages = np.where(np.arange(len(labels)) < 3990, "en", "pl")
    apply = fit_by_language("platt", labels, scores, languages)
    common = fit_calibrator("platt", labels, scores)
    some = np.array([0.2, 0.7])
    assert apply(some, ["pl", "ar"]).tolist() == common(some).tolist()
    assert apply(some, ["en", "en"]).tolist() != common(some).tolist()


def test_bins_hold_as_many_rows_as_ties_allow():
    assert np.bincount(equal_mass_bins(np.linspace(0, 1, 30), bins=3)).tolist() == [10, 10, 10]
    assert equal_mass_bins(np.array([0.1, 0.5, 0.5, 0.5]), bins=4).tolist() == [0, 1, 1, 1]


def test_calibration_error_of_a_case_worked_out_by_hand():
    # Two bins: scores 0.1 with 1 relevant row of 2, scores 0.8 with 2 of 2: (0.4 + 0.2) / 2.
    assert expected_calibration_error([0, 1, 1, 1], [0.1, 0.1, 0.8, 0.8], bins=2) == pytest.approx(0.3)


def test_intervals_of_a_calibrated_model_hold_the_diagonal():
    labels, _, truth = drawn()
    table = reliability_intervals(labels, truth, np.arange(len(labels)), 5)
    assert ((table["low"] < table["score"]) & (table["score"] < table["high"])).sum() >= 4


def test_ways_are_compared_best_first():
    labels, scores, _ = drawn(distort=overconfident)
    report = compare_calibrations(labels, scores, ["en"] * 4000, np.arange(4000))
    assert set(report.table.index) == {"none", *FITS, *(f"{method} by language" for method in FITS)}
    assert report.table.index[-1] == "none"
    assert report.table["brier"].is_monotonic_increasing
    assert set(report.scores) == set(report.table.index)


def test_an_unknown_method_is_refused():
    with pytest.raises(UserError, match="found 'magic'"):
        fit_calibrator("magic", np.array([0, 1]), np.array([0.2, 0.8]))


def test_labels_of_one_kind_are_refused():
    with pytest.raises(UserError, match="both kinds"):
        fit_calibrator("platt", np.array([1, 1]), np.array([0.2, 0.8]))
