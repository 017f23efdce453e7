"""Embeddings with the MiniLM that a package carries."""

from __future__ import annotations

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers

from competition_utils.errors import UserError
from competition_utils.models import embeddings
from competition_utils.models.embeddings import embed


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


def test_vectors_are_those_that_the_model_itself_gives(monkeypatch):
    monkeypatch.setattr(embeddings, "TOKENS_A_BATCH", 40)
    monkeypatch.setattr(embeddings, "TOKENISED_TOGETHER", 7)
    texts = [f"{'red ' * (number % 5)}evening dress {number} ชุดราตรี" for number in range(20)]
    own = embeddings._load(embeddings.MINILM).encode(texts, normalize_embeddings=True, show_progress_bar=False)
    # bfloat16, where the processor has it, rounds by the company that a text is computed in.
    np.testing.assert_allclose(embed(texts), own, atol=0.02)


def test_a_model_that_is_a_table_of_word_vectors_serves_too(tmp_path):
    words = Tokenizer(models.WordLevel({"<unk>": 0, "red": 1, "dress": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    table = np.array([[1, 1, 1], [3, 0, 0], [0, 4, 0]], dtype=np.float32)
    SentenceTransformer(modules=[StaticEmbedding(words, embedding_weights=table)], device="cpu").save(str(tmp_path))
    np.testing.assert_allclose(embed(["red", "dress", "red"], str(tmp_path)), [[1, 0, 0], [0, 1, 0], [1, 0, 0]])
    embeddings._load.cache_clear()


def test_queries_and_documents_get_the_prompts_that_the_model_names(tmp_path):
    words = Tokenizer(models.WordLevel({"<unk>": 0, "find": 1, "about": 2, "red": 3}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    table = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=np.float32)
    prompts = {"query": "find ", "document": "about "}
    tables = [StaticEmbedding(words, embedding_weights=table)]
    SentenceTransformer(modules=tables, device="cpu", prompts=prompts).save(str(tmp_path))
    np.testing.assert_allclose(embed(["red"], str(tmp_path)), [[1, 0, 0]])
    np.testing.assert_allclose(embed(["red"], str(tmp_path), kind="document"), [[0, 1, 0]])
    embeddings._load.cache_clear()


def test_no_texts_give_no_vectors():
    assert embed([]).shape == (0, 384)


def test_a_model_that_cannot_be_had_is_reported_in_one_line(tmp_path):
    with pytest.raises(UserError, match="no-such-model"):
        embed(["x"], str(tmp_path / "no-such-model"))
    embeddings._load.cache_clear()
