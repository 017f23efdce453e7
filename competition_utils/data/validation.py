"""What the values of a file should be: checked by column, by row only where a column holds something else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress
from types import NoneType
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from competition_utils.data.parsing import Column, Missing, Rows, short, whole_number
from competition_utils.errors import Fault
from competition_utils.tasks import Task

LABELS = {0: 0, 1: 1, "0": 0, "1": 1, None: None, Missing.FIELD: None}
RowFault = tuple[int, str, str]  # number of the row, kind of fault, what was found
_CHECKED_ELSEWHERE = {Missing, dict, list}  # types with a check of their own, which the other checks skip

# kind of fault → what it means. Rows with a fault of these kinds are left out where the config allows the kind.
ROW_FAULTS = {
    "not JSON": "a line that is not one JSON object",
    "not CSV": "a record with more or fewer cells than the header, or with broken quotes",
    "invalid UTF-8": "a byte that no UTF-8 text holds",
    "truncated gzip": "the file ends before its content does: only the whole lines before are there",
    "missing field": "a field that the task has, and the row lacks",
    "repeated field": "a field that is given twice in a row",
    "nested field": "a list or an object where a plain value belongs",
    "bad id": "an id that is not a whole number of at most 64 bits",
    "wrong task": "a row of another task",
    "not text": "a language or query that is not text, or a target that is neither text nor null",
    "bad label": 'a label other than 0, 1, "0" or "1"',
    "duplicate id": "an id that an earlier row has",
    "label missing": "no label, though other rows of the file have one",
}


class FaultyRow(NamedTuple):
    """What is known of a row with a fault, so that it still counts where rows are compared."""

    place: int
    id: int | None
    labelled: bool


@dataclass
class Batch:
    """Rows without a fault as a typed table, their line numbers, further fields, and notes."""

    table: pa.Table
    places: np.ndarray
    faulty: list[FaultyRow]
    extras: dict[str, list]
    faults: list[Fault]
    notes: list[str]
    rows: int
    blank_lines: int
    ids_as_text: int


def check_rows(rows: Rows, task: Task, name: str) -> Batch:
    """Check the values of `rows`; those without a fault become a table (columns as in `files.read_table`)."""
    absent = Column([Missing.FIELD] * len(rows.places))
    columns = {field: rows.columns.get(field, absent) for field in (*task.fields, "label")} | rows.columns
    places = np.asarray(rows.places, dtype=np.int64)
    found = sorted(_row_faults(columns, task), key=lambda fault: fault[0])
    faults = [Fault(kind, f"{name}:{places[row]}", text) for row, kind, text in found]
    faulty = _faulty_rows(columns, places, {row for row, _, _ in found})
    if found:
        good = np.ones(len(places), dtype=bool)
        good[[row for row, _, _ in found]] = False
        columns = {field: Column(list(compress(column.values, good))) for field, column in columns.items()}
        places = places[good]
    extras = [field for field in rows.columns if field not in (*task.fields, "label")]
    return Batch(
        table=_typed(columns, task),
        places=places,
        faulty=faulty,
        extras={field: columns[field].values for field in extras},
        faults=rows.faults + faults,
        notes=rows.notes,
        rows=len(rows.places),
        blank_lines=rows.blank_lines,
        ids_as_text=list(map(type, columns["id"].values)).count(str),
    )


def _faulty_rows(columns: dict[str, Column], places: np.ndarray, rows: set[int]) -> list[FaultyRow]:
    ids, labels = columns["id"].values, columns["label"].values
    unlabelled = (None, Missing.FIELD)
    return [FaultyRow(int(places[row]), whole_number(ids[row]), labels[row] not in unlabelled) for row in sorted(rows)]


def join_batches(batches: list[Batch]) -> Batch:
    """All batches of a file as one; a further field that a batch lacks is `Missing.FIELD` there."""
    names = dict.fromkeys(name for batch in batches for name in batch.extras)
    return Batch(
        table=pa.concat_tables([batch.table for batch in batches]),
        places=np.concatenate([batch.places for batch in batches]),
        faulty=[row for batch in batches for row in batch.faulty],
        extras={
            name: [v for batch in batches for v in batch.extras.get(name, [Missing.FIELD] * len(batch.places))]
            for name in names
        },
        faults=[fault for batch in batches for fault in batch.faults],
        notes=[note for batch in batches for note in batch.notes],
        rows=sum(batch.rows for batch in batches),
        blank_lines=sum(batch.blank_lines for batch in batches),
        ids_as_text=sum(batch.ids_as_text for batch in batches),
    )


def _typed(columns: dict[str, Column], task: Task) -> pa.Table:
    ids = columns["id"]
    texts = {
        "task": "task",
        "language": "language",
        "origin_query": "origin_query",
        "origin_target": task.target_field,
    }
    return pa.table(
        {
            "id": pa.array(map(whole_number, ids.values) if str in ids.types else ids.values, pa.int64()),
            **{name: pa.array(columns[field].values, pa.large_string()) for name, field in texts.items()},
            "label": pa.array(map(LABELS.get, columns["label"].values), pa.int8()),
        }
    )


def _row_faults(columns: dict[str, Column], task: Task) -> Iterator[RowFault]:
    for field in task.fields:
        yield from _missing_faults(columns[field], field)
    for field, column in columns.items():
        yield from _nested_faults(column, field)
    yield from _id_faults(columns["id"])
    yield from _task_faults(columns["task"], task)
    yield from _text_faults(columns["language"], "language", {str})
    yield from _text_faults(columns["origin_query"], "origin_query", {str})
    yield from _text_faults(columns[task.target_field], task.target_field, {str, NoneType})
    yield from _label_faults(columns["label"])


def _missing_faults(column: Column, field: str) -> Iterator[RowFault]:
    if Missing in column.types:
        for row, value in enumerate(column.values):
            if value is Missing.FIELD:
                yield row, "missing field", f"no {field}"


def _nested_faults(column: Column, field: str) -> Iterator[RowFault]:
    if column.types & {dict, list}:
        for row, value in enumerate(column.values):
            if type(value) in (dict, list):
                yield row, "nested field", f"{field}: {short(value)}"


def _id_faults(column: Column) -> Iterator[RowFault]:
    if column.types == {int} and -(2**63) <= min(column.values) <= max(column.values) < 2**63:
        return
    for row, value in enumerate(column.values):
        if type(value) not in _CHECKED_ELSEWHERE and whole_number(value) is None:
            yield row, "bad id", short(value)


def _task_faults(column: Column, task: Task) -> Iterator[RowFault]:
    if column.types == {str} and set(column.values) == {task.name}:
        return
    for row, value in enumerate(column.values):
        if type(value) not in _CHECKED_ELSEWHERE and value != task.name:
            yield row, "wrong task", f"expected {task.name}, found {short(value)}"


def _text_faults(column: Column, field: str, allowed: set[type]) -> Iterator[RowFault]:
    if not column.types <= allowed:
        for row, value in enumerate(column.values):
            if type(value) not in allowed | _CHECKED_ELSEWHERE:
                yield row, "not text", f"{field}: {short(value)}"


def _label_faults(column: Column) -> Iterator[RowFault]:
    plain = {int, str, NoneType, Missing}  # by type first: True and 1.0 equal 1
    if column.types <= plain and set(column.values) <= LABELS.keys():
        return
    for row, value in enumerate(column.values):
        if type(value) not in _CHECKED_ELSEWHERE and (type(value) not in plain or value not in LABELS):
            yield row, "bad label", short(value)
