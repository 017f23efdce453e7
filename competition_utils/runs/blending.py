"""Blend finished runs into a folder that looks like a run, so that notebook 04 can go on from it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from competition_utils import paths
from competition_utils.decide.blend import Blend, align, blend
from competition_utils.decide.labelled import join_scores
from competition_utils.decide.resample import query_groups
from competition_utils.errors import UserError
from competition_utils.runs.artefacts import artefact_reader, check_as_written
from competition_utils.storage import atomic_write, write_json, write_parquet


def blend_runs(runs: Sequence[Path], out: Path, tasks: Sequence[str], *, how: str, seed: int) -> dict[str, Blend]:
    """Blend the scores of runs, task by task, into `out`.

    `out` gets `finetune/{task}_scores.parquet` and `finetune/{task}_blend.json`, and the first run's
    augmented tables, so that stages threshold_tuning and submission can follow. Nothing is written unless all
    tasks succeed. Raises UserError for a folder that is there already and runs of one name, DataError for
    folds or ids that differ.
    """
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise UserError(f"blend: expected runs of different names, found {', '.join(names)}.")
    if out.exists():
        raise UserError(f"blend: expected --out to name a new run, found {paths.shown(out)}. Choose another name.")
    blends = {task: _blend_task(runs, task, how, seed) for task in tasks}
    for task, made in blends.items():
        _write(out, runs[0], task, made, names)
    return blends


def _blend_task(runs: Sequence[Path], task: str, how: str, seed: int) -> Blend:
    for stage, tables in _copied(task).items():
        check_as_written(runs[0], stage, tables)
    wide = align({run.name: artefact_reader(run)(f"{task}_scores", of="finetune") for run in runs})
    train = artefact_reader(runs[0])(f"{task}_train", of="augmentation")
    first = wide.rename(columns={runs[0].name: "score"})
    valid = join_scores(first, train, "valid", f"{runs[0].name}/finetune/{task}_scores.parquet")
    if "label" not in valid:
        raise UserError(f"blend: expected labels for all valid rows of {task}, found rows without one.")
    return blend(wide, valid["label"].to_numpy(), query_groups(valid["query"]), how=how, seed=seed)


def _copied(task: str) -> dict[str, list[str]]:
    """The files of the first run that a blend gets where they are there, by stage."""
    return {
        "augmentation": [f"{task}_{split}.parquet" for split in ("train", "dev", "test")],
        "finetune": [f"{task}_linear_scores.parquet"],
    }


def _write(out: Path, first: Path, task: str, made: Blend, names: list[str]) -> None:
    write_parquet(out / "finetune" / f"{task}_scores.parquet", made.scores)
    write_json(out / "finetune" / f"{task}_blend.json", {"runs": names, **made.as_dict()})
    for stage, tables in _copied(task).items():
        for source in (first / stage / table for table in tables):
            if source.is_file():
                with atomic_write(out / stage / source.name) as beside:
                    shutil.copyfile(source, beside)
