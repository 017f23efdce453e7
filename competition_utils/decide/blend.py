"""Blending runs: a weighted mean of probabilities or ranks, or stacking by logistic regression.

Weights are fitted on out-of-fold scores and measured by nested cross-validation grouped by query. A member
stays only if the blend is significantly worse without it (99% interval, as for the choice of rules).

Sources: Breiman, Stacked regressions (1996), weights on the simplex; Caruana et al., Ensemble selection
(2004), search by steps; Wolpert, Stacked generalization (1992).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from competition_utils.decide.labelled import check_scores
from competition_utils.decide.metrics import f1_score
from competition_utils.decide.selection import CHOICE_LEVEL, Gain, f1_gain, grouped_folds, single_thresholds
from competition_utils.errors import DataError, Fault, UserError
from competition_utils.progress import progress

HOWS = ("probability", "rank", "stack")
KEYS = ["id", "task", "language", "fold", "split"]
STEPS = (0.2, 0.1, 0.05)  # mass moved from one member to another, coarse to fine
EDGE = 1e-6
Combine = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (inputs [n, members], languages [n]) → scores [n]


def align(members: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Scores tables side by side: `id, task, language, fold, split`, then a float64 column a member.

    Raises UserError for fewer than two members, DataError for ids, folds or languages that differ between
    them.
    """
    if len(members) < 2:
        raise UserError(f"blend: expected two runs or more, found {len(members)}.")
    (first, table), *others = members.items()
    wide = check_scores(table, first)[[*KEYS, "score"]].rename(columns={"score": first})
    for name, scores in others:
        column = check_scores(scores, name)[[*KEYS, "score"]].rename(columns={"score": name})
        joined = wide.merge(column, on=KEYS, how="outer", indicator=True)
        _refuse_strangers(joined, first, name)
        wide = wide.merge(column, on=KEYS, validate="one_to_one")
    return wide.astype(dict.fromkeys(members, "float64"))


def _refuse_strangers(joined: pd.DataFrame, first: str, name: str) -> None:
    strangers = joined[joined["_merge"] != "both"]
    if len(strangers):
        kind = "a row whose id, language, fold or split only one of the runs has"
        only = np.where(strangers["_merge"] == "left_only", first, name)
        found = strangers[["split", "id", "fold"]].astype("str").agg(", ".join, axis=1)
        faults = [Fault(kind, f"{run} alone", row) for run, row in zip(only, found, strict=True)]
        raise DataError(
            f"blend: expected {first} and {name} to hold the same rows in the same folds.",
            faults,
            "Blend runs that were made from one data folder with the same folds and fit_folds.",
        )


def to_ranks(valid: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Where each score stands among the valid rows' scores: 0–1, the middle of a tie. Both [n, members].

    Against the valid rows in all splits, so that a row's rank does not hang on its neighbours in dev or test.
    """
    ranks = np.empty_like(scores, dtype=np.float64)
    for at in range(scores.shape[1]):
        known = np.sort(valid[:, at])
        below, upto = (np.searchsorted(known, scores[:, at], side=side) for side in ("left", "right"))
        ranks[:, at] = (below + upto) / (2 * len(known))
    return ranks


def simplex_weights(labels: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Weights ≥ 0 with sum 1, float64 [members], that give the weighted mean of `inputs` [n, members] the
    best average precision: from the best single member, mass is moved between members as long as that
    helps."""
    members = inputs.shape[1]
    corners = np.eye(members)
    values = [average_precision_score(labels, inputs @ corner) for corner in corners]
    weights, best = corners[int(np.argmax(values))], max(values)
    for step in STEPS:
        moved = True
        while moved:
            moves = [
                weights + step * (corners[to] - corners[source])
                for to in range(members)
                for source in range(members)
                if to != source and weights[source] >= step - 1e-9
            ]
            values = [average_precision_score(labels, inputs @ each) for each in moves]
            moved = bool(values) and max(values) > best + 1e-9
            if moved:
                weights, best = moves[int(np.argmax(values))], max(values)
    return weights.round(4)


@dataclass(frozen=True)
class Fitted:
    """A way to combine members, and its weights or a stack's coefficients."""

    combine: Combine
    weights: np.ndarray


def fit_blend(how: str, labels: np.ndarray, inputs: np.ndarray, languages: np.ndarray) -> Fitted:
    """Fit one way of blending on labelled rows: `labels` [n] 0/1, `inputs` [n, members] in 0–1, `languages` [n]."""
    if how == "stack":
        return _fit_stack(labels, inputs, languages)
    weights = simplex_weights(labels, inputs)
    return Fitted(lambda some, _: some @ weights, weights)


def _fit_stack(labels: np.ndarray, inputs: np.ndarray, languages: np.ndarray) -> Fitted:
    """Logistic regression on the members' log-odds with an indicator a language; one without labels has none."""
    names = np.unique(languages)

    def features(some: np.ndarray, of: np.ndarray) -> np.ndarray:
        return np.hstack([logit(np.clip(some, EDGE, 1 - EDGE)), of[:, None] == names])

    model = LogisticRegression(C=1.0, max_iter=1000).fit(features(inputs, languages), labels)
    weights = model.coef_[0, : inputs.shape[1]]
    return Fitted(lambda some, of: model.predict_proba(features(some, of))[:, 1], weights)


def _nested(how, labels, inputs, languages, folds) -> np.ndarray:
    """Blended scores [n], each from a fit without the row's fold."""
    scores = np.empty(len(labels))
    for fold in np.unique(folds):
        out = folds == fold
        fitted = fit_blend(how, labels[~out], inputs[~out], languages[~out])
        scores[out] = fitted.combine(inputs[out], languages[out])
    return np.clip(scores, 0, 1)


@dataclass(frozen=True)
class Blend:
    """What blending made.

    `scores` a scores table (valid rows by nested fits); `members` one row a run: `f1` and `average_precision`
    alone, `weight`, `kept`, and the `gain` (with `low, high`) of having it when it was kept or dropped;
    `correlation` of the runs' scores on valid rows (Spearman); `f1` and `average_precision` of the blend on
    valid rows, nested; `gain` over the best member.
    """

    scores: pd.DataFrame
    members: pd.DataFrame
    correlation: pd.DataFrame
    how: str
    f1: float
    average_precision: float
    gain: Gain

    def as_dict(self) -> dict[str, Any]:
        return {
            "how": self.how,
            "f1": self.f1,
            "average_precision": self.average_precision,
            "gain_over_best_member": vars(self.gain),
            "members": self.members.to_dict("index"),
            "correlation": self.correlation.to_dict(),
        }


class _Valid:
    """The labelled rows that members are judged on, and each set of members judged once."""

    def __init__(self, how, labels, inputs, languages, groups, seed, resamples):
        self.how, self.labels, self.inputs, self.languages, self.groups = how, labels, inputs, languages, groups
        self.folds = grouped_folds(groups, seed=seed)
        self.sampling = {"level": CHOICE_LEVEL, "resamples": resamples, "seed": seed}
        self._known: dict[tuple[int, ...], np.ndarray] = {}

    def nested(self, members: Sequence[int]) -> np.ndarray:
        """Nested scores [n] of some members; of one alone, its own."""
        key = tuple(members)
        if key not in self._known:
            inputs = self.inputs[:, list(key)]
            alone = len(key) == 1
            self._known[key] = (
                inputs[:, 0] if alone else _nested(self.how, self.labels, inputs, self.languages, self.folds)
            )
        return self._known[key]

    def predictions(self, members: Sequence[int]) -> np.ndarray:
        scores = self.nested(members)
        return (scores >= single_thresholds(self.labels, scores, self.folds)).astype(np.int64)

    def f1(self, members: Sequence[int]) -> float:
        return f1_score(self.labels, self.predictions(members))

    def gain(self, members: Sequence[int], against: Sequence[int]) -> Gain:
        pair = self.predictions(members), self.predictions(against)
        return f1_gain(self.labels, *pair, self.groups, **self.sampling)

    def keep(self, members: int) -> tuple[list[int], dict[int, Gain]]:
        """Drop the member that helps least until each that stays helps significantly; gains as last measured."""
        kept, gains = list(range(members)), {}
        rounds = progress(total=members - 1, what="members dropped", unit="members")
        while len(kept) > 1:
            gains |= {at: self.gain(kept, [each for each in kept if each != at]) for at in kept}
            least = min(kept, key=lambda at: (gains[at].value, self.f1([at])))
            if gains[least].significant:
                break
            kept.remove(least)
            rounds.update()
        rounds.close()
        return kept, gains


def blend(
    wide: pd.DataFrame,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    how: str = "probability",
    resamples: int = 1000,
    seed: int = 0,
) -> Blend:
    """Blend aligned members (`align`'s table).

    `labels` [valid rows] 0/1 and `groups` int [valid rows], in the order of the table's valid rows. Valid
    rows get nested scores, dev and test those of a fit on all valid rows. Raises UserError for an unknown
    `how`.
    """
    if how not in HOWS:
        raise UserError(f"blend: expected how to be one of {', '.join(HOWS)}, found {how!r}.")
    names = [name for name in wide if name not in KEYS]
    inputs, languages = wide[names].to_numpy(np.float64), wide["language"].to_numpy()
    is_valid = (wide["split"] == "valid").to_numpy()
    if how == "rank":
        inputs = to_ranks(inputs[is_valid], inputs)
    valid = _Valid(how, np.asarray(labels), inputs[is_valid], languages[is_valid], groups, seed, resamples)
    kept, gains = valid.keep(len(names))
    weights, scores = np.zeros(len(names)), np.empty(len(wide))
    scores[is_valid] = valid.nested(kept)
    scores[~is_valid], weights[kept] = _final(valid, kept, inputs[~is_valid], languages[~is_valid])
    best = max(range(len(names)), key=lambda at: valid.f1([at]))
    table = wide[KEYS].assign(score=np.clip(scores, 0, 1).astype(np.float32))
    return Blend(
        scores=table[["id", "task", "language", "score", "fold", "split"]],
        members=_members_table(valid, names, weights, kept, gains),
        correlation=wide.loc[is_valid, names].corr(method="spearman"),
        how=how,
        f1=valid.f1(kept),
        average_precision=float(average_precision_score(valid.labels, valid.nested(kept))),
        gain=valid.gain(kept, [best]),
    )


def _final(valid: _Valid, kept: list[int], inputs: np.ndarray, languages: np.ndarray):
    """Scores of the other splits, and weights, by a fit on all valid rows; one member alone stays as it is."""
    if len(kept) == 1:
        return inputs[:, kept[0]], np.ones(1)
    fitted = fit_blend(valid.how, valid.labels, valid.inputs[:, kept], valid.languages)
    return (fitted.combine(inputs[:, kept], languages) if len(inputs) else np.empty(0)), fitted.weights


def _members_table(valid: _Valid, names, weights, kept, gains) -> pd.DataFrame:
    rows = {
        name: {
            "f1": valid.f1([at]),
            "average_precision": float(average_precision_score(valid.labels, valid.inputs[:, at])),
            "weight": float(weights[at]),
            "kept": at in kept,
            "gain": gains[at].value,
            "low": gains[at].low,
            "high": gains[at].high,
        }
        for at, name in enumerate(names)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("run")
