"""A model in two methods: what it learns from the training rows, and how it scores pairs by that."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from competition_utils.models.base import FitReport, RelevanceModel
from competition_utils.models.inspection import table_of_differences
from competition_utils.models.tokens import WORD, count_words, word_parts
from competition_utils.settings.schema import Section
from competition_utils.storage import atomic_write

ARRAYS = "arrays.npz"


class SimpleModel(RelevanceModel):
    """`learn` gives named arrays, `predict` gives scores by them; a config names it as `model: python:MODULE:CLASS`.

    `schema` may be a `Section` of settings, which a config gives as `own`.
    """

    kind = "simple"
    schema = Section

    def __init__(self, settings: Mapping[str, Any] | Section = MappingProxyType({})):
        super().__init__(settings)
        self.learnt: dict[str, np.ndarray] = {}

    @abstractmethod
    def learn(self, train: pd.DataFrame, seed: int) -> dict[str, np.ndarray]:
        """Named arrays of numbers or texts from a training table (`query, query_en, target, label`, …)."""

    @abstractmethod
    def predict(self, pairs: pd.DataFrame, learnt: Mapping[str, np.ndarray]) -> np.ndarray:
        """Scores [n] in 0–1, one a pair, by what `learn` gave; no pair's score depends on the others."""

    # The steps of a fit, which are one step here

    def load_tokenizer(self) -> str:
        return WORD

    def load_base_model(self, seed: int = 0) -> None:
        """There is nothing before it is fitted."""

    def training_arguments(self, folder: Path, seed: int = 0) -> dict[str, Any]:
        return {}

    def training_rows(self, table: pd.DataFrame) -> pd.DataFrame:
        return table

    def make_trainer(self, network: None, rows: pd.DataFrame, valid: pd.DataFrame, arguments: Any) -> pd.DataFrame:
        return rows

    # What a notebook shows

    def token_parts(self, pairs: pd.DataFrame) -> pd.DataFrame:
        return word_parts(pairs)

    def token_lengths(self, pairs: pd.DataFrame) -> np.ndarray:
        return count_words(pairs)

    def parameter_table(self, network: None) -> pd.DataFrame:
        """The sizes of what was learnt; no row before a fit."""
        sizes = {name: array.size for name, array in self.learnt.items()}
        return pd.DataFrame({"parameters": pd.Series(sizes, dtype="int64")}).rename_axis("array")

    def argument_table(self, trainer: pd.DataFrame) -> pd.DataFrame:
        """The settings that differ from their defaults."""
        return table_of_differences(self.settings.model_dump(), type(self.settings)().model_dump())

    def training_plan(self, trainer: pd.DataFrame) -> pd.Series:
        return pd.Series({"training rows": len(trainer)}, name="training")

    # The estimator

    def fit(self, train: pd.DataFrame, valid: pd.DataFrame, *, work_dir: Path, seed: int) -> FitReport:
        start = time.monotonic()
        self.learnt = {name: np.asarray(array) for name, array in self.learn(train, seed).items()}
        auc = roc_auc_score(valid["label"].to_numpy(np.int64), self.score(valid))
        history = [{"step": 1, "epoch": 1.0, "valid_auc": round(float(auc), 5)}]
        return FitReport(seed=seed, seconds=time.monotonic() - start, history=history)

    def score(self, pairs: pd.DataFrame) -> np.ndarray:
        return np.asarray(self.predict(pairs, self.learnt), dtype=np.float32)

    def save(self, folder: Path) -> None:
        with atomic_write(folder / ARRAYS) as beside, beside.open("wb") as stream:
            np.savez_compressed(stream, **self.learnt)
        self.save_settings(folder)

    @classmethod
    def load(cls, folder: Path, overrides: Mapping[str, Any] | None = None) -> SimpleModel:
        model = cls(cls.saved_settings(folder, overrides))
        with np.load(folder / ARRAYS, allow_pickle=False) as stored:
            model.learnt = {name: stored[name] for name in stored.files}
        return model
