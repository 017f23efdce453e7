"""Nearest neighbours: exact of a few targets; of many, most of the true ones."""

from __future__ import annotations

import numpy as np
import pytest

from competition_utils.augment import neighbours
from competition_utils.augment.neighbours import nearest


def clustered(rows, seed, clusters=40, dimensions=24):
    """Unit vectors around common centres, as the embeddings of products lie."""
    centres = np.random.default_rng(0).normal(size=(clusters, dimensions))
    rng = np.random.default_rng(seed)
    vectors = centres[rng.integers(clusters, size=rows)] + 0.6 * rng.normal(size=(rows, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_of_a_few_targets_the_nearest_are_exact_and_come_with_their_cosines():
    queries, targets = clustered(30, 1), clustered(500, 2)
    close, places = nearest(queries, targets, 7)
    cosines = queries @ targets.T
    np.testing.assert_array_equal(places, np.argsort(-cosines, axis=1)[:, :7])
    np.testing.assert_allclose(close, np.take_along_axis(cosines, places, axis=1), atol=1e-6)


def test_of_many_targets_most_of_the_true_nearest_are_found(monkeypatch):
    queries, targets = clustered(100, 1), clustered(6000, 2)
    _, exact = nearest(queries, targets, 48)
    monkeypatch.setattr(neighbours, "EXACT_BELOW", 1000)
    close, found = nearest(queries, targets, 48)
    recall = np.mean([len(set(a) & set(b)) / 48 for a, b in zip(exact, found, strict=True)])
    assert recall > 0.8
    np.testing.assert_allclose(close, np.take_along_axis(queries @ targets.T, found, axis=1), atol=1e-5)


@pytest.mark.parametrize("targets", [1, 3])
def test_there_are_no_more_neighbours_than_targets(targets):
    _, places = nearest(clustered(5, 1), clustered(targets, 2), 48)
    assert sorted(places[0]) == list(range(targets))
