"""What the steps of a strategy share: the task, the translator, the embeddings, the seed, and the book
of refusals.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from competition_utils.tasks import Task
from competition_utils.translation.interface import Translator

EXAMPLES = 3  # kept of each step × reason × language


class Judge(Protocol):
    """A model that learns which pairs are relevant and says it of others, as those of the next room do."""

    def fit(self, train: pd.DataFrame, valid: pd.DataFrame, *, work_dir: Path, seed: int) -> object:
        """Learn from `train`; `valid` may tell when to stop."""

    def score(self, pairs: pd.DataFrame) -> np.ndarray:
        """float32 [n] in 0–1: how likely each pair is relevant."""


@dataclass
class Refusals:
    """Rows that a gate kept out, by step, reason and language, with a few examples of each."""

    counts: dict[tuple[str, str, str], int] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)

    def add(self, step: str, reasons: pd.Series, table: pd.DataFrame, *, before: str, after: str) -> None:
        """Note refused rows: `reasons` ("" = let in) on the index of `table`; `before`, `after` are
        its columns.
        """
        refused = table[["language"]].assign(
            reason=reasons, before=table[before].astype("str"), after=table[after].astype("str")
        )
        refused = refused[refused["reason"] != ""]
        for (reason, language), rows in refused.groupby(["reason", "language"], sort=True):
            key = (step, str(reason), str(language))
            seen = self.counts.get(key, 0)
            self.counts[key] = seen + len(rows)
            shown = rows.head(max(EXAMPLES - seen, 0))
            self.examples += shown.assign(step=step)[["step", "reason", "language", "before", "after"]].to_dict(
                "records"
            )

    def table(self) -> pd.DataFrame:
        """`step, reason, language, rows`."""
        rows = [(*key, count) for key, count in sorted(self.counts.items())]
        return pd.DataFrame(rows, columns=["step", "reason", "language", "rows"])

    def example_table(self) -> pd.DataFrame:
        """`step, reason, language, before, after`."""
        return pd.DataFrame(self.examples, columns=["step", "reason", "language", "before", "after"])


@dataclass
class Tools:
    """Everything a step may use besides its parameters.

    `new_languages`: those of dev and test that train lacks, as found in the files. `translator` is None where
    there is none. `similarities`: what a mining step measured, for the notebook's histograms (`kind,
    similarity`). `new_judge` gives unfitted models, None where no step needs them. `english`: what the queries of
    train say in English, where that is known already: `translated, confidence` as `translate_rows` gives them, by id.
    """

    task: Task
    translator: Translator | None = None
    new_languages: tuple[str, ...] = ()
    seed: int = 0
    embedding_model: str = "minilm"
    new_judge: Callable[[], Judge] | None = None
    english: pd.DataFrame | None = None
    refusals: Refusals = field(default_factory=Refusals)
    similarities: list[pd.DataFrame] = field(default_factory=list)
    guard: float | None = None
    notes: list[str] = field(default_factory=list)

    def rng(self, purpose: str) -> np.random.Generator:
        """Random numbers of one purpose: a step added before another leaves the other's choices alone."""
        return np.random.default_rng([self.seed, zlib.crc32(f"{self.task.name} {purpose}".encode())])
