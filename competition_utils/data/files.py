"""Official files ↔ table: read with every fault named, write exactly what was read."""

from __future__ import annotations

import csv
import gzip
import json
import warnings
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from competition_utils.data.parsing import SUFFIXES, Missing, cut, read_rows
from competition_utils.data.validation import ROW_FAULTS, Batch, check_rows, join_batches
from competition_utils.errors import DataError, Fault, UserError
from competition_utils.storage import atomic_write, write_parquet
from competition_utils.tasks import SPLITS, Task, plain_or_zipped

LONG_TEXT = 10_000  # characters; the competition's titles end at a few hundred
WHAT_TO_DO = "Correct the places named, or allow a kind of fault by its name: its rows are then left out, and reported."
SHOWN = 5  # places a note names
COLUMNS = ("id", "task", "language", "origin_query", "origin_target", "label")
EXTRA_PREFIX = "extra_"  # of the columns for fields that are not the task's, so that none can collide with ours
MOST_EXTRAS = 100


class DataWarning(UserWarning):
    """Something in a file that was accepted, but that the user should know."""


@dataclass(frozen=True)
class FileReport:
    """What is in a file: `table` has the rows without a fault (columns as in `read_table`), `rows` counts all
    rows that could be separated, `notes` are sentences on what was accepted though it is not as expected."""

    path: Path
    task: Task
    table: pd.DataFrame
    rows: int
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]

    def accept(self, allow: Collection[str] = ()) -> pd.DataFrame:
        """The table, if there is no fault or only faults of the kinds in `allow` (names from `ROW_FAULTS`).

        Notes, and what was left out, are reported as one DataWarning. Raises DataError with all faults otherwise,
        and where no row is left.
        """
        raise_faults([self], allow)
        if self.table.empty:
            raise DataError(f"{self.path}: expected rows without a fault, found none", list(self.faults), WHAT_TO_DO)
        left_out = pd.Series([fault.kind for fault in self.faults], dtype="str").value_counts()
        notes = [f"left out as allowed: {count:,} × {kind}" for kind, count in left_out.items()] + list(self.notes)
        if notes:
            warnings.warn(f"{self.path.name}: " + "; ".join(notes), DataWarning, stacklevel=3)
        return self.table


def raise_faults(reports: Iterable[FileReport], allow: Collection[str] = ()) -> None:
    """Raise one DataError for all faults of all reports, but for the kinds in `allow`."""
    unknown = sorted(set(allow) - ROW_FAULTS.keys())
    if unknown:
        raise UserError(f"allowed faults: expected some of {', '.join(ROW_FAULTS)}; found {', '.join(unknown)}.")
    faulty = {report.path: [fault for fault in report.faults if fault.kind not in allow] for report in reports}
    faulty = {path: faults for path, faults in faulty.items() if faults}
    if faulty:
        headline = f"Faults in {', '.join(map(str, faulty))}:"
        raise DataError(headline, [fault for faults in faulty.values() for fault in faults], WHAT_TO_DO)


def read_table(
    path: Path | str,
    task: Task,
    *,
    split: str = "train",
    need_label: bool | None = None,
    allow: Collection[str] = (),
) -> pd.DataFrame:
    """Read an official file: JSON lines (`.txt`, `.jsonl`), CSV or parquet by suffix, gzipped or not.

    Parameters
    ----------
    split : "train", "dev" or "test"; a train file needs labels, unless `need_label` says otherwise.
    allow : kinds of fault (`validation.ROW_FAULTS`) whose rows are left out instead of stopping.

    Returns
    -------
    DataFrame with `id` int64, `task`, `language`, `origin_query`, `origin_target` (NaN where the title is
    null), texts exactly as in the file, `label` Int8 (absent if no row has one), then further fields of the
    file as `extra_NAME`. In file order, with a RangeIndex.

    Raises
    ------
    DataError
        With all faults of the file together. What was accepted though it is not as expected comes as a DataWarning.
    """
    need_label = split == "train" if need_label is None else need_label
    return inspect_file(path, task, need_label=need_label).accept(allow)


def inspect_file(path: Path | str, task: Task, *, need_label: bool = False) -> FileReport:
    """Read a file as `read_table` does, but report its faults and notes instead of raising."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        return FileReport(path, task, pd.DataFrame(columns=list(COLUMNS)), 0, (_no_file(path, error),), ())
    batch = join_batches([check_rows(rows, task, path.name) for rows in read_rows(data, path.name, task)])
    table = batch.table.to_pandas(types_mapper={pa.int8(): pd.Int8Dtype()}.get)
    extras = {f"{EXTRA_PREFIX}{name}": _plain_column(batch.extras[name]) for name in list(batch.extras)[:MOST_EXTRAS]}
    table = pd.concat([table, pd.DataFrame(extras, index=table.index)], axis=1)
    faults = _faults_across_rows(_all_rows(batch), path.name, need_label)
    if not (batch.rows or batch.faults):
        faults = [(-1, Fault("empty file", str(path), "not one row"))]
    kept = np.ones(len(table), dtype=bool)
    kept[[row for row, _ in faults if row >= 0]] = False
    table = table[kept].reset_index(drop=True)
    notes = batch.notes + _notes(table, batch, batch.places[kept], task)
    if not table["label"].notna().any():
        table = table.drop(columns="label")
    return FileReport(path, task, table, batch.rows, (*batch.faults, *(f for _, f in faults)), tuple(notes))


def _no_file(path: Path, error: OSError) -> Fault:
    if not isinstance(error, FileNotFoundError):
        return Fault("unreadable file", str(path), error.strerror or str(error))
    return Fault("missing file", str(path), "a link to nothing" if path.is_symlink() else "no such file")


def _plain_column(values: list) -> pd.Series:
    """A further field as a column: numbers, truth values or text; a mixture becomes text, spelt as JSON."""
    values = [None if value is Missing.FIELD else value for value in values]
    types = set(map(type, values)) - {type(None)}
    dtypes = {frozenset({str}): "str", frozenset({int}): "Int64", frozenset({bool}): "boolean"}
    dtypes |= {frozenset({float}): "Float64", frozenset({int, float}): "Float64", frozenset(): "str"}
    try:
        return pd.Series(values, dtype=dtypes[frozenset(types)])
    except (KeyError, OverflowError):
        return pd.Series(
            [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in values],
            dtype="str",
        )


def _faults_across_rows(rows: pd.DataFrame, name: str, need_label: bool) -> list[tuple[int, Fault]]:
    """Faults that no row has by itself, with the number of the row in the table (-1: it is not in there)."""
    return _duplicate_ids(rows[rows["id"].notna()], name) + _missing_labels(rows, name, need_label)


def _all_rows(batch: Batch) -> pd.DataFrame:
    """`row, place, id, labelled` of the sound rows and of those with a fault of their own (`row` -1), in file order."""
    ids, labels = (batch.table[name].to_pandas() for name in ("id", "label"))
    sound = pd.DataFrame({"row": np.arange(len(ids)), "place": batch.places, "id": ids, "labelled": labels.notna()})
    if not batch.faulty:
        return sound
    places, ids, labelled = zip(*batch.faulty, strict=True)
    faulty = pd.DataFrame({"row": -1, "place": places, "id": pd.array(ids, "Int64"), "labelled": labelled})
    return pd.concat([sound.astype({"id": "Int64"}), faulty]).sort_values("place", ignore_index=True)


def _duplicate_ids(rows: pd.DataFrame, name: str) -> list[tuple[int, Fault]]:
    again = rows["id"].duplicated()
    if not again.any():
        return []
    repeated = rows.assign(first=rows.groupby("id")["place"].transform("first"))[again]
    return [
        (each.row, Fault("duplicate id", f"{name}:{each.place}", f"id {each.id}, first on line {each.first}"))
        for each in repeated.itertuples()
    ]


def _missing_labels(rows: pd.DataFrame, name: str, need_label: bool) -> list[tuple[int, Fault]]:
    without = rows[~rows["labelled"]]
    if 0 < len(without) < len(rows):
        found = f"no label, as in {len(without):,} of {len(rows):,} rows"
        places = zip(without["row"], without["place"], strict=True)
        return [(row, Fault("label missing", f"{name}:{place}", found)) for row, place in places]
    if len(without) and need_label:
        return [(-1, Fault("no label", name, "not one row has a label, and training needs them"))]
    return []


def _notes(table: pd.DataFrame, batch: Batch, places: np.ndarray, task: Task) -> list[str]:
    """What was accepted though the competition has it otherwise: a sentence each, with the first places."""

    def note(mask: pd.Series, text: str) -> list[str]:
        rows = np.flatnonzero(mask)
        lines = ", ".join(map(str, places[rows[:SHOWN]]))
        more = ", …" if len(rows) > SHOWN else ""
        return [f"{len(rows):,} {text}: line {lines}{more}"] if len(rows) else []

    notes = [f"blank lines (skipped): {batch.blank_lines:,}"] if batch.blank_lines else []
    if batch.ids_as_text:
        notes.append(f"ids given as text (read as numbers): {batch.ids_as_text:,}")
    if batch.extras:
        names = [cut(name) for name in batch.extras]
        notes.append(f"further fields (kept as {EXTRA_PREFIX}NAME): {', '.join(names[:MOST_EXTRAS])}")
        if left_out := names[MOST_EXTRAS:]:
            notes.append(f"further fields beyond {MOST_EXTRAS} (left out): {len(left_out):,}, {left_out[0]} first")
    for language in sorted(set(table["language"].drop_duplicates()) - set(task.languages)):
        notes += note(
            table["language"] == language,
            f"rows in {language!r}, a language {task.name} does not name (kept)",
        )
    notes += note(table["origin_target"].isna(), f"null {task.target_field} (kept; scored as empty text)")
    notes += note(table["origin_query"].str.strip() == "", "empty queries (kept)")
    for column in ("origin_query", "origin_target"):
        long = table[column].str.len() > LONG_TEXT
        notes += note(long, f"{column} of over {LONG_TEXT:,} characters (kept)")
    return notes


def read_folder(
    folder: Path | str, tasks: Sequence[Task], splits: Sequence[str] = SPLITS, *, allow: Collection[str] = ()
) -> dict[tuple[str, str], pd.DataFrame]:
    """Read a data folder: (task name, split) → table as `read_table` gives it, for all `tasks` × `splits`.

    A task of which no file is there is left out; a task of which only some are there is incomplete. Raises
    DataError with the faults of all files together, UserError where the folder or every file is missing.
    """
    folder = Path(folder)
    expected = ", ".join(task.file_name(split) for task in tasks for split in splits)
    if not folder.is_dir():
        raise UserError(f"data folder: expected {folder} with {expected} (or .gz); there is no such folder.")
    paths = {(task, split): task.find_file(folder, split) for task in tasks for split in splits}
    present = {task.name for (task, _), path in paths.items() if path}
    if not present:
        raise UserError(f"data folder: expected {expected} (or .gz) in {folder}; none of them is there.")
    reports = {
        (task.name, split): inspect_file(path or folder / task.file_name(split), task, need_label=split == "train")
        for (task, split), path in paths.items()
        if task.name in present
    }
    raise_faults(reports.values(), allow)
    return {key: report.accept(allow) for key, report in reports.items()}


def find_lexicon(folder: Path | str) -> Path | None:
    """`lexicon.tsv` or `lexicon.tsv.gz` in a data folder; None where there is neither."""
    return plain_or_zipped(Path(folder) / "lexicon.tsv")


def official_columns(table: pd.DataFrame, task: Task, extra_columns: Sequence[str] = ()) -> pd.DataFrame:
    """The columns of a table under their official names, in file order; then the label if there is one; then
    `extra_columns`."""
    named = table.rename(columns={"origin_target": task.target_field})
    label = ["label"] if "label" in named and "label" not in extra_columns else []
    return named[[*task.fields, *label, *extra_columns]]


def write_table(path: Path | str, table: pd.DataFrame, task: Task, extra_columns: Sequence[str] = ()) -> None:
    """Write a table in the form that the suffix names (JSON lines, CSV or parquet), with the official fields.

    Whole or not at all; a name that ends in `.gz` is zipped, with the same bytes whenever it is written. CSV
    has no null: a null target becomes an empty cell.
    """
    path = Path(path)
    if not path.name.endswith(SUFFIXES):
        raise UserError(f"{path}: expected a name that ends in one of {', '.join(SUFFIXES)}.")
    columns = official_columns(table, task, extra_columns)
    if path.suffix == ".parquet":
        write_parquet(path, columns)
    elif ".csv" in path.suffixes:
        text = columns.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        _write_bytes(path, text.encode("utf-8"))
    else:
        _write_bytes(path, json_lines(columns))


def write_json_lines(path: Path | str, table: pd.DataFrame, task: Task, extra_columns: Sequence[str] = ()) -> None:
    """Write a table as official JSON lines, whole or not at all; zipped where the name ends in `.gz`."""
    _write_bytes(Path(path), json_lines(official_columns(table, task, extra_columns)))


def _write_bytes(path: Path, data: bytes) -> None:
    with atomic_write(path) as beside, beside.open("wb") as stream:
        if path.suffix == ".gz":
            with gzip.GzipFile("", "wb", compresslevel=4, fileobj=stream, mtime=0) as zipped:
                zipped.write(data)
        else:
            stream.write(data)


def json_lines(columns: pd.DataFrame) -> bytes:
    """A line of JSON for each row, fields in the order of the columns, spelt as in the official files
    (`{"id": 2, "language": "ar", …}`: blanks after comma and colon, no escapes but those JSON needs)."""
    fields = (json.dumps(name, ensure_ascii=False).replace("%", "%%") + ": %s" for name in columns)
    line = "{" + ", ".join(fields) + "}\n"
    cells = [_json_cells(columns[name]) for name in columns]
    return "".join(map(line.__mod__, zip(*cells, strict=True))).encode("utf-8")


def _json_cells(column: pd.Series) -> np.ndarray:
    codes, unique = pd.factorize(column)  # a missing value has the code -1, which picks the last
    encode = json.JSONEncoder(ensure_ascii=False).encode
    return np.array([*map(encode, unique.tolist()), "null"], dtype=object)[codes]
