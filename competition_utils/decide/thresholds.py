"""The threshold at the top of the exact F1 curve.

Warning: a threshold tuned on rows that the model was fitted on, or measured on the rows it was tuned on, is
too good to be true. Tune on out-of-fold scores, measure elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from competition_utils.errors import UserError
from competition_utils.f1 import f1_curve


@dataclass(frozen=True)
class ThresholdResult:
    """The best cut point: `threshold` and its F1, precision and recall, all in 0–1, on the rows it was tuned
    on.

    `positive_rate` is the share of those rows that it predicts relevant.
    """

    threshold: float
    f1: float
    precision: float
    recall: float
    positive_rate: float


def best_threshold(labels: ArrayLike, scores: ArrayLike) -> ThresholdResult:
    """The threshold with the highest F1; among equals the highest threshold.

    `labels` [n] 0/1, `scores` [n] in 0–1. Raises UserError as `check_labels_and_scores` does, and for
    constant scores (one row is a constant too): any threshold would do for them, so none means anything.
    """
    curve = f1_curve(labels, scores)
    if len(curve.thresholds) == 1:
        raise UserError(
            f"scores: expected values that differ, found {float(np.asarray(scores)[0])} in all "
            f"{curve.predicted_positives[0]:,} rows. The model has learnt nothing, or was not fitted: "
            f"look at the figures of stage finetune."
        )
    best = int(curve.f1.argmax())
    return ThresholdResult(
        threshold=float(curve.thresholds[best]),
        f1=float(curve.f1[best]),
        precision=float(curve.precision[best]),
        recall=float(curve.recall[best]),
        positive_rate=float(curve.predicted_positives[best] / curve.predicted_positives[-1]),
    )
