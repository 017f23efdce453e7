"""Rules that turn scores into 0/1, and the honest choice between them.

`single`: one threshold for all languages. `per_language_shrunk`: one for each language with labels, shrunk
toward the common one. A language without labels gets the common threshold, or (`matched_rate`) the one that
predicts as large a share of its rows relevant as the common threshold does in the labelled languages.

The competition's F1 is taken over all rows of a task, so thresholds by language are fitted for that F1
jointly, not for each language's own: at the best F1 = f, a row is worth 2·label − f, and each language takes
the cut where its worth is largest. Source of that step: Dinkelbach, On nonlinear fractional programming
(1967).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.decide.metrics import f1_from_counts
from competition_utils.decide.thresholds import best_threshold
from competition_utils.errors import UserError
from competition_utils.f1 import check_labels_and_scores, cut_points

SINGLE, PER_LANGUAGE = "single", "per_language_shrunk"
COMMON, MATCHED_RATE = "common", "matched_rate"
MAX_STEPS = 50  # Dinkelbach's steps; three or four are enough in practice


@dataclass(frozen=True)
class ThresholdRule:
    """A rule as data: what `rule.json` holds.

    `common` the threshold of all labelled rows together; `by_language` those of the labelled languages (all
    equal to `common` under `single`); `unlabelled` what other languages get; `positive_rate` the share of
    labelled rows that `common` predicts relevant; `prior_rows` how strongly thresholds were shrunk (None
    under `single`).
    """

    name: str
    common: float
    positive_rate: float
    by_language: Mapping[str, float] = field(default_factory=dict)
    unlabelled: str = COMMON
    prior_rows: float | None = None

    def thresholds(self, languages: Sequence[str], scores: np.ndarray) -> np.ndarray:
        """The threshold of each row: float64 [n]. `languages` [n], `scores` [n] in 0–1.

        Under `matched_rate` all rows of a language must be given at once, since they set its threshold.
        """
        codes, names = pd.factorize(pd.Series(languages, dtype="str"))
        return np.array([self._threshold(name, scores[codes == code]) for code, name in enumerate(names)])[codes]

    def _threshold(self, language: str, scores: np.ndarray) -> float:
        if language in self.by_language:
            return self.by_language[language]
        return matched_threshold(scores, self.positive_rate) if self.unlabelled == MATCHED_RATE else self.common

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def fit_single(labels: np.ndarray, scores: np.ndarray, languages: Sequence[str]) -> ThresholdRule:
    """The rule `single`: the exact best threshold of all rows. Raises UserError as `best_threshold` does."""
    best = best_threshold(labels, scores)
    by_language = dict.fromkeys(sorted(set(languages)), best.threshold)
    return ThresholdRule(SINGLE, best.threshold, best.positive_rate, by_language)


def matched_threshold(scores: np.ndarray, positive_rate: float) -> float:
    """The threshold that predicts the share of rows relevant nearest to `positive_rate` (0–1). `scores` [n] in 0–1."""
    last, thresholds = cut_points(np.sort(scores)[::-1])
    return float(thresholds[np.abs((last + 1) / len(scores) - positive_rate).argmin()])


class LanguageCuts:
    """The cut points of all scores together, with each language's counts above each cut.

    `names` [languages] sorted; `thresholds` float64 [cuts]; `hits` and `predicted` int32 [languages, cuts]:
    true positives and predicted positives. `rows` and `positives` count all rows.
    """

    def __init__(self, labels: np.ndarray, scores: np.ndarray, languages: Sequence[str]):
        labels, scores = check_labels_and_scores(labels, scores)
        codes, self.names = pd.factorize(pd.Series(languages, dtype="str"), sort=True)
        self._order = np.argsort(scores)[::-1]
        self._last, self.thresholds = cut_points(scores[self._order])
        self._belongs = codes[self._order] == np.arange(len(self.names))[:, None]
        self._labels = labels[self._order]
        self.count(np.ones(len(labels), dtype=np.int32))

    def count(self, weights: np.ndarray) -> None:
        """Count each row `weights` [n] times (int, in the order of the labels given), as a bootstrap sample does."""
        weights = weights[self._order].astype(np.int32)
        self.predicted = np.cumsum(self._belongs * weights, axis=1, dtype=np.int32)[:, self._last]
        self.hits = np.cumsum(self._belongs * (weights * self._labels), axis=1, dtype=np.int32)[:, self._last]
        self.rows, self.positives = int(weights.sum()), int(weights @ self._labels)

    def shrunk(self, prior_rows: float) -> np.ndarray:
        """float64 [languages]: thresholds with the best joint F1 when each language, beside its own rows, has
        `prior_rows` more that look like the rows of all languages together.

        With 0 every language stands alone; the more prior rows, the nearer all come to the common threshold;
        a language speaks against it as loudly as it has rows.
        """
        pooled_hits, pooled_predicted = self.hits.sum(axis=0), self.predicted.sum(axis=0)
        f1 = float(f1_from_counts(pooled_hits, pooled_predicted, np.int64(self.positives)).max())
        each = np.arange(len(self.names))
        for _ in range(MAX_STEPS):
            pooled_worth = (2 * pooled_hits - f1 * pooled_predicted) * (prior_rows / self.rows)
            cut = (2 * self.hits - f1 * self.predicted + pooled_worth).argmax(axis=1)
            hits, predicted = self.hits[each, cut].sum(), self.predicted[each, cut].sum()
            reached = float(f1_from_counts(hits, predicted, np.int64(self.positives)))
            if reached <= f1:
                break
            f1 = reached
        return self.thresholds[cut]


def fit_per_language(
    labels: np.ndarray, scores: np.ndarray, languages: Sequence[str], prior_rows: float
) -> ThresholdRule:
    """The rule `per_language_shrunk` with a given strength of shrinkage (see `LanguageCuts.shrunk`)."""
    single = best_threshold(labels, scores)
    cuts = LanguageCuts(labels, scores, languages)
    by_language = dict(zip(cuts.names.tolist(), cuts.shrunk(prior_rows).tolist(), strict=True))
    return ThresholdRule(PER_LANGUAGE, single.threshold, single.positive_rate, by_language, prior_rows=prior_rows)


def rule_from_dict(value: Mapping[str, Any]) -> ThresholdRule:
    """A rule that `as_dict` wrote. Raises UserError for names it does not know."""
    known = value.get("name") in (SINGLE, PER_LANGUAGE) and value.get("unlabelled") in (COMMON, MATCHED_RATE)
    if not known:
        raise UserError(
            f"threshold rule: expected name {SINGLE} or {PER_LANGUAGE} and unlabelled {COMMON} or "
            f"{MATCHED_RATE}, found {value.get('name')!r} and {value.get('unlabelled')!r}."
        )
    return ThresholdRule(**value)


def apply_rule(scores: pd.DataFrame, rule: ThresholdRule) -> pd.DataFrame:
    """The decisions table: `id, language, split, score, threshold, prediction` (int8 0/1), in the order of
    `scores`.

    Give all rows of dev and test together: they share what `matched_rate` sees of a language.
    """
    decisions = scores[["id", "language", "split", "score"]].reset_index(drop=True)
    decisions["threshold"] = rule.thresholds(decisions["language"], decisions["score"].to_numpy())
    return decisions.assign(prediction=(decisions["score"] >= decisions["threshold"]).astype("int8"))
