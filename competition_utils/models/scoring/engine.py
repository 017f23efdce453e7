"""The scoring engine of encoders and decoders: identical pairs once, sorted by length, batches by token budget,
results in the given order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import torch

from competition_utils.models.scoring.batching import batches_by_budget
from competition_utils.progress import progress

Forward = Callable[[dict[str, np.ndarray]], np.ndarray]


class Tokenised(Protocol):
    """Tokens of n inputs, still unpadded: `TokenisedPairs` of an encoder, `TokenisedPrompts` of a decoder."""

    @property
    def lengths(self) -> np.ndarray: ...

    def padded(self, rows: np.ndarray) -> dict[str, np.ndarray]: ...


@dataclass
class TokenBudget:
    """How many tokens a batch may hold, padding included.

    A batch that does not fit into the GPU's memory halves it for good. The longest rows come first, so the budget
    that fits is found in the first batches of the first call, and holds for all that follow.
    """

    tokens: int
    SMALLEST = 512

    def halve(self) -> bool:
        """Whether there was something left to halve."""
        if self.tokens <= self.SMALLEST:
            return False
        self.tokens //= 2
        return True


def score_tokenised(
    tokens: Tokenised,
    forward: Forward,
    budget: TokenBudget,
    *,
    share: tuple[int, int] = (0, 1),
    in_step: bool = False,
) -> np.ndarray:
    """float32 [n] scores in the order of `tokens`; `forward` maps a padded batch to one score a row.

    `share` = (k, n) scores every n-th row by length only and leaves 0 elsewhere, so that the results of n processes
    add up. `in_step` makes every process take the same number of steps, which a model in shards needs; there a batch
    that does not fit is an error. Raises FloatingPointError for a score that is not finite.
    """
    rank, processes = share
    order = np.argsort(-tokens.lengths, kind="stable")
    own = order[rank::processes]
    scores = np.zeros(len(order), dtype=np.float32)
    steps = _most_steps(tokens.lengths, order, budget, processes) if in_step else 0
    waiting = _cut(tokens.lengths, own, budget)
    with progress(total=len(own), what="scoring", unit="pairs") as bar:
        while waiting:
            rows = waiting.pop()
            try:
                scores[rows] = forward(tokens.padded(rows))
            except torch.cuda.OutOfMemoryError:
                if in_step or not budget.halve():
                    raise
                torch.cuda.empty_cache()
                waiting = _cut(tokens.lengths, np.concatenate([rows, *waiting[::-1]]), budget)
                continue
            bar.update(len(rows))
            steps -= 1
        for _ in range(steps):  # only to keep step: this process has nothing left, another has
            forward(tokens.padded(order[:1]))
    if not np.isfinite(scores).all():
        raise FloatingPointError(f"{(~np.isfinite(scores)).sum():,} of {len(own):,} pairs have no finite score")
    return scores


def _cut(lengths: np.ndarray, rows: np.ndarray, budget: TokenBudget) -> list[np.ndarray]:
    """`rows` in batches, the one with the longest rows last."""
    return [rows[batch] for batch in batches_by_budget(lengths[rows], budget.tokens)][::-1]


def _most_steps(lengths: np.ndarray, order: np.ndarray, budget: TokenBudget, processes: int) -> int:
    return max(len(_cut(lengths, order[rank::processes], budget)) for rank in range(processes))


def score_unique(pairs: pd.DataFrame, score: Callable[[pd.DataFrame], np.ndarray]) -> np.ndarray:
    """Score each different row of `pairs` once and hand its score to all rows that are like it."""
    group = pairs.groupby(list(pairs), sort=False, dropna=False).ngroup().to_numpy()
    return score(pairs.iloc[np.unique(group, return_index=True)[1]])[group]
