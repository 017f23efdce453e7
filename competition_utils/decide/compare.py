"""Runs side by side on the rows they have in common, with paired intervals and p-values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from competition_utils.decide.metrics import counts, f1_from_counts, f1_score
from competition_utils.decide.resample import (
    RESAMPLES,
    interval,
    paired_p_value,
    query_groups,
    resampled_sums,
)
from competition_utils.errors import DataError, Fault, UserError


@dataclass(frozen=True)
class Comparison:
    """`table`: one row a run, `f1, low, high` and, against the first run, `difference, difference_low,
    difference_high, p_value` (two-sided, paired bootstrap by query; none for the first); `rows` those in
    common; `drawn` the resampled F1, float64 [resamples, runs]."""

    table: pd.DataFrame
    rows: int
    drawn: np.ndarray


def common_rows(runs: Mapping[str, pd.DataFrame], labelled: pd.DataFrame) -> pd.DataFrame:
    """The labelled rows that all runs decided: `id, query, label` and a column of 0/1 a run.

    `runs` {name: decisions with `id, prediction` of one split}, `labelled` has `id, query, label`. Raises
    UserError where no row is in common, or with fewer than two runs.
    """
    if len(runs) < 2:
        raise UserError(f"compare: expected two runs or more, found {len(runs)}.")
    table = labelled[["id", "query", "label"]]
    for name, decisions in runs.items():
        column = decisions[["id", "prediction"]].rename(columns={"prediction": name})
        table = table.merge(column, on="id", how="inner", validate="one_to_one")
    if table.empty:
        raise UserError(f"compare: expected labelled rows that {', '.join(runs)} all decided, found none.")
    return table


def check_same_labels(first: pd.DataFrame, other: pd.DataFrame, where: str) -> None:
    """Raise DataError where an id that two tables (`id, query, label`) share has another query or label in each."""
    both = first.merge(other, on="id", suffixes=("", "_other"))
    differs = (both["query"] != both["query_other"]) | (both["label"] != both["label_other"])
    if differs.any():
        faults = [Fault("a row that differs", where, f"id {number}") for number in both.loc[differs, "id"]]
        raise DataError(f"{where}: expected the same data as the first run.", faults, "Compare runs on one data set.")


def compare_predictions(table: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """Compare the columns of 0/1 that stand beside `id, query, label`, each against the first of them."""
    names = [name for name in table if name not in ("id", "query", "label")]
    labels = table["label"].to_numpy(np.int64)
    votes = np.hstack([counts(labels, table[name].to_numpy(np.int64)) for name in names])
    sums = resampled_sums(votes, query_groups(table["query"]), resamples, seed)
    drawn = f1_from_counts(sums[:, 0::3], sums[:, 1::3], sums[:, 2::3])
    f1 = [f1_score(labels, table[name].to_numpy(np.int64)) for name in names]
    return Comparison(_table(names, f1, drawn), len(table), drawn)


def compare_means(tasks: Mapping[str, Comparison]) -> pd.DataFrame:
    """The same table for the mean of the tasks' F1, each task resampled on its own."""
    f1 = np.mean([each.table["f1"] for each in tasks.values()], axis=0)
    names = next(iter(tasks.values())).table.index
    return _table(list(names), list(f1), np.mean([each.drawn for each in tasks.values()], axis=0))


def _table(names: list[str], f1: list[float], drawn: np.ndarray) -> pd.DataFrame:
    rows = []
    for at in range(len(names)):
        low, high = interval(drawn[:, at])
        row = {"f1": f1[at], "low": low, "high": high}
        if at:
            differences = drawn[:, at] - drawn[:, 0]
            low, high = interval(differences)
            row |= {"difference": f1[at] - f1[0], "difference_low": low, "difference_high": high}
            row["p_value"] = paired_p_value(differences)
        rows.append(row)
    return pd.DataFrame(rows, index=pd.Index(names, name="run"))
