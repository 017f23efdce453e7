"""Calibration: make a score of 0.8 mean that 80 of 100 such rows are relevant, without changing the ranking.

Every method is monotone, so rows keep their order but for ties. Figures are cross-fitted: a row's calibrated
score comes from rows of other queries.

Sources: Platt (1999); Zadrozny & Elkan (2002), isotonic; Kull, Silva Filho & Flach (2017), beta; Guo et al.
(2017), temperature; Nguyen & O'Connor (2015), bins of equal mass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score

from competition_utils.decide.resample import RESAMPLES, interval, resampled_sums
from competition_utils.decide.selection import grouped_folds
from competition_utils.errors import UserError
from competition_utils.f1 import check_labels_and_scores

EDGE = 1e-6  # scores are kept this far from 0 and 1 before a logarithm is taken
ROWS_FOR_A_LANGUAGE = 1000
BINS = 15
Calibrator = Callable[[np.ndarray], np.ndarray]  # scores [n] in 0–1 → probabilities float64 [n] in 0–1


def _inside(scores: np.ndarray) -> np.ndarray:
    return np.clip(np.asarray(scores, dtype=np.float64), EDGE, 1 - EDGE)


def _rising_logistic(labels: np.ndarray, features: Callable[[np.ndarray], np.ndarray], scores) -> Calibrator:
    """Logistic regression on features that rise with the score, each weight ≥ 0: a feature with a negative
    one is left out (Kull et al., section 4.1), so that the ranking is never turned round."""
    inputs = features(_inside(scores))
    kept = np.ones(inputs.shape[1], dtype=bool)
    while kept.any():
        model = LogisticRegression(C=np.inf).fit(inputs[:, kept], labels)
        falling = model.coef_[0] < 0
        if not falling.any():
            return lambda some: model.predict_proba(features(_inside(some))[:, kept])[:, 1]
        kept[np.flatnonzero(kept)[falling]] = False
    rate = float(np.mean(labels))
    return lambda some: np.full(len(some), rate)


def _platt(labels: np.ndarray, scores: np.ndarray) -> Calibrator:
    return _rising_logistic(labels, lambda some: logit(some)[:, None], scores)


def _beta(labels: np.ndarray, scores: np.ndarray) -> Calibrator:
    return _rising_logistic(labels, lambda some: np.column_stack([np.log(some), -np.log1p(-some)]), scores)


def _temperature(labels: np.ndarray, scores: np.ndarray) -> Calibrator:
    log_odds = logit(_inside(scores))

    def log_loss(log_temperature: float) -> float:
        scaled = log_odds * np.exp(-log_temperature)
        return float(np.logaddexp(0, np.where(labels == 1, -scaled, scaled)).mean())

    temperature = np.exp(minimize_scalar(log_loss, bounds=(-4, 4), method="bounded").x)
    return lambda some: expit(logit(_inside(some)) / temperature)


def _isotonic(labels: np.ndarray, scores: np.ndarray) -> Calibrator:
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    return model.fit(np.asarray(scores, dtype=np.float64), labels).predict


FITS = {"platt": _platt, "isotonic": _isotonic, "beta": _beta, "temperature": _temperature}


def fit_calibrator(method: str, labels: np.ndarray, scores: np.ndarray) -> Calibrator:
    """A function from scores to probabilities. `labels` [n] 0/1 of both kinds, `scores` [n] in 0–1.

    Raises UserError for an unknown method, labels of one kind only, and what `check_labels_and_scores`
    refuses.
    """
    if method not in FITS:
        raise UserError(f"calibration: expected one of {', '.join(FITS)}, found {method!r}.")
    labels, scores = check_labels_and_scores(labels, scores)
    if labels.min() == labels.max():
        raise UserError(f"calibration: expected labels of both kinds, found {labels[0]} in all {len(labels):,} rows.")
    return FITS[method](labels, scores)


def fit_by_language(
    method: str, labels: np.ndarray, scores: np.ndarray, languages: Sequence[str]
) -> Callable[[np.ndarray, Sequence[str]], np.ndarray]:
    """A function from scores and languages to probabilities: one calibrator for each language with at least
    ROWS_FOR_A_LANGUAGE rows and labels of both kinds, the common one for all other languages. It ranks within a
    language as before, but moves languages against each other."""
    labels, scores, languages = np.asarray(labels), np.asarray(scores), np.asarray(languages)
    common, own = fit_calibrator(method, labels, scores), {}
    for language in np.unique(languages):
        rows = languages == language
        if rows.sum() >= ROWS_FOR_A_LANGUAGE and 0 < labels[rows].sum() < rows.sum():
            own[language] = fit_calibrator(method, labels[rows], scores[rows])

    def apply(some: np.ndarray, of: Sequence[str]) -> np.ndarray:
        of, result = np.asarray(of), common(some)
        for language, calibrator in own.items():
            if (rows := of == language).any():
                result[rows] = calibrator(some[rows])
        return result

    return apply


def cross_fitted(
    method: str,
    labels: np.ndarray,
    scores: np.ndarray,
    folds: np.ndarray,
    languages: Sequence[str] | None = None,
) -> np.ndarray:
    """Calibrated scores float64 [n], each from a calibrator fitted without the row's fold (`folds` int [n]).

    With `languages` [n], one calibrator a language where it has enough rows.
    """
    labels, scores, result = np.asarray(labels), np.asarray(scores), np.empty(len(scores))
    names = np.full(len(scores), "") if languages is None else np.asarray(languages)
    for fold in np.unique(folds):
        out = folds == fold
        if languages is None:
            result[out] = fit_calibrator(method, labels[~out], scores[~out])(scores[out])
        else:
            result[out] = fit_by_language(method, labels[~out], scores[~out], names[~out])(scores[out], names[out])
    return result


def equal_mass_bins(scores: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin of each row, int64 [n] from 0 up: as many rows in each as ties allow (equal scores share a bin)."""
    ranks = pd.Series(scores).rank(method="min").to_numpy() - 1
    return pd.factorize((ranks * bins / len(scores)).astype(np.int64), sort=True)[0]


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> float:
    """Mean distance, over bins of equal mass, between the mean probability and the share of relevant rows; 0–1."""
    table = reliability(labels, probabilities, bins)
    return float(np.average((table["score"] - table["positive_rate"]).abs(), weights=table["rows"]))


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """One row a bin of equal mass: `score` (mean), `positive_rate`, `rows`."""
    rows = pd.DataFrame({"score": probabilities, "positive_rate": labels}).astype("float64")
    grouped = rows.groupby(equal_mass_bins(probabilities, bins))
    return grouped.mean().assign(rows=grouped.size())


def reliability_intervals(
    labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, bins: int = BINS
) -> pd.DataFrame:
    """`reliability`'s table with `low` and `high`: 95% intervals of the positive rate, resampled by query."""
    table = reliability(labels, probabilities, bins)
    own = equal_mass_bins(probabilities, bins)[:, None] == np.arange(len(table))
    sums = resampled_sums(np.hstack([own, own & (np.asarray(labels) == 1)[:, None]]), groups, RESAMPLES // 2)
    with np.errstate(invalid="ignore"):
        rates = sums[:, len(table) :] / sums[:, : len(table)]
    low, high = zip(*(interval(rate[np.isfinite(rate)]) for rate in rates.T), strict=True)
    return table.assign(low=low, high=high)


@dataclass(frozen=True)
class CalibrationReport:
    """`table`: one row a way ("none", "platt", …, "platt by language", …) with `ece, brier, auc`, best Brier
    score first; `scores` {way: calibrated scores float64 [n]}, each row's fitted without its fold; `before`
    and `after`: reliability, with intervals, of the scores as they came and of the best method."""

    table: pd.DataFrame
    scores: dict[str, np.ndarray]
    before: pd.DataFrame
    after: pd.DataFrame

    @property
    def best(self) -> str:
        """The best method; the table shows whether it beats the scores as they came."""
        return _best(self.table)


def _best(table: pd.DataFrame) -> str:
    return str(table.index.drop("none")[0])


def compare_calibrations(
    labels: np.ndarray, scores: np.ndarray, languages: Sequence[str], groups: np.ndarray, *, seed: int = 0
) -> CalibrationReport:
    """All methods side by side, per task and per language, cross-fitted over folds of queries.

    `labels` [n] 0/1, `scores` [n] in 0–1, `languages` [n], `groups` int [n]: rows of one query share a
    number. Ways per language are left out where no language has ROWS_FOR_A_LANGUAGE rows.
    """
    labels, scores = check_labels_and_scores(labels, scores)
    folds = grouped_folds(groups, seed=seed)
    ways = {"none": scores.astype(np.float64)}
    for method in FITS:
        ways[method] = cross_fitted(method, labels, scores, folds)
        if pd.Series(languages).value_counts().max() >= ROWS_FOR_A_LANGUAGE:
            ways[f"{method} by language"] = cross_fitted(method, labels, scores, folds, languages)
    figures = {way: _figures(labels, each) for way, each in ways.items()}
    table = pd.DataFrame(figures).T.sort_values("brier", kind="stable")
    before, after = (reliability_intervals(labels, ways[way], groups) for way in ("none", _best(table)))
    return CalibrationReport(table, ways, before, after)


def _figures(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    return {
        "ece": expected_calibration_error(labels, probabilities),
        "brier": float(brier_score_loss(labels, probabilities)),
        "auc": float(roc_auc_score(labels, probabilities)),
    }
