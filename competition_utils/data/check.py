"""What is in a data folder, file by file: rows, languages, nulls, duplicates, conflicts, notes and faults."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from competition_utils.data.files import FileReport, find_lexicon, inspect_file
from competition_utils.data.parsing import SUFFIXES
from competition_utils.errors import DataError, Fault, UserError, printable
from competition_utils.tasks import SPLITS, TASKS, Task

HEAD = 1 << 24  # bytes of a file that are looked at to see what it holds; a single text may take a million


@dataclass(frozen=True)
class FileSummary:
    """A file in figures. `languages` has a row a language: `language, rows, positive_rate` (NaN: no labels);
    a pair is a query with its target, `duplicate_pairs` counts the rows that repeat one, `conflicts` the
    pairs that come with both labels."""

    name: str
    task: str
    rows: int
    labelled: bool
    positive_rate: float
    languages: pd.DataFrame
    null_targets: int
    duplicate_ids: int
    duplicate_pairs: int
    conflicts: int
    notes: tuple[str, ...]
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class FolderReport:
    """What `check_folder` found: the files read, the official files that are not there, and what was passed
    over (name → why)."""

    folder: Path
    files: tuple[FileSummary, ...]
    absent: tuple[str, ...]
    ignored: dict[str, str]

    @property
    def faults(self) -> list[Fault]:
        return [fault for file in self.files for fault in file.faults]


def check_folder(folder: Path | str) -> FolderReport:
    """Read and check the official files of a folder, and every other file whose rows have a task's fields.

    Raises UserError where the folder is missing or holds no such file; faults in files are in the report.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"data folder: expected a folder at {folder}; there is none. Check the path.")
    official = {(task, split): task.find_file(folder, split) for task in TASKS.values() for split in SPLITS}
    tasks = {path: task for (task, _), path in official.items() if path}
    train = {path for (_, split), path in official.items() if split == "train"}
    ignored = {}
    for path in sorted(path for path in folder.iterdir() if path.is_file() and path not in tasks):
        if path.name.removesuffix(".gz") in {found.name for found in tasks}:
            ignored[path.name] = "the file without .gz is read instead"
        elif path == find_lexicon(folder):
            ignored[path.name] = "the lexicon, which translation reads"
        else:
            _sort_in(path, tasks, ignored)
    if not tasks:
        expected = ", ".join(task.file_name(split) for task, split in official)
        raise UserError(f"data folder: expected some of {expected} (or .gz) in {folder}; none of them is there.")
    files = (summarise(inspect_file(path, task, need_label=path in train)) for path, task in tasks.items())
    absent = tuple(task.file_name(split) for (task, split), path in official.items() if path is None)
    return FolderReport(folder, tuple(files), absent, ignored)


def _sort_in(path: Path, tasks: dict[Path, Task], ignored: dict[str, str]) -> None:
    """Put a file with a name of its own among those to read, or among the ignored ones."""
    try:
        task = task_of(path)
    except OSError as error:
        ignored[path.name] = f"cannot be read: {error.strerror or error}"
        return
    if task is None:
        ignored[path.name] = "no rows with the fields of QC or QI"
    else:
        tasks[path] = task


def summarise(report: FileReport) -> FileSummary:
    """The figures of one file; rows with a fault count as rows and as faults, and nowhere else."""
    table = report.table
    labels = table["label"].astype("float64") if "label" in table else pd.Series(float("nan"), index=table.index)
    by_language = labels.groupby(table["language"].to_numpy()).agg(["size", "mean"])
    pairs = table.groupby(["origin_query", "origin_target"], dropna=False, sort=False).ngroup()
    sides = labels.groupby(pairs.to_numpy()).agg(["min", "max"])
    return FileSummary(
        name=report.path.name,
        task=report.task.name,
        rows=report.rows,
        labelled="label" in table,
        positive_rate=labels.mean(),
        languages=by_language.rename_axis("language").set_axis(["rows", "positive_rate"], axis=1).reset_index(),
        null_targets=int(table["origin_target"].isna().sum()),
        duplicate_ids=sum(fault.kind == "duplicate id" for fault in report.faults),
        duplicate_pairs=int(pairs.duplicated().sum()),
        conflicts=int((sides["min"] < sides["max"]).sum()),
        notes=report.notes,
        faults=report.faults,
    )


def task_of(path: Path) -> Task | None:
    """The task whose fields a file's first readable rows have; None for any other file."""
    if not path.name.endswith(SUFFIXES):
        return None
    fields = set(fields_of(path))
    return next((task for task in TASKS.values() if fields >= set(task.fields)), None)


def fields_of(path: Path) -> list[str]:
    """The names of the fields or columns that a file's first readable row has; [] where there is none.

    Raises OSError for a file that cannot be opened.
    """
    with path.open("rb") as stream:
        if ".parquet" in path.suffixes:
            try:
                return pyarrow.parquet.read_schema(stream).names
            except (pa.ArrowException, OSError, ValueError):
                return []
        lines = _head(stream).splitlines()
    if ".csv" in path.suffixes:
        try:
            return next(csv.reader(io.StringIO(lines[0].decode("utf-8-sig", "replace"))), []) if lines else []
        except csv.Error:  # a cell longer than the module's limit, in no header of ours
            return []
    return next(_json_fields(lines), [])


def _json_fields(lines: list[bytes]) -> Iterator[list[str]]:
    for line in lines:
        try:
            row = orjson.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield list(row)


def _head(stream: BinaryIO) -> bytes:
    """The first bytes of a file, unpacked as far as a cut gzip file allows."""
    data = stream.read(HEAD)
    if not data.startswith(b"\x1f\x8b"):
        return data
    with suppress(zlib.error):
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(data, HEAD)
    return b""


# ------------------------------------------------------------------------------------------ as text


def format_report(report: FolderReport) -> str:
    """The report as text for a terminal: tables of the files and their languages, then notes and faults."""
    return "\n\n".join(part for part in _parts(report) if part)


def _parts(report: FolderReport) -> Iterator[str]:
    yield f"{report.folder}: files with rows of QC or QI: {len(report.files)}"
    yield pd.DataFrame([_figures(file) for file in report.files]).to_string(index=False)
    languages = pd.DataFrame({file.name: _languages(file) for file in report.files}).fillna("").sort_index()
    yield "Rows and positive rate by language\n" + languages.rename_axis(None).to_string()
    notes = [f"  {printable(file.name)}: {note}" for file in report.files for note in file.notes]
    notes += [f"  {name}: not there" for name in report.absent]
    notes += [f"  {printable(name)}: ignored ({why})" for name, why in report.ignored.items()]
    yield "\n".join(["Notes", *notes]) if notes else ""
    if report.faults:
        todo = "Correct the places named; a run stops at them unless it allows their kind."
        yield str(DataError("Faults", report.faults, todo))
    else:
        yield "No faults."


def _figures(file: FileSummary) -> dict[str, str]:
    counts = {
        "rows": file.rows,
        "languages": len(file.languages),
        "null targets": file.null_targets,
        "duplicate ids": file.duplicate_ids,
        "duplicate pairs": file.duplicate_pairs,
        "conflicts": file.conflicts,
        "faults": len(file.faults),
    }
    texts = {name: f"{count:,}" for name, count in counts.items()}
    rate = f"{file.positive_rate:.3f}" if file.labelled else "–"
    return {"file": printable(file.name), "task": file.task, "rows": texts.pop("rows"), "positive": rate, **texts}


def _languages(file: FileSummary) -> pd.Series:
    """Text by language, e.g. "10,000 0.707"; nothing for a file without a sound row."""
    if file.languages.empty:
        return pd.Series(dtype="str")
    rates = file.languages["positive_rate"].map("{:.3f}".format) if file.labelled else "    –"
    return (file.languages["rows"].map("{:,}".format) + " " + rates).set_axis(file.languages["language"])
