"""The F1 to expect on languages without labels, from the labelled rows of languages that have some.

What unseen languages lack is words more than labels (docs/LOG.md). So rows of seen languages are weighted until they
are translated as far, and lie as near to a category, as often as those of unseen languages: post-stratification (Holt
& Smith, 1979). None of it needs a label of an unseen language. What the missing labels cost besides, a fit without
each language in turn measures (`runs.leave_one_out`), and is taken off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.decide.decisions import TaskDecisions, TaskScores
from competition_utils.decide.metrics import counts, f1_from_counts
from competition_utils.decide.resample import RESAMPLES, interval, query_groups, resampled_sums
from competition_utils.decide.slices import how_near_a_category, how_translated


@dataclass(frozen=True)
class Expected:
    """`f1` to expect on `rows` rows of unseen languages; `drawn` [resamples] its bootstrap samples, by query.

    `seen_f1` is that of the seen languages' rows as they are, `covered` the share of the unseen languages' rows whose
    like seen languages have, 0–1: of the others nothing is said.
    """

    f1: float
    drawn: np.ndarray
    seen_f1: float
    rows: int
    covered: float

    def less(self, drop: float, drawn: np.ndarray) -> Expected:
        """The same where a language without labels loses `drop` besides, with its samples [resamples]."""
        return replace(self, f1=self.f1 - drop, drawn=self.drawn - drawn)

    def as_dict(self) -> dict[str, Any]:
        facts = {name: getattr(self, name) for name in ("f1", "seen_f1", "rows", "covered")}
        return {**facts, "interval": list(interval(self.drawn))}


def strata(rows: pd.DataFrame) -> pd.Series:
    """Per row how far its query was translated and how near it is to a category, as one text."""
    return how_translated(rows) + ", " + how_near_a_category(rows)


def weights_like(rows: pd.DataFrame, others: pd.DataFrame) -> tuple[np.ndarray, float]:
    """A weight a row of `rows`, float64 [n], by which its strata are as frequent as among `others`; and the share of
    `others` whose stratum `rows` has."""
    own, wanted = strata(rows), strata(others).value_counts(normalize=True)
    weights = own.map(wanted / own.value_counts(normalize=True)).fillna(0.0).to_numpy(np.float64)
    return weights, float(wanted[wanted.index.isin(own)].sum())


def expected_f1(seen: pd.DataFrame, unseen: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> Expected | None:
    """From measured rows of seen languages (`label, prediction`) what to expect of unlabelled rows; None where either
    has none, or no row of one is like a row of the other."""
    if seen.empty or unseen.empty:
        return None
    weights, covered = weights_like(seen, unseen)
    cells = counts(seen["label"].to_numpy(np.int64), seen["prediction"].to_numpy(np.int64))
    weighted = cells * weights[:, None]
    if not weights.any():
        return None
    drawn = f1_from_counts(*resampled_sums(weighted, query_groups(seen["query"]), resamples, seed).T)
    f1, seen_f1 = (float(f1_from_counts(*table.sum(axis=0))) for table in (weighted, cells))
    return Expected(f1, drawn, seen_f1, len(unseen), covered)


def expected_on_unseen(
    given: TaskScores, made: TaskDecisions, resamples: int = RESAMPLES, seed: int = 0
) -> Expected | None:
    """What a task's decisions say of dev's rows in languages that train does not hold; None where there are none."""
    known, asked = (rows["language"].isin(given.seen_languages) for rows in (made.measured, given.dev))
    return expected_f1(made.measured[known], given.dev[~asked], resamples, seed)


def expectation_table(
    expected: Mapping[str, Expected | None], metrics: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """A row a task: `seen` (F1 of seen languages), `expected, low, high` of unseen ones, `measured` there (NaN where
    dev has no labels), `rows, covered`. `metrics` are the tasks' entries of metrics.json."""
    rows = {}
    for task, one in expected.items():
        if one is not None:
            low, high = interval(one.drawn)
            measured = metrics[task]["unseen_language_f1"]
            facts = {"seen": one.seen_f1, "expected": one.f1, "low": low, "high": high, "measured": measured}
            rows[task] = facts | {"rows": one.rows, "covered": one.covered}
    columns = ["seen", "expected", "low", "high", "measured", "rows", "covered"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).astype({"measured": float})
