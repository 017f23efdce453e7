"""Leave one language out in turn: the F1 to expect on a language without labels.

A model is fitted on the other languages, its threshold set on their validation rows, and both are measured on
the language left out, as happens to the languages that only dev and test hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.decide.metrics import basic_metrics, counts, f1_from_counts, f1_score
from competition_utils.decide.resample import RESAMPLES, interval, query_groups, resampled_sums
from competition_utils.decide.rules import matched_threshold
from competition_utils.decide.thresholds import best_threshold
from competition_utils.errors import UserError
from competition_utils.models.base import RelevanceModel, new_model
from competition_utils.progress import progress
from competition_utils.runs.artefacts import artefact_reader
from competition_utils.storage import write_json

VALID_FOLD = 0
NewModel = Callable[[], RelevanceModel]


@dataclass(frozen=True)
class LeftOut:
    """What leaving languages out told, with augmented rows or without.

    `by_language`: one row a language left out, `rows, f1, f1_matched_rate, f1_own` (its own best threshold,
    which nobody can know), `auc, all_positive_f1, threshold, created_rows` (augmented rows tagged with that
    language that served to fit). `f1` over all rows of all languages, each scored while left out, with its
    95% interval by query.
    """

    with_augmentation: bool
    by_language: pd.DataFrame
    f1: float
    f1_interval: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        return {
            "with_augmentation": self.with_augmentation,
            "f1": self.f1,
            "f1_interval": list(self.f1_interval),
            "by_language": self.by_language.to_dict(orient="index"),
        }


def split_for(train: pd.DataFrame, language: str, with_augmentation: bool) -> tuple[pd.DataFrame, ...]:
    """Rows to fit on, to validate on (fold 0 of the other languages) and to measure on (the language's
    original rows).

    Augmented rows serve to fit only, only outside fold 0, and not where their origin is a row of the language
    left out, since its label would tell. Rows translated into that language from others stay: they are what
    augmentation is for.
    """
    original = train["source"] == "original"
    origin_language = train["origin_id"].map(train[original].set_index("id")["language"])
    other = origin_language != language
    if not with_augmentation:
        other &= original
    valid = other & original & (train["fold"] == VALID_FOLD)
    measured = original & (train["language"] == language)
    return train[other & (train["fold"] != VALID_FOLD)], train[valid], train[measured]


def leave_one_language_out(
    train: pd.DataFrame,
    model: NewModel,
    *,
    work_dir: Path,
    seed: int,
    with_augmentation: bool,
    resamples: int = RESAMPLES,
) -> LeftOut:
    """Fit, set the threshold and measure with each language of the original rows left out in turn.

    `train` is an augmented table with `label` and `fold`; `model()` gives an unfitted model; checkpoints go
    to `work_dir`/<language>. Raises UserError with fewer than two languages, or rows without `fold`,
    `source`, `origin_id`.
    """
    languages = _languages(train)
    rows, measured = [], []
    for language in progress(languages, what="languages left out", unit="fits"):
        fit, valid, out = split_for(train, language, with_augmentation)
        fitted = model()
        (work_dir / language).mkdir(parents=True, exist_ok=True)
        fitted.fit(fit, valid, work_dir=work_dir / language, seed=seed)
        valid_labels, valid_scores = valid["label"].to_numpy(np.int64), fitted.score(valid)
        figures, predictions = _measure(out, fitted.score(out), valid_labels, valid_scores)
        created = int(((fit["language"] == language) & (fit["source"] != "original")).sum())
        rows.append({"language": language, **figures, "created_rows": created})
        measured.append(out[["query", "label"]].assign(prediction=predictions))
    pooled = pd.concat(measured, ignore_index=True)
    labels, predictions = pooled["label"].to_numpy(np.int64), pooled["prediction"].to_numpy(np.int64)
    sums = resampled_sums(counts(labels, predictions), query_groups(pooled["query"]), resamples, seed)
    table = pd.DataFrame(rows).set_index("language")
    return LeftOut(with_augmentation, table, f1_score(labels, predictions), interval(f1_from_counts(*sums.T)))


def _languages(train: pd.DataFrame) -> list[str]:
    absent = [name for name in ("label", "fold", "source", "origin_id") if name not in train]
    if absent:
        raise UserError(
            f"leave-one-language-out: expected an augmented table, missing {', '.join(absent)}. Run stage augmentation."
        )
    languages = sorted(train.loc[train["source"] == "original", "language"].unique())
    if len(languages) < 2:
        raise UserError(f"leave-one-language-out: expected labels in two languages or more, found {len(languages)}.")
    return languages


def _measure(out: pd.DataFrame, scores: np.ndarray, valid_labels: np.ndarray, valid_scores: np.ndarray):
    """Figures on the language left out, and its predictions by the threshold of the others."""
    labels, best = out["label"].to_numpy(np.int64), best_threshold(valid_labels, valid_scores)
    predictions = (scores >= best.threshold).astype(np.int64)
    figures = basic_metrics(labels, scores, predictions)
    matched = matched_threshold(scores, best.positive_rate)
    kept = {name: figures[name] for name in ("rows", "f1", "auc", "all_positive_f1")}
    more = {
        "f1_matched_rate": f1_score(labels, scores >= matched),
        "f1_own": best_threshold(labels, scores).f1,
        "threshold": best.threshold,
    }
    return kept | more, predictions


def both_ways(
    train: pd.DataFrame, kind: str, settings: Mapping[str, Any], *, work_dir: Path, seed: int
) -> list[LeftOut]:
    """`leave_one_language_out` with a new model of `kind`: without augmentation and, where `train` has
    created rows, with it."""
    ways: Sequence[bool] = (False, True) if (train["source"] != "original").any() else (False,)
    return [
        leave_one_language_out(
            train,
            lambda: new_model(kind, settings),
            work_dir=work_dir / ("augmented" if way else "original"),
            seed=seed,
            with_augmentation=way,
        )
        for way in ways
    ]


def comparison(ways: Sequence[LeftOut]) -> pd.DataFrame:
    """One row a language left out and `all languages` last: `rows`, then an `f1_…` column a way, for a table
    or figure."""
    tables = []
    for way in ways:
        suffix = "with augmentation" if way.with_augmentation else "without augmentation"
        f1 = pd.concat([way.by_language["f1"], pd.Series({"all languages": way.f1})])
        tables.append(f1.rename(f"f1_{suffix}"))
    rows = ways[0].by_language["rows"]
    return pd.concat([pd.concat([rows, pd.Series({"all languages": rows.sum()})]).rename("rows"), *tables], axis=1)


def leave_out_in_run(run: Path, task: str, kind: str, settings: Mapping[str, Any], *, seed: int) -> list[LeftOut]:
    """`both_ways` on the augmented train table of a run; writes `RUN/leave_one_language_out/{task}.json`."""
    folder = run / "leave_one_language_out"
    train = artefact_reader(run)(f"{task}_train", of="augmentation")
    with TemporaryDirectory(prefix="left_out_") as work_dir:
        ways = both_ways(train, kind, settings, work_dir=Path(work_dir), seed=seed)
    told = {"model": kind, "settings": dict(settings), "seed": seed, "ways": [way.as_dict() for way in ways]}
    write_json(folder / f"{task}.json", told)
    return ways
