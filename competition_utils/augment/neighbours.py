"""Nearest neighbours by cosine, through FAISS: every pair of a few targets, an inverted file of many."""

from __future__ import annotations

import numpy as np

EXACT_BELOW = 20_000  # targets


def nearest(queries: np.ndarray, targets: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines [n, k], falling, and places [n, k] of the k = min(most, targets) most similar targets of each query.

    Both inputs are float32 [·, d] of length 1. Where an inverted file finds fewer, the places that are left hold
    target 0 with a cosine far below −1.
    """
    import faiss

    index = faiss.IndexFlatIP(targets.shape[1])
    if len(targets) > EXACT_BELOW:
        lists = int(4 * np.sqrt(len(targets)))
        index = faiss.IndexIVFFlat(index, targets.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
        index.train(targets[: 40 * lists])
        index.nprobe = max(lists // 32, 8)
    index.add(targets)
    close, places = index.search(queries, min(most, len(targets)))
    return close, np.maximum(places, 0)
