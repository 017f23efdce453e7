"""Which rule to take: nested cross-validation grouped by query, and leave-one-language-out for languages
without labels.

The simpler rule wins unless the whole interval of the other one's gain lies above 0. That interval is one of
99%: it is drawn with the thresholds held fixed and so shows only part of the noise (its standard error comes
out at about 0.8 of the true one in simulations), and a rule taken by chance costs more than a small gain
passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np
import pandas as pd

from competition_utils.decide.metrics import counts, f1_from_counts, f1_score
from competition_utils.decide.resample import RESAMPLES, group_draws, interval, paired_p_value, resampled_sums
from competition_utils.decide.rules import (
    COMMON,
    MATCHED_RATE,
    LanguageCuts,
    ThresholdRule,
    fit_per_language,
    fit_single,
    matched_threshold,
)
from competition_utils.decide.thresholds import best_threshold
from competition_utils.f1 import best_f1
from competition_utils.progress import progress

FOLDS = 5
CHOICE_LEVEL = 0.99
PRIOR_ROWS = (100.0, 300.0, 1000.0, 3000.0, 10000.0)


@dataclass(frozen=True)
class Gain:
    """F1 of one way minus F1 of another on the same rows, with its interval and two-sided p-value."""

    value: float
    low: float
    high: float
    p_value: float

    @property
    def significant(self) -> bool:
        return self.low > 0

    def __str__(self) -> str:
        return f"{100 * self.value:+.2f} points [{100 * self.low:+.2f}, {100 * self.high:+.2f}]"


def f1_gain(
    labels: np.ndarray,
    predictions: np.ndarray,
    against: np.ndarray,
    groups: np.ndarray,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Gain:
    """How much F1 `predictions` gain over `against`, both 0/1 [n].

    The interval (95% by default) and the p-value are those of a paired bootstrap over `groups` int [n].
    """
    labels, predictions, against = (np.asarray(column, dtype=np.int64) for column in (labels, predictions, against))
    both = np.column_stack([counts(labels, predictions), counts(labels, against)])
    sums = resampled_sums(both, groups, resamples, seed)
    differences = f1_from_counts(*sums[:, :3].T) - f1_from_counts(*sums[:, 3:].T)
    value = f1_score(labels, predictions) - f1_score(labels, against)
    return Gain(value, *interval(differences, level), paired_p_value(differences))


def grouped_folds(groups: np.ndarray, folds: int = FOLDS, seed: int = 0) -> np.ndarray:
    """A fold from 0 up for each row, int64 [n]; rows of one group share theirs. `groups` int [n] from 0 up."""
    order = np.random.default_rng(seed).permutation(int(groups.max()) + 1)
    return order[groups] % folds


def single_thresholds(labels: np.ndarray, scores: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """float64 [n]: for each row the best single threshold of the rows outside its fold (`folds` int [n])."""
    thresholds = np.empty(len(labels))
    for fold in np.unique(folds):
        rows = folds == fold
        thresholds[rows] = best_threshold(labels[~rows], scores[~rows]).threshold
    return thresholds


@dataclass(frozen=True)
class RuleChoice:
    """The chosen rule, fitted on all rows, and what speaks for it.

    `f1` {rule: nested cross-validated F1}; `gain` of per-language thresholds over the single one (None with
    one language); `prior_rows` the strength of shrinkage that cross-validation would take; `thresholds`
    float64 [n] and `predictions` int8 [n] of the chosen rule, each row's set without its fold.
    """

    rule: ThresholdRule
    f1: dict[str, float]
    gain: Gain | None
    thresholds: np.ndarray
    predictions: np.ndarray
    prior_rows: float

    @property
    def why(self) -> str:
        if self.gain is None:
            return "single: one language only"
        verdict = "significant" if self.gain.significant else "not significant, so the simpler rule wins"
        return f"{self.rule.name}: thresholds per language change F1 by {self.gain}, which is {verdict}"


class _Nested:
    """Fits without one fold (outer) or without two (inner); a pair of folds serves both of its outer folds."""

    def __init__(self, labels: np.ndarray, scores: np.ndarray, languages: Sequence[str], folds: np.ndarray):
        self.labels, self.scores, self.folds = labels, scores, folds
        self.codes, self.names = pd.factorize(pd.Series(languages, dtype="str"), sort=True)
        self.numbers = range(int(folds.max()) + 1)

    @cached_property
    def shrunk(self) -> dict[frozenset[int], np.ndarray]:
        """Folds left out → thresholds float64 [priors, languages]; none, one and two are left out."""
        left_out = [frozenset(some) for size in (0, 1, 2) for some in combinations(self.numbers, size)]
        return {out: self._fit(out) for out in progress(left_out, what="thresholds by language", unit="fits")}

    def _fit(self, left_out: frozenset[int]) -> np.ndarray:
        rows = ~np.isin(self.folds, list(left_out))
        cuts = LanguageCuts(self.labels[rows], self.scores[rows], self.names[self.codes[rows]])
        fitted = np.array([cuts.shrunk(prior) for prior in PRIOR_ROWS])
        common = best_threshold(self.labels[rows], self.scores[rows]).threshold
        thresholds = np.full((len(PRIOR_ROWS), len(self.names)), common)  # a language may be absent from these rows
        thresholds[:, np.searchsorted(self.names, cuts.names)] = fitted
        return thresholds

    def best_prior(self, outer: frozenset[int]) -> int:
        """Index into PRIOR_ROWS with the best F1 over the folds that are not left out; among equals the strongest."""
        sums = np.zeros((len(PRIOR_ROWS), 3))
        for inner in set(self.numbers) - outer:
            rows = self.folds == inner
            thresholds = self.shrunk[outer | {inner}][:, self.codes[rows]]
            labels, predictions = self.labels[rows], self.scores[rows] >= thresholds
            sums += np.column_stack(
                [predictions @ labels, predictions.sum(axis=1), np.full(len(PRIOR_ROWS), labels.sum())]
            )
        return len(PRIOR_ROWS) - 1 - int(f1_from_counts(*sums.T)[::-1].argmax())

    def outer_thresholds(self) -> tuple[np.ndarray, np.ndarray]:
        """Thresholds [n] of the single and of the per-language rule, each row's set without its fold."""
        by_language = np.empty(len(self.labels))
        for fold in self.numbers:
            rows = self.folds == fold
            outer = frozenset([fold])
            by_language[rows] = self.shrunk[outer][self.best_prior(outer)][self.codes[rows]]
        return single_thresholds(self.labels, self.scores, self.folds), by_language


def choose_rule(
    labels: np.ndarray,
    scores: np.ndarray,
    languages: Sequence[str],
    groups: np.ndarray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> RuleChoice:
    """Choose between one threshold and one per language by nested cross-validation.

    `labels` [n] 0/1 and out-of-fold `scores` [n] in 0–1, `languages` [n], `groups` int [n] (rows of one query
    share a number). The strength of shrinkage is chosen within the inner folds. Raises UserError as
    `best_threshold` does.
    """
    labels, scores = np.asarray(labels, dtype=np.int64), np.asarray(scores)
    single = fit_single(labels, scores, languages)
    nested = _Nested(labels, scores, languages, grouped_folds(groups, seed=seed))
    thresholds = nested.outer_thresholds()
    predictions = [(scores >= each).astype(np.int8) for each in thresholds]
    gain = f1_gain(labels, *predictions[::-1], groups, level=CHOICE_LEVEL, resamples=resamples, seed=seed)
    taken = int(gain.significant)
    prior = PRIOR_ROWS[nested.best_prior(frozenset())]
    rules = (single, fit_per_language(labels, scores, languages, prior))
    f1 = {rule.name: f1_score(labels, each) for rule, each in zip(rules, predictions, strict=True)}
    return RuleChoice(rules[taken], f1, gain, thresholds[taken], predictions[taken], prior)


@dataclass(frozen=True)
class UnlabelledChoice:
    """What languages without labels get, found by leaving out each labelled language in turn.

    `by_language` has a row a language left out: `rows, f1_common, f1_matched_rate, f1_own` (its own best
    threshold, which nobody can know), `threshold_common, threshold_matched_rate`. `gain` of `matched_rate`,
    resampled by query; `gain_by_language` the same resampled by language, since the question is about new
    languages. Both are None where fewer than three languages have labels.
    """

    name: str
    by_language: pd.DataFrame
    gain: Gain | None
    gain_by_language: Gain | None


def choose_for_unlabelled(
    labels: np.ndarray,
    scores: np.ndarray,
    languages: Sequence[str],
    groups: np.ndarray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> UnlabelledChoice:
    """Choose between the common threshold and a matched rate for languages without labels; arguments as
    `choose_rule`.

    The scores are taken as given: where the model was fitted on the language left out, the figures are about
    thresholds only, and flatter the model. `matched_rate` wins only if its gain is significant by query and by
    language.
    """
    labels, scores = np.asarray(labels, dtype=np.int64), np.asarray(scores)
    codes, names = pd.factorize(pd.Series(languages, dtype="str"), sort=True)
    if len(names) < 3:
        return UnlabelledChoice(COMMON, pd.DataFrame(), None, None)
    thresholds = {COMMON: np.empty(len(names)), MATCHED_RATE: np.empty(len(names))}
    for code in range(len(names)):
        rows = codes == code
        others = best_threshold(labels[~rows], scores[~rows])
        thresholds[COMMON][code] = others.threshold
        thresholds[MATCHED_RATE][code] = matched_threshold(scores[rows], others.positive_rate)
    predictions = {name: (scores >= each[codes]).astype(np.int8) for name, each in thresholds.items()}
    pair = (predictions[MATCHED_RATE], predictions[COMMON])
    how = {"level": CHOICE_LEVEL, "resamples": resamples, "seed": seed}
    gains = [f1_gain(labels, *pair, units, **how) for units in (groups, codes)]
    name = MATCHED_RATE if all(gain.significant for gain in gains) else COMMON
    return UnlabelledChoice(name, _left_out_table(labels, scores, codes, names, thresholds), *gains)


def _left_out_table(labels, scores, codes, names, thresholds) -> pd.DataFrame:
    rows = []
    for code, language in enumerate(names):
        of = codes == code
        row = {
            "language": language,
            "rows": int(of.sum()),
            "f1_own": best_f1(labels[of], scores[of]),
        }
        for name, each in thresholds.items():
            row[f"f1_{name}"] = f1_score(labels[of], scores[of] >= each[code])
            row[f"threshold_{name}"] = each[code]
        rows.append(row)
    return pd.DataFrame(rows).set_index("language")


def with_unlabelled(choice: RuleChoice, unlabelled: UnlabelledChoice) -> ThresholdRule:
    """The rule to apply: the chosen one, with what was chosen for languages without labels."""
    return replace(choice.rule, unlabelled=unlabelled.name)


def threshold_intervals(
    labels: np.ndarray,
    scores: np.ndarray,
    languages: Sequence[str],
    groups: np.ndarray,
    *,
    prior_rows: float,
    resamples: int = 100,
    seed: int = 0,
) -> pd.DataFrame:
    """The shrunk threshold of each language with its interval: `threshold, low, high` (95%, resampled by query) and
    `rows`, one row a language. Arguments as `choose_rule`; `prior_rows` as `LanguageCuts.shrunk`."""
    cuts = LanguageCuts(labels, scores, languages)
    thresholds = cuts.shrunk(prior_rows)
    draws = (row for chunk in group_draws(int(groups.max()) + 1, resamples, seed) for row in chunk)
    drawn = []
    for draw in progress(draws, total=resamples, what="thresholds' intervals", unit="resamples"):
        cuts.count(draw[groups])
        drawn.append(cuts.shrunk(prior_rows))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    rows = pd.Series(languages).value_counts().reindex(cuts.names).to_numpy()
    columns = {"threshold": thresholds, "low": low, "high": high, "rows": rows}
    return pd.DataFrame(columns, index=pd.Index(cuts.names, name="language"))
