"""Vectors of texts by their letters, fitted on a small lexicon."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from competition_utils.category_tree import ngrams as module
from competition_utils.category_tree.ngrams import NgramVectors, ngrams
from competition_utils.errors import UserError

LEXICON = {
    "hund": "dog",
    "hundebett": "dog bed",
    "katzenbett": "cat bed",
    "halsband": "collar",
    "katze": "cat",
    "leine": "leash",
    "lampe": "lamp",
    "stuhl": "chair",
}
PAIRS = pd.DataFrame(LEXICON.items(), columns=["source_text", "target_text"], dtype="str")


@pytest.fixture(autouse=True)
def words_as_vectors(monkeypatch):
    """The embedding of an English text is the direction of the sum of its words' axes; eight texts need many rounds."""
    words = sorted({word for text in LEXICON.values() for word in text.split()})

    def embed(texts, model=""):
        vectors = np.array([[word in text.split() for word in words] for text in texts], dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    monkeypatch.setattr(module, "embed", embed)
    monkeypatch.setattr(module, "ROUNDS", 100)
    return embed


def nearest(vectors: NgramVectors, text: str, embed) -> str:
    english = list(LEXICON.values())
    return english[int(np.argmax(vectors.embed([text]) @ embed(english).T))]


def test_a_word_that_the_lexicon_lacks_is_placed_by_its_parts(words_as_vectors):
    vectors = NgramVectors.fitted(PAIRS)
    placed = {text: nearest(vectors, text, words_as_vectors) for text in ("hundehalsband", "katzen", "Lämpchen")}
    assert placed == {"hundehalsband": "collar", "katzen": "cat", "Lämpchen": "lamp"}


def test_english_is_learned_with_the_rest(words_as_vectors):
    vectors = NgramVectors.fitted(PAIRS)
    assert [nearest(vectors, text, words_as_vectors) for text in ("dog bed", "lamps")] == ["dog bed", "lamp"]


def test_a_vector_has_length_1_and_0_where_there_is_no_letter():
    made = NgramVectors.fitted(PAIRS).embed(["hund", "leine und stuhl", ""])
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), [1, 1, 0], atol=1e-5)
    assert made.dtype == np.float32


def test_the_same_seed_gives_the_same_vectors_and_another_one_others():
    first, again, other = (NgramVectors.fitted(PAIRS, seed=seed).table for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_saved_and_loaded_vectors_are_the_same(tmp_path):
    vectors = NgramVectors.fitted(PAIRS)
    vectors.save(tmp_path / "ngrams.safetensors")
    loaded = NgramVectors.load(tmp_path / "ngrams.safetensors")
    assert np.array_equal(loaded.embed(["hund", "bett"]), vectors.embed(["hund", "bett"]))


@pytest.mark.parametrize("damaged", [b"", b"not safetensors", b"\0" * 100], ids=["empty", "text", "zeros"])
def test_a_damaged_file_is_one_clear_error(tmp_path, damaged):
    (path := tmp_path / "ngrams.safetensors").write_bytes(damaged)
    with pytest.raises(UserError, match=r"ngrams\.safetensors: expected vectors of n-grams, found"):
        NgramVectors.load(path)


def test_no_texts_give_no_vectors():
    assert NgramVectors.fitted(PAIRS).embed([]).shape == (0, len(np.unique(" ".join(LEXICON.values()).split())))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bär", ["#bar", "<ba", "bar", "ar>", "<bar", "bar>", "<bar>"]),
        ("猫", ["#猫", "<", "猫", ">", "<猫", "猫>", "<猫>"]),
        ("a b", ["#a", "<a>", "#b", "<b>"]),
        ("", []),
    ],
    ids=["folded, three letters and more", "every character of a script without blanks", "word by word", "empty"],
)
def test_the_ngrams_of(text, expected):
    assert list(ngrams(text)) == expected


@given(st.lists(st.text(max_size=12), min_size=1, max_size=6))
def test_texts_are_embedded_one_by_one_as_together(texts):
    vectors = NgramVectors(
        np.random.default_rng(0).normal(size=(module.N_FEATURES, 4)).astype(np.float16), np.eye(4, dtype=np.float32)
    )
    alone = np.concatenate([vectors.embed([text]) for text in texts])
    np.testing.assert_allclose(vectors.embed(texts), alone, atol=1e-6)
