"""Embeddings with the MiniLM that a package carries."""

from __future__ import annotations

import numpy as np
import pytest

from competition_utils.augment import embeddings
from competition_utils.augment.embeddings import embed
from competition_utils.errors import UserError


def test_vectors_have_length_one_and_near_meanings_are_near():
    vectors = embed(["red evening dress", "lawn mower blade", "evening gown in red", "red evening dress"])
    assert vectors.shape == (4, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert vectors[0] @ vectors[2] > 0.7 > 0.4 > vectors[0] @ vectors[1]
    assert (vectors[0] == vectors[3]).all()


def test_batches_cover_every_text_once(monkeypatch):
    monkeypatch.setattr(embeddings, "TOKENS_A_BATCH", 50)
    slices = embeddings._batches(np.array([130, 60, 60, 10, 3, 3, 3, 0]))
    assert [row for part in slices for row in range(part.start, part.stop)] == list(range(8))


def test_no_texts_give_no_vectors():
    assert embed([]).shape == (0, 384)


def test_a_model_that_cannot_be_had_is_told_in_one_line(tmp_path):
    with pytest.raises(UserError, match="no-such-model"):
        embed(["x"], str(tmp_path / "no-such-model"))
    embeddings._load.cache_clear()
