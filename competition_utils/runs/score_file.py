"""Score a file of pairs with a fitted model: read, clean, translate, score, write."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import pandas as pd

from competition_utils.augment.build import open_translator
from competition_utils.augment.translate import translate_table
from competition_utils.data.clean import clean_table
from competition_utils.data.files import read_table
from competition_utils.errors import UserError
from competition_utils.models.base import load_model
from competition_utils.storage import appears_whole, write_parquet
from competition_utils.tasks import TASKS, Task


def score_file(
    model: Path, source: Path, output: Path, *, task: str | None = None, lexicon: Path | None = None
) -> tuple[int, float]:
    """Write `id, task, language, score` for each row of `source`, in its order; gives rows and seconds.

    Queries are translated with `lexicon`, else with the lexicon beside `source` if there is one: score as the
    model was fitted. Raises UserError for an output of unknown kind, before any work, and DataError for the
    faults of the file.
    """
    if output.suffix not in WRITERS:
        raise UserError(f"output: expected a name that ends in {', '.join(WRITERS)}, found {output.name}.")
    start = time.monotonic()
    fitted = load_model(model)
    chosen = TASKS[task] if task else _task_of(source)
    table, _ = clean_table(read_table(source, chosen, split="test"), chosen)
    translator = open_translator(str(lexicon or "auto"), source.parent)
    table["query_en"] = "" if translator is None else translate_table(table, translator)
    scores = table[["id", "task", "language"]].assign(score=fitted.score(table))
    WRITERS[output.suffix](output, scores)
    return len(scores), time.monotonic() - start


def _task_of(source: Path) -> Task:
    """The task whose target field the file has, by its first bytes."""
    if not source.is_file():
        raise UserError(f"input: expected a file of pairs, found none at {source}.")
    with gzip.open(source) if source.suffix == ".gz" else source.open("rb") as stream:
        head = stream.read(4096)
    found = [task for task in TASKS.values() if task.target_field.encode() in head]
    if len(found) != 1:
        fields = " or ".join(task.target_field for task in TASKS.values())
        raise UserError(f"input: expected rows with {fields}, found neither at the start of {source}. Give --task.")
    return found[0]


def _write_csv(path: Path, scores: pd.DataFrame) -> None:
    with appears_whole(path) as beside:
        scores.to_csv(beside, index=False)


def _write_json_lines(path: Path, scores: pd.DataFrame) -> None:
    with appears_whole(path) as beside:
        scores.to_json(beside, orient="records", lines=True, force_ascii=False)


WRITERS = {".csv": _write_csv, ".parquet": write_parquet, ".jsonl": _write_json_lines, ".txt": _write_json_lines}
