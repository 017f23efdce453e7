"""The baseline: TF-IDF pair features and a logistic regression. Seconds on a CPU."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import clone
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from competition_utils.data.columns import english_query, english_target, hint, relations_of
from competition_utils.errors import UserError
from competition_utils.models.base import FitReport, RelevanceModel
from competition_utils.models.inspection import table_of_differences
from competition_utils.models.parts import part
from competition_utils.models.tokens import WORD, count_words, word_parts
from competition_utils.progress import progress
from competition_utils.settings.schema import LinearSettings, Section
from competition_utils.storage import atomic_write

HASH_BITS = 20
HINT_BITS = 13
CHUNK_ROWS = 5_000


def _hasher(analyzer: str, ngrams: tuple[int, int], bits: int = HASH_BITS) -> HashingVectorizer:
    return HashingVectorizer(
        analyzer=analyzer,
        ngram_range=ngrams,
        n_features=2**bits,
        alternate_sign=False,
        norm=None,
        token_pattern=WORD,
    )


# name → how a text becomes counts, and which two texts of a pair are compared by cosine
VIEWS = {
    "characters": (_hasher("char_wb", (3, 5)), "both"),
    "characters_en": (_hasher("char_wb", (3, 5)), "query_en"),
    "words_en": (_hasher("word", (1, 1)), "query_en"),
}
PAIR_WORDS = _hasher("word", (1, 1))
HINTS = _hasher("word", (1, 4), HINT_BITS)  # the relations of a category hint and its nearness, alone and together

FEATURES = len(VIEWS) + 2**HASH_BITS + 2**HINT_BITS


def cross_words(queries: sparse.csr_matrix, targets: sparse.csr_matrix) -> sparse.csr_matrix:
    """Each (query word, target word) of a row as one hashed feature, [n, 2**HASH_BITS]; rows have length 1.

    Column operations on the index arrays: row i of the result has `len(q_i) · len(t_i)` entries before hashing.
    """
    q_count, t_count = np.diff(queries.indptr), np.diff(targets.indptr)
    sizes = q_count * t_count
    row = np.repeat(np.arange(len(sizes)), sizes)
    within = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    q_index = queries.indices[queries.indptr[row] + within // t_count[row]].astype(np.uint64)
    t_index = targets.indices[targets.indptr[row] + within % t_count[row]].astype(np.uint64)
    mixed = (q_index * np.uint64(0x9E3779B97F4A7C15)) ^ (t_index * np.uint64(0xC2B2AE3D27D4EB4F))
    column = (mixed >> np.uint64(64 - HASH_BITS)).astype(np.int64)
    value = (1 / np.sqrt(sizes[row])).astype(np.float32)
    return sparse.csr_matrix((value, (row, column)), shape=(len(sizes), 2**HASH_BITS))


def _cosine(left: sparse.csr_matrix, right: sparse.csr_matrix) -> np.ndarray:
    return np.asarray(left.multiply(right).sum(axis=1)).ravel()


@dataclass(frozen=True)
class LinearTrainer:
    """What is fitted, and the rows that it is fitted on."""

    estimator: LogisticRegression
    rows: pd.DataFrame


class LinearModel(RelevanceModel):
    """Cosines of query and target (characters; characters and words of the English query), crossed words, and the
    relations of the category hint."""

    kind = "linear"
    schema = LinearSettings

    def __init__(self, settings: Mapping[str, Any] | Section = MappingProxyType({})):
        super().__init__(settings)
        self.idf: dict[str, np.ndarray] = {}
        self.weights = np.empty(0)
        self.bias = 0.0

    @part
    def estimator(self) -> LogisticRegression:
        """scikit-learn's LogisticRegression, which a fit copies."""
        return LogisticRegression(C=self.settings.C, max_iter=self.settings.max_iter)

    # The steps of a fit

    def load_tokenizer(self) -> dict[str, HashingVectorizer]:
        """The views: name → how a text becomes counts."""
        return {view: hasher for view, (hasher, _) in VIEWS.items()}

    def load_base_model(self, seed: int = 0) -> LogisticRegression:
        return clone(self.estimator).set_params(random_state=seed)

    def training_arguments(self, folder: Path, seed: int = 0) -> dict[str, Any]:
        """Parameters of the estimator to set besides; there are no checkpoints."""
        unknown = sorted(self.argument_overrides.keys() - self.estimator.get_params().keys())
        if unknown:
            raise UserError(f"argument_overrides: expected names of LogisticRegression, found {', '.join(unknown)}.")
        return dict(self.argument_overrides)

    def training_rows(self, table: pd.DataFrame) -> pd.DataFrame:
        return table

    def make_trainer(
        self, network: LogisticRegression, rows: pd.DataFrame, valid: pd.DataFrame, arguments: Mapping[str, Any]
    ) -> LinearTrainer:
        return LinearTrainer(network.set_params(**arguments), rows)

    # What a notebook shows

    def token_parts(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """Words, which the view `words_en` counts."""
        return word_parts(pairs)

    def token_lengths(self, pairs: pd.DataFrame) -> np.ndarray:
        return count_words(pairs)

    def parameter_table(self, network: LogisticRegression) -> pd.DataFrame:
        """The weights that a fit gives: one a cosine, one a hashed pair of words or hint, and the intercept."""
        sizes = {"cosines": len(VIEWS), "crossed words": 2**HASH_BITS, "hints": 2**HINT_BITS, "intercept": 1}
        sizes["all"] = sum(sizes.values())
        table = pd.DataFrame({"parameters": sizes, "trainable": sizes}).rename_axis("module")
        return table.assign(tensors=1, share=100.0)[["tensors", "parameters", "trainable", "share"]]

    def argument_table(self, trainer: LinearTrainer) -> pd.DataFrame:
        return table_of_differences(trainer.estimator.get_params(), LogisticRegression().get_params())

    def training_plan(self, trainer: LinearTrainer) -> pd.Series:
        steps = {"training rows": len(trainer.rows), "iterations at most": trainer.estimator.max_iter}
        return pd.Series(steps, name="training")

    # The estimator

    def fit(self, train: pd.DataFrame, valid: pd.DataFrame, *, work_dir: Path, seed: int) -> FitReport:
        start = time.monotonic()
        self.idf = {view: self._fit_idf(train, view) for view in VIEWS}
        labels = train["label"].to_numpy(np.int64)
        weight = train["weight"].to_numpy(np.float64) if "weight" in train else None
        arguments = self.training_arguments(work_dir, seed)
        model = self.make_trainer(self.load_base_model(seed), train, valid, arguments).estimator
        features = sparse.vstack(list(self._features(train)), format="csr")
        used = np.flatnonzero(features.getnnz(axis=0))  # L-BFGS has dense vectors; the other weights stay zero
        model.fit(features[:, used], labels, sample_weight=weight)
        self.weights, self.bias = np.zeros(features.shape[1], dtype=np.float32), float(model.intercept_[0])
        self.weights[used] = model.coef_[0]
        auc = roc_auc_score(valid["label"].to_numpy(np.int64), self.score(valid))
        history = [{"step": int(model.n_iter_[0]), "epoch": 1.0, "valid_auc": round(float(auc), 5)}]
        return FitReport(seed=seed, seconds=time.monotonic() - start, history=history)

    def score(self, pairs: pd.DataFrame) -> np.ndarray:
        logits = [np.zeros(0, dtype=np.float32)]
        logits += [(features @ self.weights + self.bias).astype(np.float32) for features in self._features(pairs)]
        return 1 / (1 + np.exp(-np.concatenate(logits)))

    def save(self, folder: Path) -> None:
        with atomic_write(folder / "weights.npz") as beside, beside.open("wb") as stream:
            np.savez_compressed(stream, weights=self.weights, bias=self.bias, **self.idf)
        self.save_settings(folder)

    @classmethod
    def load(cls, folder: Path, overrides: Mapping[str, Any] | None = None) -> LinearModel:
        model = cls(cls.saved_settings(folder, overrides))
        model.given_edits = cls.saved_edits(folder)
        with np.load(folder / "weights.npz", allow_pickle=False) as stored:
            weights, model.bias = stored["weights"], float(stored["bias"])
            before_hints = FEATURES - len(weights)  # a model saved by a release without them
            model.weights = np.pad(weights, (0, before_hints))
            model.idf = {view: stored[view] for view in VIEWS}
        return model

    def _fit_idf(self, train: pd.DataFrame, view: str) -> np.ndarray:
        hasher, query = VIEWS[view]
        texts = pd.concat([self._query_text(train, query), self._target_text(train, query)]).unique()
        return TfidfTransformer(sublinear_tf=True).fit(hasher.transform(texts)).idf_.astype(np.float32)

    def _features(self, pairs: pd.DataFrame) -> Iterator[sparse.csr_matrix]:
        """Rows [CHUNK_ROWS, FEATURES] at a time."""
        with progress(total=len(pairs), what="pair features", unit="pairs") as bar:
            for start in range(0, len(pairs), CHUNK_ROWS):
                part = pairs.iloc[start : start + CHUNK_ROWS]
                yield self._features_of(part)
                bar.update(len(part))

    def _features_of(self, pairs: pd.DataFrame) -> sparse.csr_matrix:
        cosines = np.column_stack([self._similarity(pairs, view) for view in VIEWS]).astype(np.float32)
        query = PAIR_WORDS.transform(self._query_text(pairs, "both"))
        target = PAIR_WORDS.transform(self._target_text(pairs, "both"))
        hints = HINTS.transform(relations_of(hint(pairs)))
        return sparse.hstack([sparse.csr_matrix(cosines * 5), cross_words(query, target), hints], format="csr")

    def _similarity(self, pairs: pd.DataFrame, view: str) -> np.ndarray:
        hasher, query = VIEWS[view]
        tfidf = TfidfTransformer(sublinear_tf=True)
        tfidf.idf_ = self.idf[view].astype(np.float64)
        left = tfidf.transform(hasher.transform(self._query_text(pairs, query)))
        right = tfidf.transform(hasher.transform(self._target_text(pairs, query)))
        return _cosine(left, right)

    @staticmethod
    def _query_text(pairs: pd.DataFrame, which: str) -> pd.Series:
        return english_query(pairs) if which == "query_en" else pairs["query"] + " " + pairs["query_en"]

    @staticmethod
    def _target_text(pairs: pd.DataFrame, which: str) -> pd.Series:
        if which == "query_en" or "target_en" not in pairs:
            return english_target(pairs)
        return (pairs["target"] + " " + pairs["target_en"]).str.rstrip()
