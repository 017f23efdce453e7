"""The exact F1 curve over all cut points, for the validation figures of a fit and for thresholds.

A row is predicted relevant where `score >= threshold`. F1 only changes at the distinct scores, so one sort
and two cumulative sums give every value it can take: O(n log n), nothing binned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from competition_utils.errors import UserError


@dataclass(frozen=True)
class F1Curve:
    """What each cut point gives, highest threshold first.

    `thresholds` float64 [cuts], strictly falling; `true_positives` and `predicted_positives` int64 [cuts];
    `positives` the number of relevant rows.
    """

    thresholds: np.ndarray
    true_positives: np.ndarray
    predicted_positives: np.ndarray
    positives: int

    @property
    def precision(self) -> np.ndarray:
        return self.true_positives / self.predicted_positives

    @property
    def recall(self) -> np.ndarray:
        """All 0 where no row is relevant."""
        return self.true_positives / max(self.positives, 1)

    @property
    def f1(self) -> np.ndarray:
        return 2 * self.true_positives / (self.predicted_positives + self.positives)


def check_labels_and_scores(labels: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Labels as int8 and scores as they came, both [n], n ≥ 1.

    Raises UserError for lengths that differ, no rows, labels other than 0 and 1, scores that are missing, not
    finite or outside 0–1.
    """
    labels, scores = np.asarray(labels), np.asarray(scores)
    if labels.ndim != 1 or labels.shape != scores.shape or len(labels) == 0:
        raise UserError(
            f"labels and scores: expected two columns of one length, at least one row, "
            f"found {labels.shape} and {scores.shape}."
        )
    _check_scores(scores)
    strange = ~np.isin(labels, (0, 1))
    if strange.any():
        raise UserError(
            f"labels: expected 0 or 1, found {labels[strange][0]!r} in row {strange.argmax()} "
            f"({strange.sum():,} such rows). Leave unlabelled rows out."
        )
    return labels.astype(np.int8), scores


def _check_scores(scores: np.ndarray) -> None:
    if scores.dtype.kind != "f":
        raise UserError(f"scores: expected floating-point numbers from 0 to 1, found {scores.dtype}.")
    outside = ~((scores >= 0) & (scores <= 1))  # also true for NaN
    if outside.any():
        raise UserError(
            f"scores: expected finite numbers from 0 to 1, found {scores[outside][0]} in row "
            f"{outside.argmax()} ({outside.sum():,} such rows). "
            f"Score the rows again: a missing score is never a 0."
        )


def cut_points(falling_scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a cut can fall in scores sorted from high to low.

    Gives `last` int64 [cuts], the index of the last row above each cut, and `thresholds` float64 [cuts],
    midway to the next lower distinct score (for the last cut, midway to 0), so that the noise of another
    machine's floats flips no row.
    """
    scores = falling_scores.astype(np.float64)
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    above = scores[last]
    below = np.append(scores[last[:-1] + 1], 0.0)
    middle = below + (above - below) / 2
    return last, np.where(middle > below, middle, above)  # neighbouring floats have nothing between them


def f1_curve(labels: ArrayLike, scores: ArrayLike) -> F1Curve:
    """The F1 of every cut point that the scores allow, each with at least one row predicted relevant.

    `labels` [n] 0/1, `scores` [n] in 0–1. Raises UserError as `check_labels_and_scores` does.
    """
    labels, scores = check_labels_and_scores(labels, scores)
    order = np.argsort(scores)[::-1]
    last, thresholds = cut_points(scores[order])
    true_positives = np.cumsum(labels[order], dtype=np.int64)
    return F1Curve(thresholds, true_positives[last], last + 1, int(true_positives[-1]))


def best_f1(labels: ArrayLike, scores: ArrayLike) -> float:
    """The largest F1 of the relevant class over all thresholds; 0 where no row is relevant.

    `labels` [n] 0/1, `scores` [n] in 0–1. Raises UserError as `check_labels_and_scores` does.
    """
    return float(f1_curve(labels, scores).f1.max())
