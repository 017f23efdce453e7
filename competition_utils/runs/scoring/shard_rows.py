"""A folder of parquet shards: which there are, and the rows of one, some at a time, every fault named by shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from competition_utils.data.files import find_lexicon
from competition_utils.data.parsing import Column, Rows, cut
from competition_utils.data.validation import check_rows
from competition_utils.errors import DataError, Fault, UserError
from competition_utils.progress import progress
from competition_utils.runs.scoring.pairs import CHUNK_ROWS, PLAIN_FIELDS, plain_rows
from competition_utils.tasks import QI, TASKS

WHAT_TO_DO = (
    "Correct these shards, or take them out of the folder. Those that are scored stay, and are not scored again."
)
NOT_READABLE = (pa.ArrowException, OSError, ValueError, ArithmeticError)  # the last two: values beyond Python's


@dataclass(frozen=True)
class Shard:
    """One parquet file. `columns` are those of its columns that are read: the official fields of `task`, or the plain
    ones; `id_type` is the type of its scores' ids, which are 1, 2, … where it has none (`numbered`)."""

    path: Path
    rows: int
    task: str
    columns: tuple[str, ...]
    id_type: pa.DataType
    numbered: bool

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def is_plain(self) -> bool:
        return set(self.columns) >= PLAIN_FIELDS


@dataclass(frozen=True)
class Batch:
    """Rows of a shard: their ids as given, and the table (`task, language, origin_query, origin_target`)."""

    ids: pa.Array
    table: pd.DataFrame


def find_shards(folder: Path, task: str | None = None) -> tuple[list[Shard], list[str]]:
    """The shards of a folder by name, and the names of what else lies in it and is not read.

    Names that start with a dot or an underscore, and a lexicon, are passed over. Raises DataError with the faults of
    all shards that cannot be read or have other columns, UserError where there is no shard.
    """
    lexicon = find_lexicon(folder)
    entries = [path for path in sorted(folder.iterdir()) if path.name[0] not in "._" and path != lexicon]
    paths = [path for path in entries if path.suffix == ".parquet" and path.is_file()]
    if not paths:
        raise UserError(f"input: expected parquet shards (*.parquet) in {folder}, found none. Check the folder.")
    opened = [_open(path, task) for path in progress(paths, what="opening", unit="shards")]
    raise_faults([each for each in opened if isinstance(each, Fault)])
    return [each for each in opened if isinstance(each, Shard)], [p.name for p in entries if p not in paths]


def raise_faults(faults: Sequence[Fault]) -> None:
    """Raise one DataError for faults of whatever shards."""
    if faults:
        names = sorted({fault.where.partition(":")[0] for fault in faults})
        shown = ", ".join(names[: DataError.SHOWN]) + (", …" if len(names) > DataError.SHOWN else "")
        raise DataError(f"Faults in {len(names):,} of the shards ({shown}):", list(faults), WHAT_TO_DO)


def _open(path: Path, task: str | None) -> Shard | Fault:
    try:
        with pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
            if set(schema.names) >= PLAIN_FIELDS:
                columns = [name for name in ("id", "language", "query", "target") if name in schema.names]
                numbered = "id" not in columns or _has_no_ids(file)
                id_type = pa.int64() if numbered else _plain_type(schema.field("id").type)
                return Shard(path, rows, task or QI.name, tuple(columns), id_type, numbered)
    except NOT_READABLE as error:
        return Fault("not parquet", path.name, cut(str(error)))
    asked = [TASKS[task]] if task else TASKS.values()
    official = next((one for one in asked if set(one.fields) <= set(schema.names)), None)
    if official is None:
        fields = "; or ".join(", ".join(one.fields) for one in asked)
        found = f"expected query, target; or {fields}; found {cut(', '.join(schema.names) or 'none', 200)}"
        return Fault("other columns", path.name, found)
    return Shard(path, rows, official.name, official.fields, pa.int64(), numbered=False)


def _has_no_ids(file: pq.ParquetFile) -> bool:
    """Whether every id is null, by the statistics in the file's footer where it has them."""
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    statistics = [column.statistics for column in columns if column.path_in_schema == "id"]
    if all(each is not None and each.has_null_count for each in statistics):
        return sum(each.null_count for each in statistics) == file.metadata.num_rows
    return file.read(["id"])["id"].null_count == file.metadata.num_rows


def _plain_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def read_batches(shard: Shard) -> Iterator[Batch]:
    """The rows of a shard in their order, CHUNK_ROWS at a time.

    Raises DataError with all its faults, after the batches before the first one.
    """
    faults = [] if shard.is_plain else _repeated_ids(shard)
    start = 0
    try:
        with pq.ParquetFile(shard.path, page_checksum_verification=True) as file:
            for given in file.iter_batches(CHUNK_ROWS, columns=list(shard.columns)):
                batch, found = (_plain_batch if shard.is_plain else _official_batch)(shard, given, start)
                faults += found
                start += given.num_rows
                if not faults:
                    yield batch
    except NOT_READABLE as error:
        faults.append(Fault("not parquet", f"{shard.name}:{start + 1}", cut(str(error))))
    raise_faults(faults)


def _repeated_ids(shard: Shard) -> list[Fault]:
    try:
        ids = pq.read_table(shard.path, columns=["id"])["id"].to_pandas()
    except NOT_READABLE as error:
        return [Fault("not parquet", shard.name, cut(str(error)))]
    again = np.flatnonzero(ids.duplicated() & ids.notna())
    return [Fault("duplicate id", f"{shard.name}:{row + 1}", f"id {ids.iat[row]}") for row in again]


def _official_batch(shard: Shard, given: pa.RecordBatch, start: int) -> tuple[Batch, list[Fault]]:
    columns = {name: Column(values) for name, values in given.to_pydict().items()}
    places = range(start + 1, start + given.num_rows + 1)
    checked = check_rows(Rows(columns, places), TASKS[shard.task], shard.name)
    table = checked.table.drop_columns(["label"])
    return Batch(table["id"].combine_chunks(), table.to_pandas()), checked.faults


def _plain_batch(shard: Shard, given: pa.RecordBatch, start: int) -> tuple[Batch, list[Fault]]:
    columns = {name: _without_dictionary(column) for name, column in zip(shard.columns, given.columns, strict=True)}
    if shard.numbered:
        columns["id"] = pa.array(np.arange(start + 1, start + given.num_rows + 1))
    table = plain_rows(pa.table(columns).to_pandas()).assign(task=shard.task)
    return Batch(columns["id"], table), []


def _without_dictionary(column: pa.Array) -> Any:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
