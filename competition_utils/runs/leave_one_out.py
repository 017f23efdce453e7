"""Leave one language out in turn: the F1 to expect on a language without labels.

A model is fitted on the other languages, its threshold set on their validation rows, and both are measured on
the language left out, as happens to the languages that only dev and test hold. One more fit, with all languages, says
what those rows have where their language is fitted on: the difference carries over to a larger fit, F1 itself does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.data import folds
from competition_utils.decide.expect import Expected
from competition_utils.decide.metrics import basic_metrics, counts, f1_from_counts, f1_score
from competition_utils.decide.resample import RESAMPLES, interval, query_groups, resampled_sums
from competition_utils.decide.rules import matched_threshold
from competition_utils.decide.thresholds import best_threshold
from competition_utils.errors import UserError
from competition_utils.f1 import best_f1
from competition_utils.models.base import RelevanceModel, new_model
from competition_utils.progress import progress
from competition_utils.runs.artefacts import artefact_reader
from competition_utils.storage import read_json, write_json

VALID_FOLD = 0
NOTHING = "none"  # the split in which no language is left out
NewModel = Callable[[], RelevanceModel]


@dataclass(frozen=True)
class LeftOut:
    """What leaving languages out gave, with augmented rows or without.

    `by_language`: one row a language left out, `rows, f1, f1_matched_rate, f1_own` (its own best threshold,
    which nobody can know), `auc, all_positive_f1, threshold, created_rows` (augmented rows tagged with that
    language that served to fit). `f1` over all rows of all languages, each scored while left out, with its
    95% interval by query. `drop`: by how much it is lower, on the rows of fold 0, than after a fit on as many rows of
    all languages; above 0 where leaving a language out costs something. `drop_drawn` [resamples] are its bootstrap
    samples, paired by query.
    """

    with_augmentation: bool
    by_language: pd.DataFrame
    f1: float
    f1_interval: tuple[float, float]
    drop: float
    drop_drawn: np.ndarray

    @property
    def drop_interval(self) -> tuple[float, float]:
        """95%."""
        return interval(self.drop_drawn)

    def as_dict(self) -> dict[str, Any]:
        return {
            "with_augmentation": self.with_augmentation,
            "f1": self.f1,
            "f1_interval": list(self.f1_interval),
            "drop": self.drop,
            "drop_interval": list(self.drop_interval),
            "by_language": self.by_language.to_dict(orient="index"),
        }


@dataclass(frozen=True)
class LanguageSplit:
    """Rows to fit on, to validate on (fold 0 of the other languages), and the original rows of the language
    left out."""

    language: str
    fit: pd.DataFrame
    valid: pd.DataFrame
    out: pd.DataFrame

    def of_rows(self, rows: int, seed: int) -> LanguageSplit:
        """The same with `rows` rows to fit on, drawn at random; with all of them for 0, or where there are no more."""
        return replace(self, fit=self.fit.sample(rows, random_state=seed)) if 0 < rows < len(self.fit) else self


def language_splits(train: pd.DataFrame, with_augmentation: bool) -> Iterator[LanguageSplit]:
    """A split for each language, from the masks of `data.folds.leave_one_language_out` over the original
    rows.

    Augmented rows serve to fit only, only outside fold 0, and only where their origin may be fitted on, since
    a label carries over to every translation of its row. Rows translated into the language left out from another
    stay: they are what augmentation is for.
    """
    original = train["source"] == "original"
    for language, kept, out in folds.leave_one_language_out(train[original]):
        allowed = train["origin_id"].isin(train.loc[original, "id"][kept])
        validates = train["fold"] == VALID_FOLD
        fit = train[allowed & ~validates & (with_augmentation | original)]
        yield LanguageSplit(language, fit, train[allowed & validates & original], train[original][out])


def leave_one_language_out(
    train: pd.DataFrame,
    model: NewModel,
    *,
    work_dir: Path,
    seed: int,
    with_augmentation: bool,
    resamples: int = RESAMPLES,
    rows: int = 0,
) -> LeftOut:
    """Fit, set the threshold and measure with each language of the original rows left out in turn.

    `train` is an augmented table with `label` and `fold`; `model()` gives an unfitted model; checkpoints go
    to `work_dir`/<language>. `rows` is how many of its rows each fit sees, drawn at random; 0: all.
    Raises UserError with fewer than two languages, or rows without `fold`, `source`, `origin_id`.
    """
    languages = _languages(train)
    splits = [*language_splits(train, with_augmentation), _nothing_left_out(train, with_augmentation)]
    figures, measured = [], {}
    for split in progress(splits, total=len(languages) + 1, what="languages left out", unit="fits"):
        row, predictions = _fit_and_measure(split.of_rows(rows, seed), model(), work_dir / split.language, seed)
        figures.append(row)
        measured[split.language] = split.out[["id", "query", "label", "fold"]].assign(prediction=predictions)
    fitted = measured.pop(NOTHING)
    pooled = pd.concat(measured.values(), ignore_index=True)
    sums = _resampled(pooled, "prediction", resamples, seed)
    table = pd.DataFrame(figures[:-1]).set_index("language")
    f1 = f1_score(pooled["label"].to_numpy(np.int64), pooled["prediction"].to_numpy(np.int64))
    return LeftOut(with_augmentation, table, f1, interval(sums), *_drop(pooled, fitted, resamples, seed))


def _nothing_left_out(train: pd.DataFrame, with_augmentation: bool) -> LanguageSplit:
    """The rows outside fold 0 to fit on; the original rows of fold 0 to validate and to measure on."""
    original, validates = train["source"] == "original", train["fold"] == VALID_FOLD
    held = train[original & validates]
    return LanguageSplit(NOTHING, train[~validates & (with_augmentation | original)], held, held)


def _drop(left_out: pd.DataFrame, fitted: pd.DataFrame, resamples: int, seed: int) -> tuple[float, np.ndarray]:
    """F1 on the rows of `fitted` less F1 on the same rows of `left_out`, and its samples, paired by query."""
    both = left_out.merge(fitted[["id", "prediction"]], on="id", suffixes=("", "_fitted"), validate="1:1")
    labels = both["label"].to_numpy(np.int64)
    f1 = [f1_score(labels, both[name].to_numpy(np.int64)) for name in ("prediction_fitted", "prediction")]
    drawn = [_resampled(both, name, resamples, seed) for name in ("prediction_fitted", "prediction")]
    return f1[0] - f1[1], drawn[0] - drawn[1]


def _resampled(rows: pd.DataFrame, prediction: str, resamples: int, seed: int) -> np.ndarray:
    """F1 of each bootstrap sample by query; samples of one seed and the same rows hold the same queries."""
    cells = counts(rows["label"].to_numpy(np.int64), rows[prediction].to_numpy(np.int64))
    return f1_from_counts(*resampled_sums(cells, query_groups(rows["query"]), resamples, seed).T)


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


def _fit_and_measure(split: LanguageSplit, model: RelevanceModel, work_dir: Path, seed: int):
    """The language's row of figures, and its predictions by the threshold of the remaining languages."""
    work_dir.mkdir(parents=True, exist_ok=True)
    model.fit(split.fit, split.valid, work_dir=work_dir, seed=seed)
    best = best_threshold(split.valid["label"].to_numpy(np.int64), model.score(split.valid))
    labels, scores = split.out["label"].to_numpy(np.int64), model.score(split.out)
    predictions = (scores >= best.threshold).astype(np.int64)
    figures = basic_metrics(labels, scores, predictions)
    matched = scores >= matched_threshold(scores, best.positive_rate)
    created = (split.fit["language"] == split.language) & (split.fit["source"] != "original")
    row = {
        "language": split.language,
        **{name: figures[name] for name in ("rows", "f1", "auc", "all_positive_f1")},
        "f1_matched_rate": f1_score(labels, matched),
        "f1_own": best_f1(labels, scores),
        "threshold": best.threshold,
        "created_rows": int(created.sum()),
    }
    return row, predictions


def both_ways(
    train: pd.DataFrame,
    kind: str,
    settings: Mapping[str, Any],
    *,
    work_dir: Path,
    seed: int,
    rows: int = 0,
    resamples: int = RESAMPLES,
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
            rows=rows,
            resamples=resamples,
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


def with_drops(
    expected: Mapping[str, Expected | None], ways: Mapping[str, Sequence[LeftOut]]
) -> dict[str, Expected | None]:
    """What to expect on unseen languages less what leaving a language out costs: by task, of the last of its ways,
    which is the one with augmentation where there is one. Tasks without ways stay as they are."""
    lost = {task: each[-1] for task, each in ways.items()}
    return {
        task: one.less(lost[task].drop, lost[task].drop_drawn) if one is not None and task in lost else one
        for task, one in expected.items()
    }


def expected_in_run(run: Path, task: str) -> float | None:
    """The F1 that stage threshold_tuning of a run expects on unseen languages before any drop; None where it has not
    run, or dev holds no unseen language."""
    metrics = run / "threshold_tuning" / "metrics.json"
    found = read_json(metrics).get("expected_on_unseen", {}) if metrics.is_file() else {}
    return found[task]["f1"] if task in found else None


def leave_out_in_run(
    run: Path, task: str, kind: str, settings: Mapping[str, Any], *, seed: int, rows: int = 0
) -> list[LeftOut]:
    """`both_ways` on the augmented train table of a run; writes `RUN/leave_one_language_out/{task}.json`."""
    folder = run / "leave_one_language_out"
    train = artefact_reader(run)(f"{task}_train", of="augmentation")
    with TemporaryDirectory(prefix="left_out_") as work_dir:
        ways = both_ways(train, kind, settings, work_dir=Path(work_dir), seed=seed, rows=rows)
    content = {
        "model": kind,
        "settings": dict(settings),
        "seed": seed,
        "rows": rows,
        "ways": [way.as_dict() for way in ways],
    }
    write_json(folder / f"{task}.json", content)
    return ways
