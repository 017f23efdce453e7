"""Scores of a run → decisions and metrics, one task at a time; what notebook 04 does, in three calls.

The rule is tuned on out-of-fold rows of train alone. Labels of dev, where it has them, are for measuring
only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.decide.labelled import category_seen, check_scores, join_scores
from competition_utils.decide.metrics import Metric, evaluate
from competition_utils.decide.resample import RESAMPLES, query_groups
from competition_utils.decide.rules import ThresholdRule, apply_rule
from competition_utils.decide.selection import (
    Gain,
    RuleChoice,
    UnlabelledChoice,
    choose_for_unlabelled,
    choose_rule,
    grouped_folds,
    single_thresholds,
    with_unlabelled,
)
from competition_utils.decide.thresholds import best_threshold
from competition_utils.errors import UserError

DEV, VALID = "dev", "valid (nested cross-validation)"
Read = Callable[..., pd.DataFrame]  # (name, of=stage) → table; `Stage.read` of runs.stage


@dataclass(frozen=True)
class TaskScores:
    """What the stage gets for a task: `scores` of all splits, and those of each split joined with texts and
    labels.

    `train_targets` and `seen_languages` are those of the original rows of train; `linear` the linear baseline's
    scores, if any.
    """

    task: str
    scores: pd.DataFrame
    valid: pd.DataFrame
    dev: pd.DataFrame
    test: pd.DataFrame
    train_targets: pd.Series
    seen_languages: list[str]
    linear: pd.DataFrame | None

    @cached_property
    def groups(self) -> np.ndarray:
        """int64 [valid rows]: rows of one query share a number."""
        return query_groups(self.valid["query"])

    @property
    def known(self) -> tuple[np.ndarray, ...]:
        """What rules and calibration are fitted on: labels, scores, languages and groups of the valid rows."""
        return *(self.valid[name].to_numpy() for name in ("label", "score", "language")), self.groups

    @property
    def dev_is_labelled(self) -> bool:
        return "label" in self.dev

    def overview(self) -> pd.DataFrame:
        """One row a split: `rows, languages, labelled, positive_rate, mean_score`."""
        splits = {"valid": self.valid, "dev": self.dev, "test": self.test}
        rows = {
            name: {
                "rows": len(table),
                "languages": table["language"].nunique(),
                "labelled": "label" in table,
                "positive_rate": table["label"].mean() if "label" in table else None,
                "mean_score": table["score"].mean(),
            }
            for name, table in splits.items()
        }
        return pd.DataFrame(rows).T


def read_scores(task: str, read: Read) -> TaskScores:
    """Read and join what stages augmentation and finetune left of a task ("QC" or "QI").

    Raises UserError or DataError for scores that are missing, constant or do not fit their rows, and for
    valid rows without labels.
    """
    scores = check_scores(read(f"{task}_scores", of="finetune"), f"finetune/{task}_scores.parquet")
    tables = {split: read(f"{task}_{split}", of="augmentation") for split in ("train", "dev", "test")}
    where = f"finetune/{task}_scores.parquet"
    valid, dev, test = (
        join_scores(scores, tables[table], split, where)
        for split, table in (("valid", "train"), ("dev", "dev"), ("test", "test"))
    )
    if "label" not in valid:
        raise UserError(f"augmentation/{task}_train.parquet: expected a label in every row, found rows without one.")
    train = tables["train"]
    original = train[train["source"] == "original"] if "source" in train else train
    seen = sorted(original["language"].unique())
    return TaskScores(task, scores, valid, dev, test, original["target"], seen, _linear_scores(task, read))


def _linear_scores(task: str, read: Read) -> pd.DataFrame | None:
    try:
        linear = read(f"{task}_linear_scores", of="finetune")
    except UserError:  # the model is the baseline itself, or none was fitted
        return None
    return check_scores(linear, f"finetune/{task}_linear_scores.parquet")


@dataclass(frozen=True)
class TaskDecisions:
    """What the stage decides for a task.

    `decisions` is the decisions table of valid, dev and test (valid rows by thresholds set without them);
    `measured` the labelled rows that the figures are taken on, `measured_on` which they are; `metrics` the
    task's entry of metrics.json.
    """

    rule: ThresholdRule
    choice: RuleChoice
    unlabelled: UnlabelledChoice
    decisions: pd.DataFrame
    measured: pd.DataFrame
    metrics: dict[str, Any]

    def gains(self) -> dict[str, Gain]:
        """What each freer rule gains over the simpler one; empty where there was nothing to choose."""
        gains = {
            "thresholds per language": self.choice.gain,
            "matched rate, by query": self.unlabelled.gain,
            "matched rate, by language": self.unlabelled.gain_by_language,
        }
        return {name: gain for name, gain in gains.items() if gain is not None}


def decide(
    given: TaskScores,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    own: Mapping[str, Metric] = MappingProxyType({}),
) -> TaskDecisions:
    """Choose the rule on the valid rows, apply it to dev and test, and measure it on labelled rows it has not
    seen.

    Those are dev where dev is labelled, else the valid rows under nested cross-validation;
    `metrics["measured_on"]` says which. `own` are further metrics by name (`metrics.named_metrics`).
    """
    choice = choose_rule(*given.known, resamples=resamples, seed=seed)
    unlabelled = choose_for_unlabelled(*given.known, resamples=resamples, seed=seed)
    rule = with_unlabelled(choice, unlabelled)
    nested = given.valid[["id", "language", "split", "score"]].assign(
        threshold=choice.thresholds, prediction=choice.predictions
    )
    applied = apply_rule(given.scores[given.scores["split"] != "valid"], rule)
    decisions = pd.concat([nested, applied], ignore_index=True)
    measured = _measured(given, decisions, seed)
    metrics = evaluate(measured, seen_languages=given.seen_languages, resamples=resamples, seed=seed, own=own)
    metrics |= {"threshold": rule.common, "rule": rule.as_dict(), "why": choice.why}
    metrics["measured_on"] = DEV if given.dev_is_labelled else VALID
    return TaskDecisions(rule, choice, unlabelled, decisions, measured, metrics)


def _measured(given: TaskScores, decisions: pd.DataFrame, seed: int) -> pd.DataFrame:
    split, rows = ("dev", given.dev) if given.dev_is_labelled else ("valid", given.valid)
    decided = decisions.loc[decisions["split"] == split, ["id", "threshold", "prediction"]]
    rows = rows.merge(decided, on="id", validate="one_to_one")
    if given.task == "QC":
        rows["category_seen"] = category_seen(rows["target"], given.train_targets)
    return rows if given.linear is None else rows.merge(_linear_decisions(given, split, seed), on="id")


def _linear_decisions(given: TaskScores, split: str, seed: int) -> pd.DataFrame:
    """`id, linear_score, linear_prediction` of the baseline by its own threshold, tuned as the model's is."""
    labels = given.valid[["id", "label", "query"]]
    linear = given.linear[["id", "split", "score"]].rename(columns={"score": "linear_score"})
    valid = labels.merge(linear[linear["split"] == "valid"], on="id", validate="one_to_one")
    known = (valid["label"].to_numpy(), valid["linear_score"].to_numpy())
    if split == "valid":
        rows, thresholds = (
            valid,
            single_thresholds(*known, grouped_folds(query_groups(valid["query"]), seed=seed)),
        )
    else:
        rows, thresholds = linear[linear["split"] == split], best_threshold(*known).threshold
    rows = rows[["id", "linear_score"]]
    return rows.assign(linear_prediction=(rows["linear_score"] >= thresholds).astype("int8"))
