"""Metrics as the competition counts them, by task, language and kind of row, with intervals and baselines
beside them.

Everything here measures decisions already made: the table has the prediction of each row, and its rows served
neither for fitting nor for choosing the threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from competition_utils.decide.resample import RESAMPLES, interval, query_groups, resampled_auc, resampled_sums
from competition_utils.errors import UserError
from competition_utils.f1 import check_labels_and_scores
from competition_utils.settings.own_code import own_code
from competition_utils.tasks import TASKS

OWN = "own_metrics"  # key of the names of the user's metrics in an entry
Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], float]  # (labels 0/1, scores 0–1, predictions 0/1) → a figure
NEEDED = ("language", "query", "label", "score", "threshold", "prediction")


def f1_from_counts(true: np.ndarray, predicted: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """F1 of the positive class from counts of any shape: true positives, predicted positives, relevant rows.

    0 where nothing is relevant and nothing predicted so, as in scikit-learn.
    """
    total = np.asarray(predicted + positives, dtype=np.float64)
    return np.divide(2.0 * np.asarray(true), total, out=np.zeros_like(total), where=total > 0)


def f1_score(labels: np.ndarray, predictions: np.ndarray) -> float:
    """F1 of the positive class; labels and predictions [n] 0/1."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    return float(f1_from_counts((labels & predictions).sum(), predictions.sum(), labels.sum()))


def counts(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """int64 [n, 3] a row: 1 where it is a true positive, a predicted positive, a relevant row."""
    return np.column_stack([labels * predictions, predictions, labels]).astype(np.int64)


def basic_metrics(labels: np.ndarray, scores: np.ndarray, predictions: np.ndarray) -> dict[str, Any]:
    """Rows, positive rate, F1, precision, recall, AUC, average precision and the F1 of "everything relevant".

    All in 0–1. AUC and average precision are None where the rows have one class only. `labels` and
    `predictions` [n] 0/1, `scores` [n] in 0–1.
    """
    true, predicted, positives = counts(labels, predictions).sum(axis=0)
    both = 0 < positives < len(labels)
    return {
        "rows": len(labels),
        "positive_rate": float(positives / len(labels)),
        "f1": float(f1_from_counts(true, predicted, positives)),
        "precision": float(true / predicted) if predicted else 0.0,
        "recall": float(true / positives) if positives else 0.0,
        "auc": float(roc_auc_score(labels, scores)) if both else None,
        "average_precision": float(average_precision_score(labels, scores)) if both else None,
        "all_positive_f1": float(f1_from_counts(positives, np.int64(len(labels)), positives)),
    }


def named_metrics(choices: Sequence[str]) -> dict[str, Metric]:
    """Functions of the user's own by their names, from `python:MODULE:FUNCTION`; UserError for a name taken twice."""
    metrics = {choice.rpartition(":")[2]: own_code(choice) for choice in choices}
    taken = sorted(metrics.keys() & {*basic_metrics(np.array([0, 1]), np.array([0, 1]), np.array([0, 1])), "threshold"})
    if taken or len(metrics) < len(choices):
        raise UserError(
            f"own_metrics: expected names that differ from {', '.join(taken) or 'each other'}. Rename them."
        )
    return metrics


def evaluate(
    table: pd.DataFrame,
    *,
    seen_languages: Collection[str] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
    own: Mapping[str, Metric] = MappingProxyType({}),
) -> dict[str, Any]:
    """A task's entry of `metrics.json`.

    `table` has one row a labelled pair of one task, with `language, query, label` 0/1, `score` 0–1,
    `threshold` and `prediction` 0/1; where it has `linear_score` and `linear_prediction`, the linear baseline
    stands beside every figure; where it has `source` or `category_seen` (bool), the figures are split by them
    too. `seen_languages` are those with labels in train. Intervals are 95% bootstrap intervals, resampled by
    query.

    Gives `basic_metrics`, `threshold`, `f1_interval`, `precision_interval`, `recall_interval`, `auc_interval` (None
    where there is no AUC), `by_language` {language: the same}; `seen_language_f1` and `unseen_language_f1` (None
    where there are no such rows); `by_language_kind`, `by_category_kind` and `by_source` (without `auc_interval`).
    Metrics of `own` stand under their names beside those of all rows and of each language.
    Raises UserError for missing columns, labels other than 0/1 and scores that are missing or
    outside 0–1.
    """
    missing = [name for name in NEEDED if name not in table]
    if missing:
        raise UserError(f"evaluate: expected the columns {', '.join(NEEDED)}, missing {', '.join(missing)}.")
    check_labels_and_scores(table["label"].to_numpy(), table["score"].to_numpy())
    table = table.assign(_kind=np.where(table["language"].isin(list(seen_languages)), "seen", "unseen"))
    table["_group"] = query_groups(table["query"])
    by_kind = _by(table, "_kind", resamples, seed)
    entry = _measure(table, resamples, seed) | {
        "by_language": _by(table, "language", resamples, seed),
        "by_language_kind": by_kind,
        "seen_language_f1": by_kind.get("seen", {}).get("f1"),
        "unseen_language_f1": by_kind.get("unseen", {}).get("f1"),
    }
    entry["auc_interval"] = _auc_interval(table, resamples, seed)
    for language, rows in table.groupby("language"):
        more = {"seen": language in seen_languages, "auc_interval": _auc_interval(rows, resamples, seed)}
        entry["by_language"][language] |= more
    if "category_seen" in table:
        kinds = table.assign(_category=np.where(table["category_seen"], "seen", "unseen"))
        entry["by_category_kind"] = _by(kinds, "_category", resamples, seed)
    if "source" in table:
        entry["by_source"] = _by(table, "source", resamples, seed)
    return _with_own(entry, table, own) if own else entry


def _with_own(entry: dict[str, Any], table: pd.DataFrame, own: Mapping[str, Metric]) -> dict[str, Any]:
    """The entry with metrics of the user's own, of all rows and by language, and their names."""
    parts = [(entry, table), *((entry["by_language"][name], rows) for name, rows in table.groupby("language"))]
    for figures, rows in parts:
        labels, predictions = (rows[name].to_numpy(np.int64) for name in ("label", "prediction"))
        for name, metric in own.items():
            figures[name] = float(metric(labels, rows["score"].to_numpy(), predictions))
    return {**entry, OWN: list(own)}


def _by(table: pd.DataFrame, column: str, resamples: int, seed: int) -> dict[str, dict[str, Any]]:
    return {str(value): _measure(rows, resamples, seed) for value, rows in table.groupby(column, sort=True)}


def _measure(rows: pd.DataFrame, resamples: int, seed: int) -> dict[str, Any]:
    labels, predictions = rows["label"].to_numpy(np.int64), rows["prediction"].to_numpy(np.int64)
    figures = basic_metrics(labels, rows["score"].to_numpy(), predictions)
    groups = pd.factorize(rows["_group"])[0]
    figures |= _intervals(labels, predictions, groups, resamples, seed)
    figures["threshold"] = float(rows["threshold"].median())
    if "linear_prediction" in rows:
        linear = basic_metrics(labels, rows["linear_score"].to_numpy(), rows["linear_prediction"].to_numpy(np.int64))
        figures |= {"linear_f1": linear["f1"], "linear_auc": linear["auc"]}
    return figures


def _intervals(labels, predictions, groups, resamples: int, seed: int) -> dict[str, list[float]]:
    """95% intervals of F1, precision and recall."""
    true, predicted, positives = resampled_sums(counts(labels, predictions), groups, resamples, seed).T
    values = {
        "f1_interval": f1_from_counts(true, predicted, positives),
        "precision_interval": _share(true, predicted),
        "recall_interval": _share(true, positives),
    }
    return {name: list(interval(resampled)) for name, resampled in values.items()}


def _auc_interval(rows: pd.DataFrame, resamples: int, seed: int) -> list[float] | None:
    """The 95% interval of AUC over the same samples as the other intervals; None where the rows have one class only.

    Only computed where it is shown, for all rows and by language: it takes two seconds for 100,000 rows.
    """
    labels, groups = rows["label"].to_numpy(np.int64), pd.factorize(rows["_group"])[0]
    aucs = resampled_auc(labels, rows["score"].to_numpy(), groups, resamples, seed)
    return None if np.isnan(aucs).all() else list(interval(aucs))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def f1_mean(tasks: Mapping[str, Mapping[str, Any]]) -> float | None:
    """The competition's score: the plain mean of the tasks' F1; None where a task was left out."""
    return float(np.mean([tasks[name]["f1"] for name in TASKS])) if set(TASKS) <= set(tasks) else None


def metrics_table(entry: Mapping[str, Any]) -> pd.DataFrame:
    """`by_language` of a task's entry as a table: one row a language, `all languages` last; intervals as text."""
    rows = {
        **entry["by_language"],
        "all languages": {k: v for k, v in entry.items() if not isinstance(v, dict)},
    }
    columns = [
        "rows",
        "positive_rate",
        "f1",
        "f1_interval",
        "precision",
        "precision_interval",
        "recall",
        "recall_interval",
        "auc",
        "auc_interval",
        "average_precision",
    ]
    columns += ["threshold", "all_positive_f1", *(["linear_f1"] if "linear_f1" in entry else []), *entry.get(OWN, [])]
    table = pd.DataFrame(rows).T.reindex(columns=columns)
    intervals = [name for name in columns if name.endswith("_interval")]
    return table.assign(**{name: table[name].map(_interval_as_text) for name in intervals})


def _interval_as_text(bounds: list[float] | None) -> str:
    return "{:.3f}–{:.3f}".format(*bounds) if isinstance(bounds, list) else ""
