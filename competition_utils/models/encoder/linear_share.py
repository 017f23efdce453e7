"""Linear models that have a share in an encoder's scores.

An encoder reads a hint as text; a linear model weighs each hint and each pair of words on its own, and makes other
mistakes (docs/LOG.md). It is fitted in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from competition_utils.models.linear import LinearModel

FOLDER = "linear"  # within the model's own
EDGE = 1e-6  # scores are cut to it before a logit


class LinearShare:
    """`models` by task; pairs of a task that has none keep the encoder's score."""

    def __init__(self, models: Mapping[str, LinearModel]):
        self.models = models

    @classmethod
    def fitted(cls, train: pd.DataFrame, valid: pd.DataFrame, *, work_dir: Path, seed: int) -> LinearShare:
        """A model for each task of `valid`, on its rows of `train`."""
        models = {}
        for task, held in valid.groupby("task"):
            models[str(task)] = LinearModel()
            models[str(task)].fit(train[train["task"] == task], held, work_dir=work_dir, seed=seed)
        return cls(models)

    def mixed(self, scores: np.ndarray, pairs: pd.DataFrame, share: float) -> np.ndarray:
        """float32 [n] in 0–1: the logits of `scores` and of the linear models, weighted 1 − `share` and `share`."""
        mixed = scores.astype(np.float32)
        for task, model in self.models.items():
            rows = (pairs["task"] == task).to_numpy()
            if not rows.any():
                continue
            both = np.array([scores[rows], model.score(pairs[rows])], dtype=np.float64)
            mixed[rows] = expit(np.array([1 - share, share]) @ logit(np.clip(both, EDGE, 1 - EDGE)))
        return mixed

    def save(self, folder: Path) -> None:
        for task, model in self.models.items():
            own = Path(folder) / FOLDER / task
            own.mkdir(parents=True, exist_ok=True)
            model.save(own)

    @classmethod
    def load(cls, folder: Path) -> LinearShare:
        """What `save` wrote; without models where there is nothing."""
        saved = (Path(folder) / FOLDER).glob("*/model.json")
        return cls({each.parent.name: LinearModel.load(each.parent) for each in sorted(saved)})
