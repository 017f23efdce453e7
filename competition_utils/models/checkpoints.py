"""Checkpoints of a fit under way: which one is whole, and whose they are."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from competition_utils.storage import read_json, write_json

WHOLE = "whole"  # an empty file in a checkpoint that was written to its end
PAIR_COLUMNS = ["task", "language", "query", "query_en", "target", "target_en", "category_hint"]


def last_whole_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end; halves that a kill left are removed."""
    by_step = {int(path.name.split("-")[1]): path for path in folder.glob("checkpoint-*")}
    for step in sorted(by_step, reverse=True):
        if (by_step[step] / WHOLE).is_file():
            return str(by_step[step])
        shutil.rmtree(by_step[step], ignore_errors=True)
    return None


def forget_other_fits(work_dir: Path, key: str, folders: Iterable[str]) -> None:
    """Remove `folders` of `work_dir` where they belong to a fit with another `key` (settings, rows, seed)."""
    note = work_dir / "fit.json"
    if note.is_file() and read_json(note)["key"] != key:
        for name in folders:
            shutil.rmtree(work_dir / name, ignore_errors=True)
    write_json(note, {"key": key})


def hash_of_rows(*tables: pd.DataFrame) -> str:
    """sha256 over the columns that a fit reads, in order of rows."""
    digest = hashlib.sha256()
    for table in tables:
        columns = [name for name in [*PAIR_COLUMNS, "label", "weight"] if name in table]
        digest.update(pd.util.hash_pandas_object(table[columns].astype("str"), index=False).to_numpy().tobytes())
    return digest.hexdigest()
