"""The scoring engine: identical pairs once, sorted by length, batches by token budget, results in the given order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from competition_utils.models.batching import TokenisedPairs, batches_by_budget
from competition_utils.progress import progress

Forward = Callable[[dict[str, np.ndarray]], np.ndarray]


def score_tokenised(tokens: TokenisedPairs, forward: Forward, token_budget: int) -> np.ndarray:
    """float32 [n] scores in the order of `tokens`; `forward` maps a padded batch to one score a row."""
    lengths = tokens.lengths
    scores = np.full(len(lengths), np.nan, dtype=np.float32)
    with progress(total=len(lengths), what="scoring", unit="pairs") as bar:
        for rows in batches_by_budget(lengths, token_budget):
            scores[rows] = forward(tokens.padded(rows))
            bar.update(len(rows))
    if not np.isfinite(scores).all():
        raise FloatingPointError(f"{np.isnan(scores).sum():,} of {len(scores):,} pairs have no finite score")
    return scores


def score_unique(first: pd.Series, second: pd.Series, score: Callable[[pd.Series, pd.Series], np.ndarray]):
    """Score each different pair of texts once and hand its score to all rows that hold it."""
    pairs = pd.DataFrame({"first": first.to_numpy(), "second": second.to_numpy()})
    group = pairs.groupby(["first", "second"], sort=False).ngroup().to_numpy()
    unique = pairs.iloc[np.unique(group, return_index=True)[1]]
    return score(unique["first"], unique["second"])[group]
