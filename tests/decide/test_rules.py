from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from competition_utils.decide.metrics import f1_score
from competition_utils.decide.rules import (
    COMMON,
    MATCHED_RATE,
    PER_LANGUAGE,
    LanguageCuts,
    ThresholdRule,
    apply_rule,
    fit_per_language,
    fit_single,
    matched_threshold,
    rule_from_dict,
)
from competition_utils.decide.thresholds import best_threshold
from competition_utils.errors import UserError

ROWS = st.integers(3, 14).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.int8, n, elements=st.integers(0, 1)),
        hnp.arrays(np.float32, n, elements=st.sampled_from(np.linspace(0, 1, 6, dtype=np.float32))),
        st.lists(st.sampled_from(["en", "fr"]), min_size=n, max_size=n),
    )
)


def best_by_brute_force(labels, scores, languages):
    languages = np.array(languages)
    cuts = sorted(set(scores.tolist()))
    tried = (
        f1_score(labels, np.where(languages == "en", scores >= english, scores >= french).astype(int))
        for english, french in product(cuts, cuts)
    )
    return max(tried)


@settings(max_examples=60)
@given(ROWS)
def test_unshrunk_thresholds_have_the_best_joint_f1_of_all_pairs_of_cuts(rows):
    labels, scores, languages = rows
    cuts = LanguageCuts(labels, scores, languages)
    thresholds = cuts.shrunk(0)[np.searchsorted(cuts.names, languages)]
    reached = f1_score(labels, (scores >= thresholds).astype(int))
    assert reached == pytest.approx(best_by_brute_force(labels, scores, languages))


def two_languages(rows=2000, shift=0.25, seed=0):
    """French scores are as informative as English ones, but lie higher by `shift`."""
    rng = np.random.default_rng(seed)
    labels, french = rng.integers(0, 2, rows), rng.random(rows) < 0.5
    scores = np.clip(0.3 * labels + 0.4 * rng.random(rows) + shift * french, 0, 1).astype(np.float32)
    return labels, scores, np.where(french, "fr", "en")


def test_thresholds_move_to_the_common_one_as_prior_rows_grow():
    labels, scores, languages = two_languages()
    common = best_threshold(labels, scores).threshold
    distances = [np.ptp(LanguageCuts(labels, scores, languages).shrunk(prior)) for prior in (0, 1000, 10**9)]
    assert distances[0] == pytest.approx(0.25, abs=0.05)
    assert distances[0] >= distances[1] >= distances[2]
    assert LanguageCuts(labels, scores, languages).shrunk(10**9).tolist() == pytest.approx([common, common])


def test_a_language_with_few_rows_stays_nearer_to_the_common_threshold():
    labels, scores, languages = two_languages()
    keep = (languages == "en") | (np.cumsum(languages == "fr") <= 20)
    few = fit_per_language(labels[keep], scores[keep], languages[keep], prior_rows=300)
    many = fit_per_language(labels, scores, languages, prior_rows=300)
    assert abs(few.by_language["fr"] - few.common) < abs(many.by_language["fr"] - few.common)


def test_a_single_rule_has_one_threshold_for_every_language():
    labels, scores, languages = two_languages()
    rule = fit_single(labels, scores, languages)
    assert set(rule.thresholds(["en", "fr", "pl"], np.array([0.1, 0.2, 0.3]))) == {rule.common}


def test_a_matched_rate_predicts_the_share_asked_for():
    scores = np.linspace(0, 1, 101)
    assert (scores >= matched_threshold(scores, 0.7)).mean() == pytest.approx(0.7, abs=0.01)


def test_an_unlabelled_language_gets_the_common_threshold_or_a_matched_rate():
    rule = ThresholdRule(PER_LANGUAGE, 0.5, 0.5, {"en": 0.4}, COMMON, 100.0)
    languages, scores = ["en", "pl", "pl"], np.array([0.3, 0.8, 0.9])
    assert rule.thresholds(languages, scores).tolist() == [0.4, 0.5, 0.5]
    matched = rule_from_dict(rule.as_dict() | {"unlabelled": MATCHED_RATE})
    assert matched.thresholds(languages, scores).tolist() == pytest.approx([0.4, 0.85, 0.85])


def test_a_rule_comes_back_from_its_dictionary_as_it_was():
    labels, scores, languages = two_languages()
    rule = fit_per_language(labels, scores, languages, prior_rows=300)
    assert rule_from_dict(rule.as_dict()) == rule


def test_an_unknown_rule_is_refused():
    with pytest.raises(UserError, match="found 'magic'"):
        rule_from_dict({"name": "magic", "unlabelled": COMMON})


def test_decisions_keep_their_contract():
    scores = pd.DataFrame(
        {"id": [4, 2], "task": "QC", "language": ["en", "pl"], "score": np.float32([0.3, 0.9]), "fold": -1}
    ).assign(split="dev")
    decisions = apply_rule(scores, ThresholdRule(PER_LANGUAGE, 0.5, 0.5, {"en": 0.2}, COMMON, 100.0))
    assert list(decisions) == ["id", "language", "split", "score", "threshold", "prediction"]
    assert decisions["id"].tolist() == [4, 2]
    assert decisions["threshold"].tolist() == [0.2, 0.5]
    assert decisions["prediction"].tolist() == [1, 1]
