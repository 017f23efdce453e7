"""Score a file of pairs with a fitted model: read, clean, translate, score, write."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from competition_utils import distributed
from competition_utils.category_tree.hints import HintWriter
from competition_utils.data.check import fields_of, task_of
from competition_utils.data.files import read_table
from competition_utils.errors import UserError
from competition_utils.models.base import load_model
from competition_utils.models.scoring.cache import ScoreCache, model_hash, score_cached
from competition_utils.paths import work_root
from competition_utils.runs.scoring.pairs import CHUNK_ROWS, PLAIN_FIELDS, clean_pairs, model_input, plain_rows
from competition_utils.storage import atomic_write, write_parquet
from competition_utils.tasks import QI, TASKS, Task
from competition_utils.translation.open import open_translator


@dataclass(frozen=True)
class Scored:
    """What `score_file` did; `written` is false in all but the first of several processes."""

    rows: int
    seconds: float
    written: bool


def score_file(
    model: Path,
    source: Path,
    output: Path,
    *,
    task: str | None = None,
    lexicon: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Scored:
    """Write `id, task, language, score` for each row of `source`, in its order.

    `source` has the official fields of a task, or the columns `query` and `target` (then `id` and `language` where
    it has them, else 1, 2, … and "und"). Queries are translated with `lexicon`, else with the lexicon beside
    `source` if there is one. Scores are kept by content under `.cache/scores`: called again after a kill, only what
    is missing is scored. `overrides` are settings of the model to use instead of the saved ones. Raises UserError for
    an output of unknown kind, before any work, and DataError for the faults of the file.
    """
    if output.suffix not in WRITERS:
        raise UserError(f"output: expected a name that ends in {', '.join(WRITERS)}, found {output.name}.")
    if output.is_dir():
        raise UserError(f"output: expected the name of a file, found the folder {output}.")
    start = time.monotonic()
    pairs = clean_pairs(*_read_pairs(source, TASKS[task] if task else None))
    translator = open_translator(str(lexicon or "auto"), source.parent)
    fitted = load_model(model, overrides)  # after the files were read: a large model takes minutes
    pairs = model_input(pairs, translator, HintWriter.of_model(model))
    scores = score_cached(fitted, pairs, ScoreCache(work_root() / ".cache" / "scores" / model_hash(model, overrides)))
    first_process = distributed.is_first()
    if first_process:
        WRITERS[output.suffix](output, pairs[["id", "task", "language"]].assign(score=scores))
    return Scored(len(pairs), time.monotonic() - start, first_process)


def _read_pairs(source: Path, task: Task | None) -> tuple[pd.DataFrame, Task]:
    """The table of a file with official fields or plain ones, and its task."""
    if not source.is_file():
        raise UserError(f"input: expected a file of pairs, found none at {source}.")
    task = task or task_of(source)
    if fields_of(source) and set(fields_of(source)) >= PLAIN_FIELDS:
        return _read_plain(source, task or QI)
    if task is None:
        fields = " or ".join(task.target_field for task in TASKS.values())
        raise UserError(
            f"input: expected rows with origin_query and {fields}, or with query and target; found "
            f"{', '.join(fields_of(source)) or 'no fields'} in {source}."
        )
    return read_table(source, task, split="test"), task


def _read_plain(source: Path, task: Task) -> tuple[pd.DataFrame, Task]:
    """Columns `query, target` (and `id, language` where given) as a table; texts stay as they are."""
    try:
        table = pd.concat([plain_rows(given) for given in _chunks(source)], ignore_index=True)
    except (ValueError, EOFError, zlib.error, gzip.BadGzipFile, pa.ArrowException) as error:
        raise UserError(f"input {source}: expected rows with query and target, found: {error}. Correct it.") from None
    if table.empty:
        raise UserError(f"input: expected rows with query and target, found only their names in {source}.")
    return table.assign(
        id=table["id"] if table["id"].notna().any() else np.arange(1, len(table) + 1),
        task=task.name,
    ), task


def _chunks(source: Path) -> Iterator[pd.DataFrame]:
    """The rows of a file, some at a time: a reader's row takes many times the memory of its text."""
    if ".parquet" in source.suffixes:
        yield pd.read_parquet(source)
    elif ".csv" in source.suffixes:
        yield from pd.read_csv(source, dtype="str", keep_default_na=False, chunksize=CHUNK_ROWS)
    else:
        yield from pd.read_json(source, lines=True, dtype=False, convert_dates=False, chunksize=CHUNK_ROWS)


def _write_csv(path: Path, scores: pd.DataFrame) -> None:
    with atomic_write(path) as beside:
        scores.to_csv(beside, index=False)


def _write_json_lines(path: Path, scores: pd.DataFrame) -> None:
    with atomic_write(path) as beside:
        scores.to_json(beside, orient="records", lines=True, force_ascii=False)


WRITERS = {".csv": _write_csv, ".parquet": write_parquet, ".jsonl": _write_json_lines, ".txt": _write_json_lines}
