"""What the steps of a strategy share: the task, the translator, the gates, the seed, and the rejection log."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from competition_utils.tasks import Task
from competition_utils.translation.gates import GATES, Gate
from competition_utils.translation.interface import Translator

EXAMPLES = 3  # kept of each step × reason × language


@dataclass
class RejectionLog:
    """Rows that a step kept out, by step, reason and language, with a few examples of each."""

    counts: dict[tuple[str, str, str], int] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)

    def add(self, step: str, reasons: pd.Series, table: pd.DataFrame, *, before: str, after: str) -> None:
        """Log rejected rows: `reasons` ("" = accepted) on the index of `table`; `before`, `after` are its columns."""
        rejected = table[["language"]].assign(
            reason=reasons, before=table[before].astype("str"), after=table[after].astype("str")
        )
        rejected = rejected[rejected["reason"] != ""]
        for (reason, language), rows in rejected.groupby(["reason", "language"], sort=True):
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
    """Everything a step may use besides its settings, and what the steps so far have logged.

    new_languages : those of dev and test that train lacks, as found in the files.
    translator : None where there is none.
    gates : checks of a translation by name; the steps add those that they have settings for.
    english : what the queries of train say in English: `translated, confidence` as `translate_rows` gives them, by id;
        None where that is not known yet.
    similarities : what mining measured, for the histograms (`kind, similarity`).
    max_similarity : the limit that mining kept to, None where nothing was mined.
    """

    task: Task
    translator: Translator | None = None
    new_languages: tuple[str, ...] = ()
    seed: int = 0
    embedding_model: str = "minilm"
    gates: Mapping[str, Gate] = field(default_factory=lambda: dict(GATES))
    english: pd.DataFrame | None = None
    rejections: RejectionLog = field(default_factory=RejectionLog)
    similarities: list[pd.DataFrame] = field(default_factory=list)
    max_similarity: float | None = None
    notes: list[str] = field(default_factory=list)

    def rng(self, purpose: str) -> np.random.Generator:
        """Random numbers of one purpose: a step added before another leaves the other's choices alone."""
        return np.random.default_rng([self.seed, zlib.crc32(f"{self.task.name} {purpose}".encode())])

    def copy(self) -> Tools:
        """The same tools with logs of their own, so that a step that is run twice is logged once in each."""
        log = RejectionLog(dict(self.rejections.counts), list(self.rejections.examples))
        return replace(self, rejections=log, similarities=list(self.similarities), notes=list(self.notes))
