"""Vectors of texts in any language by their letters: word for word and n-gram for n-gram, fitted on a lexicon.

A lexicon lacks whole words, yet rarely all of their parts: who knows "Hund" and "Halsband" can place
"Hundehalsband". A text's vector is the sum of its n-grams' vectors, which are fitted so that a text of the lexicon
lies near the embedding of its English. The idea is fastText's (Bojanowski et al. 2017), with the contrastive loss of
sentence embeddings; fastText itself cannot be fitted on pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix

from competition_utils.errors import DamagedFile
from competition_utils.models.embeddings import embed
from competition_utils.models.pretrained import MINILM
from competition_utils.progress import progress
from competition_utils.storage import atomic_write
from competition_utils.translation.words import fold, unaccent

N_FEATURES = 2**17
DIMENSIONS = 128  # of the 384 of MiniLM, the principal ones of the English texts
ROUNDS = 4
BATCH = 512
LEARNING_RATE = 8e-3
TEMPERATURE = 0.1
DROPOUT = 0.5  # of a text's n-grams, so that each must serve without the others
SHORTEST = 0.1  # vectors begin at 0, where the gradient of a direction would have no bound
SPACED, UNSPACED = range(3, 6), range(1, 4)  # letters of an n-gram; characters where words are not separated
FIRST_UNSPACED = "\u0e00"  # Thai, kana, Hanja and Hangul begin here
TEXTS_AT_ONCE = 50_000


def ngrams(text: str) -> Iterator[str]:
    """The words of a text, each behind a number sign, and their n-grams between brackets; without case and accents."""
    for word in unaccent(fold(text)).split():
        yield "#" + word
        marked = f"<{word}>"
        lengths = UNSPACED if max(word) >= FIRST_UNSPACED else SPACED
        yield from (marked[start : start + n] for n in lengths for start in range(len(marked) - n + 1))


class NgramVectors:
    """`table` [N_FEATURES, DIMENSIONS] holds the n-grams' vectors, `axes` [d, DIMENSIONS] what they are measured on."""

    def __init__(self, table: np.ndarray, axes: np.ndarray):
        self.table, self.axes = table, axes

    @classmethod
    def fitted(cls, pairs: pd.DataFrame, embedding_model: str = MINILM, seed: int = 0) -> NgramVectors:
        """Fitted on the pairs `source_text, target_text` of a lexicon, the targets English; the English alone is
        learned too. The same pairs and seed give the same vectors."""
        english = pairs["target_text"].str.lower()
        texts = pd.concat([pairs["source_text"], english.drop_duplicates()], ignore_index=True)
        place, different = pd.factorize(pd.concat([english, english.drop_duplicates()], ignore_index=True))
        targets = embed(different, embedding_model)
        axes = np.ascontiguousarray(np.linalg.svd(targets, full_matrices=False)[2][:DIMENSIONS].T)  # for safetensors
        return cls(_fit_table(_hash(texts), targets @ axes, place, seed), axes)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [n, d] of length 1, in the space of the embedding model; 0 for a text without letters."""
        made = [np.zeros((0, len(self.axes)), dtype=np.float32)]
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            rows = _hash(texts[start : start + TEXTS_AT_ONCE])
            vectors = (rows @ self.table.astype(np.float32)) @ self.axes.T
            made.append(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6))
        return np.concatenate(made)

    def save(self, path: Path) -> None:
        """Write a safetensors file of the n-grams that were seen, and the axes."""
        seen = np.flatnonzero(self.table.any(axis=1))
        with atomic_write(path) as beside:
            save_file({"seen": seen, "vectors": self.table[seen], "axes": self.axes}, beside)

    @classmethod
    def load(cls, path: Path) -> NgramVectors:
        """What `save` wrote. Raises DamagedFile for anything else."""
        try:
            kept = load_file(path)
            table = np.zeros((N_FEATURES, kept["vectors"].shape[1]), dtype=np.float16)
            table[kept["seen"]] = kept["vectors"]
            return cls(table, kept["axes"])
        except (OSError, SafetensorError, KeyError, IndexError, ValueError) as error:
            raise DamagedFile(path, "vectors of n-grams", str(error), "Run stage augmentation again.") from None


def _hash(texts: Sequence[str]) -> csr_matrix:
    from sklearn.feature_extraction.text import HashingVectorizer  # 70 MB, which only a model with n-grams needs

    form = {"alternate_sign": False, "norm": None, "binary": True, "dtype": np.float32}
    return HashingVectorizer(analyzer=ngrams, n_features=N_FEATURES, **form).transform(texts)


def _fit_table(rows: csr_matrix, targets: np.ndarray, place: np.ndarray, seed: int) -> np.ndarray:
    """float16 [N_FEATURES, dimensions] for hashed texts, `place` of whose English in `targets` is known."""
    import torch
    from torch.nn.functional import cross_entropy, normalize

    from competition_utils.models.threads import num_threads

    draw = np.random.default_rng(seed)
    wanted = normalize(torch.from_numpy(targets.astype(np.float32)), dim=1)
    bag = torch.nn.EmbeddingBag(N_FEATURES, targets.shape[1], mode="sum", sparse=True)
    torch.nn.init.zeros_(bag.weight)
    optimizer = torch.optim.SparseAdam(bag.parameters(), lr=LEARNING_RATE)
    steps = ROUNDS * -(-rows.shape[0] // BATCH)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    with num_threads(1), progress(total=ROUNDS * rows.shape[0], what="n-grams", unit="texts") as bar:
        for _ in range(ROUNDS):
            for some in np.array_split(draw.permutation(rows.shape[0]), steps // ROUNDS):
                vectors = normalize(bag(*_thinned(rows[some], draw)), dim=1, eps=SHORTEST)
                # each against the English of the whole batch, every text of which counts once
                different, own = np.unique(place[some], return_inverse=True)
                logits = vectors @ wanted[torch.from_numpy(different)].T / TEMPERATURE
                optimizer.zero_grad()
                cross_entropy(logits, torch.from_numpy(own)).backward()
                optimizer.step()
                falling.step()
                bar.update(len(some))
    return bag.weight.detach().numpy().astype(np.float16)


def _thinned(rows: csr_matrix, draw: np.random.Generator) -> tuple:
    """What torch's EmbeddingBag takes: n-grams of all rows, where each row begins, and no weights; some left out."""
    import torch

    kept = draw.random(rows.nnz) >= DROPOUT
    before = np.concatenate([[0], np.cumsum(kept)])
    return torch.from_numpy(rows.indices[kept].astype(np.int64)), torch.from_numpy(before[rows.indptr[:-1]])
