"""The scoring engine: identical pairs once, sorted by length, batches by token budget, results in the given order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from competition_utils.models.batching import TokenisedPairs, batches_by_budget
from competition_utils.progress import progress

Forward = Callable[[dict[str, np.ndarray]], np.ndarray]
SMALLEST_BUDGET = 512


def score_tokenised(tokens: TokenisedPairs, forward: Forward, token_budget: int) -> np.ndarray:
    """float32 [n] scores in the order of `tokens`; `forward` maps a padded batch to one score a row.

    A batch that does not fit into the GPU's memory halves the budget for itself and all that follow: the longest
    rows come first, so the largest budget that fits is found in the first batches. Raises FloatingPointError for
    a score that is not finite.
    """
    lengths = tokens.lengths
    scores = np.empty(len(lengths), dtype=np.float32)
    waiting = batches_by_budget(lengths, token_budget)[::-1]
    with progress(total=len(scores), what="scoring", unit="pairs") as bar:
        while waiting:
            rows = waiting.pop()
            try:
                scores[rows] = forward(tokens.padded(rows))
            except torch.cuda.OutOfMemoryError:
                if token_budget <= SMALLEST_BUDGET:
                    raise
                token_budget //= 2
                rest = np.concatenate([rows, *waiting[::-1]])
                waiting = [rest[batch] for batch in batches_by_budget(lengths[rest], token_budget)][::-1]
                continue
            bar.update(len(rows))
    if not np.isfinite(scores).all():
        raise FloatingPointError(f"{(~np.isfinite(scores)).sum():,} of {len(scores):,} pairs have no finite score")
    return scores


def score_unique(
    first: pd.Series, second: pd.Series, score: Callable[[pd.Series, pd.Series], np.ndarray]
) -> np.ndarray:
    """Score each different pair of texts once and hand its score to all rows that hold it."""
    pairs = pd.DataFrame({"first": first.to_numpy(), "second": second.to_numpy()})
    group = pairs.groupby(["first", "second"], sort=False).ngroup().to_numpy()
    unique = pairs.iloc[np.unique(group, return_index=True)[1]]
    return score(unique["first"], unique["second"])[group]
