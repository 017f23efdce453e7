"""Bootstrap by query: rows of one query rise and fall together, so queries are drawn, not rows.

Counts add up, so a resample needs no rows: counts are summed by query once, and a resample is one row of a
matrix product (how often each query was drawn × its counts). 1,000 resamples of 100,000 rows take about a
second. Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapters 8, 13 and 16; cluster
bootstrap.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

RESAMPLES = 1000
CHUNK_CELLS = 4_000_000  # draws held in memory at a time


def query_groups(queries: pd.Series) -> np.ndarray:
    """int64 [n]: rows with the same query, but for case and outer blanks, share a number from 0 up."""
    return pd.factorize(queries.str.strip().str.casefold())[0].astype(np.int64)


def group_draws(groups: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each group was drawn: float64 [chunk, groups] arrays, `resamples` rows in all."""
    rng = np.random.default_rng(seed)
    chunk = max(1, min(resamples, CHUNK_CELLS // groups))
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        picks = rng.integers(0, groups, size=(rows, groups)) + np.arange(rows)[:, None] * groups
        yield np.bincount(picks.ravel(), minlength=rows * groups).reshape(rows, groups).astype(np.float64)


def resampled_sums(values: np.ndarray, groups: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Sums of the columns of `values` [n, k] over `resamples` bootstrap samples of the groups: float64
    [resamples, k].

    `groups` int [n] from 0 up. All columns share the draws, so differences between columns are paired.
    """
    size = int(groups.max()) + 1
    totals = np.column_stack([np.bincount(groups, weights=column, minlength=size) for column in values.T])
    return np.concatenate([draws @ totals for draws in group_draws(size, resamples, seed)])


def resampled_auc(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """AUC over the bootstrap samples that `resampled_sums` draws from the same seed: float64 [resamples].

    `labels` 0/1, `scores`, `groups` int from 0 up, all [n]; NaN where a sample has one class only. A row counts as
    often as its group was drawn. AUC is the share of pairs of a relevant and another row that are in order, ties
    half (Mann & Whitney 1947): with the scores sorted once, a sample takes one running sum over the other rows.
    """
    order = np.argsort(scores, kind="stable")
    relevant, other = order[labels[order] == 1], order[labels[order] != 1]
    below, up_to = (np.searchsorted(scores[other], scores[relevant], side=side) for side in ("left", "right"))
    of_relevant, of_other = groups[relevant], groups[other]
    running = np.zeros(len(other) + 1)
    aucs = []
    for draws in group_draws(int(groups.max()) + 1, resamples, seed):
        for drawn in draws:
            np.cumsum(drawn[of_other], out=running[1:])
            weights = drawn[of_relevant]
            pairs = weights.sum() * running[-1]
            aucs.append(weights @ (running[below] + running[up_to]) / (2 * pairs) if pairs else np.nan)
    return np.array(aucs)


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval of resampled values [resamples], of which NaN are left out."""
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_p_value(differences: np.ndarray) -> float:
    """Two-sided bootstrap p-value of "no difference", from resampled differences [resamples]; never 0."""
    below, above = (differences <= 0).sum(), (differences >= 0).sum()
    return float(min(1.0, 2 * (min(below, above) + 1) / (len(differences) + 1)))
