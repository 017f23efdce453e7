"""What a second view of the query adds to a run's model: e5 cosines of the original and the English text, stacked.

    python -m benchmarks.quality.second_view sample
    python -m benchmarks.quality.second_view sample --task QI

A logistic regression on the logit of the model's score, that of `linear`, and the cosines; also with weights by how far
the query was translated. It is fitted on the validation rows of fold 0 and its threshold chosen on them by five folds
over queries; F1 and AUC are measured on the labelled rows of dev, with paired 95% bootstrap intervals over queries
against the model alone, treated the same way.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.command import exit_status, new_parser
from benchmarks.quality.base_models import e5_cosine, e5_cosine_in_english, rows_of
from competition_utils.decide.metrics import counts, f1_from_counts
from competition_utils.decide.resample import interval, query_groups, resampled_sums
from competition_utils.decide.slices import NONE, PART, how_translated
from competition_utils.decide.thresholds import best_threshold
from competition_utils.runs.artefacts import find_run
from competition_utils.tasks import TASKS

ALL_ROWS, RESAMPLES, FOLDS = 10**9, 1000, 5


def views(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Name → float [n, features] of the rows; the first is the model alone."""
    model, linear = (_logit(table[name].to_numpy()) for name in ("of_run", "of_linear"))
    cosines = np.column_stack([e5_cosine(table, {}), e5_cosine_in_english(table, {})])
    features = np.column_stack([model, linear, cosines])
    how = how_translated(table)
    flags = [(how == kind).to_numpy(float)[:, None] for kind in (PART, NONE)]
    by_translation = np.hstack([features, *flags, *(features * flag for flag in flags)])
    return {
        "model": features[:, :1],
        "model, linear": features[:, :2],
        "model, e5": features[:, [0, 2, 3]],
        "model, linear, e5": features,
        "all, by translation": by_translation,
    }


def decide(fit: np.ndarray, labels: np.ndarray, groups: np.ndarray, dev: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and predictions 0/1 of the dev rows."""
    stack = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=1000))
    folds = cross_val_predict(stack, fit, labels, groups=groups, cv=GroupKFold(FOLDS), method="predict_proba")[:, 1]
    scores = stack.fit(fit, labels).predict_proba(dev)[:, 1]
    return scores, (scores >= best_threshold(labels, folds).threshold).astype(np.int64)


def measure(task: str, run: str) -> pd.DataFrame:
    """A row a view: `f1, seen, unseen, auc, auc unseen`, and `gain, low, high` of F1 against the model, in points."""
    rows = rows_of(find_run(run), task, ALL_ROWS)
    valid, dev = rows["valid"], rows["dev"]
    labels, truth = valid["label"].to_numpy(np.int64), dev["label"].to_numpy(np.int64)
    groups, unseen = query_groups(valid["query"]), ~dev["language"].isin(rows["train"]["language"]).to_numpy()
    given, asked = views(valid), views(dev)
    table, alone = {}, None
    for name in given:
        scores, predictions = decide(given[name], labels, groups, asked[name])
        cells = counts(truth, predictions)
        drawn = f1_from_counts(*resampled_sums(cells, query_groups(dev["query"]), RESAMPLES, seed=0).T)
        f1, of_seen, of_unseen = (_f1(cells[part]) for part in (slice(None), ~unseen, unseen))
        alone = (f1, drawn) if alone is None else alone
        low, high = interval(100 * (drawn - alone[1]))
        table[name] = {
            "f1": f1,
            "seen": of_seen,
            "unseen": of_unseen,
            "auc": roc_auc_score(truth, scores),
            "auc unseen": roc_auc_score(truth[unseen], scores[unseen]) if unseen.any() else np.nan,
            "gain": 100 * (f1 - alone[0]),
            "low": low,
            "high": high,
        }
    return pd.DataFrame(table).T


def _f1(cells: np.ndarray) -> float:
    return float(f1_from_counts(*cells.sum(axis=0)))


def _logit(scores: np.ndarray) -> np.ndarray:
    inside = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("run", metavar="RUN", help="a finished run of both tasks, with its linear baseline")
    parser.add_argument("--task", nargs="+", choices=list(TASKS), default=list(TASKS))
    args = parser.parse_args()
    for task in args.task:
        print(f"{task}, dev\n{measure(task, args.run).round(4).to_string()}", flush=True)


if __name__ == "__main__":
    sys.exit(exit_status(main))
