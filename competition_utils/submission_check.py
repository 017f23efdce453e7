"""A submission against the file that it answers: every line, the CSV, the zip.

What is wrong is reported as faults, whatever the files hold; nothing of a zip is unpacked to the disk.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.data.files import inspect_file, raise_faults
from competition_utils.data.parsing import cut
from competition_utils.errors import Fault, UserError
from competition_utils.tasks import TASKS, Task

ZIP_NAME = "submit.zip"
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what every reader unpacks
MOST_UNPACKED = 1 << 30  # bytes of one file in a zip; the competition's have about 20 MB


def lines_name(task: Task) -> str:
    """`submit_QC.txt`"""
    return f"submit_{task.name}.txt"


def csv_name(task: Task) -> str:
    """`submission_QC.csv`"""
    return f"submission_{task.name}.csv"


def output_fields(task: Task) -> list[str]:
    """The fields of a submitted line, in order: the official ones without `task`, then `prediction`."""
    return [name for name in task.fields if name != "task"] + ["prediction"]


def source_rows(path: Path, task: Task) -> pd.DataFrame:
    """`id, language, origin_query` and the target under its official name; a null target is None."""
    report = inspect_file(path, task)  # and not read_table: stage eda reported what is odd in the file
    raise_faults([report])
    rows = report.table.rename(columns={"origin_target": task.target_field})[output_fields(task)[:-1]]
    return rows.assign(**{task.target_field: _none_for_missing(rows[task.target_field])})


def _none_for_missing(column: pd.Series) -> pd.Series:
    values = column.astype(object)
    return values.where(values.notna(), None)


def check_submission(path: Path | str, sources: Mapping[str, Path]) -> list[Fault]:
    """Everything wrong with a submission, [] if nothing: ids, order, echoed fields, 0/1 only, tasks, the zip.

    `path` is a folder that `write_submission` wrote, a `submit.zip`, or one `submit_QC.txt`; `sources` maps
    each task that it must answer to the file it answers.
    """
    path = Path(path)
    tasks = [TASKS[name] for name in sources]
    if path.is_dir():
        contents, faults = _read_folder(path, tasks)
    elif _is_zip(path):
        contents, faults = _read_zip(path, tasks)
    elif path.is_file():
        contents, faults = {task.name: path.read_bytes() for task in tasks}, []
    else:
        raise UserError(f"submission: expected a folder, a zip or a file, found nothing at {path}.")
    for task in tasks:
        if task.name in contents:
            where = path.name if path.is_file() else lines_name(task)
            faults += _check_lines(contents[task.name], task, source_rows(sources[task.name], task), where)
    return faults


def _read_folder(folder: Path, tasks: list[Task]) -> tuple[dict[str, bytes], list[Fault]]:
    wanted = [name for task in tasks for name in (lines_name(task), csv_name(task))] + [ZIP_NAME]
    faults = [Fault("missing file", str(folder / name), "none") for name in wanted if not (folder / name).is_file()]
    contents = {
        task.name: (folder / lines_name(task)).read_bytes() for task in tasks if (folder / lines_name(task)).is_file()
    }
    if (folder / ZIP_NAME).is_file():
        zipped, zip_faults = _read_zip(folder / ZIP_NAME, tasks)
        faults += zip_faults
        differ = [name for name in contents if zipped.get(name, contents[name]) != contents[name]]
        faults += [
            Fault("zip content", f"{ZIP_NAME}/{lines_name(TASKS[name])}", "not the file beside it") for name in differ
        ]
    return contents, faults + _check_csv(folder, tasks, contents)


def _check_csv(folder: Path, tasks: list[Task], contents: Mapping[str, bytes]) -> list[Fault]:
    """The CSV must hold the same predictions as the lines."""
    faults = []
    for task in tasks:
        path = folder / csv_name(task)
        if not path.is_file() or task.name not in contents:
            continue
        try:
            table = pd.read_csv(path, usecols=["id", "prediction"], dtype="str", keep_default_na=False)
        except ValueError as error:  # no such columns, no text, no table
            faults.append(Fault("CSV content", path.name, f"expected the columns id and prediction: {error}"))
            continue
        lines, _ = _parsed(contents[task.name])
        expected = [(str(line.get("id")), str(line.get("prediction"))) for line in lines]
        if list(table[["id", "prediction"]].itertuples(index=False, name=None)) != expected:
            faults.append(Fault("CSV differs", path.name, f"other ids or predictions than {lines_name(task)}"))
    return faults


def _is_zip(path: Path) -> bool:
    """A zip by its content, or a file that is called one."""
    return path.is_file() and (path.suffix == ".zip" or zipfile.is_zipfile(path))


def _read_zip(path: Path, tasks: list[Task]) -> tuple[dict[str, bytes], list[Fault]]:
    """The files of a zip in memory by task (nothing is unpacked to the disk), and what is wrong with the zip."""
    names = {lines_name(task): task.name for task in tasks}
    contents, found = {}, []
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            found = [_fault_of_entry(entry) for entry in entries]
            for entry, fault in zip(entries, found, strict=True):
                if entry.filename in names and not fault:
                    contents[names[entry.filename]] = archive.read(entry)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        return {}, [Fault("zip content", path.name, f"not readable: {error}")]
    given = [entry.filename for entry in entries]
    found += [f"no {name}" for name in names if name not in given]
    found += [f"{name} does not belong there" for name in given if name not in names]
    found += [f"{name} is there twice" for name in names if given.count(name) > 1]
    return contents, [Fault("zip content", path.name, fault) for fault in found if fault]


def _fault_of_entry(entry: zipfile.ZipInfo) -> str:
    """Why a file in a zip cannot be read, "" if it can."""
    if entry.flag_bits & 0x1:
        return f"{entry.filename} is encrypted"
    if entry.compress_type not in ZIP_METHODS:
        return f"{entry.filename} is compressed by method {entry.compress_type}, expected stored or deflated"
    if entry.file_size > MOST_UNPACKED:
        return f"{entry.filename} unpacks to {entry.file_size:,} bytes"
    return ""


class _RepeatedField(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _RepeatedField
    return fields


def _no_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _parsed(content: bytes) -> tuple[list[dict], list[tuple[int, str, str]]]:
    """The JSON objects of the lines, {} where a line is none; and those places: `line, kind of fault, found`."""
    objects, broken = [], []
    lines = content.split(b"\n")
    for number, line in enumerate(lines[:-1] if lines[-1] == b"" else lines, start=1):
        value, kind = {}, "not a JSON object"
        try:
            value = json.loads(line.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_json)
        except _RepeatedField:
            kind = "field given twice"
        except (ValueError, RecursionError):
            pass
        if not isinstance(value, dict) or not value:
            broken.append((number, kind, line[:60].decode("utf-8", "replace") or "an empty line"))
            value = {}
        objects.append(value)
    return objects, broken


def _check_lines(content: bytes, task: Task, source: pd.DataFrame, where: str) -> list[Fault]:
    objects, broken = _parsed(content.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    if broken:
        return [Fault(kind, f"{where}:{number}", text) for number, kind, text in broken]
    if returns := content.count(b"\r"):
        found = rf"{returns:,} carriage returns; in the organisers' example lines end in \n alone"
        return [Fault("line ends", where, found)]
    fields = output_fields(task)
    other = [number for number, found in enumerate(objects, start=1) if found.keys() != set(fields)]
    if other:
        kind = f"fields other than {', '.join(fields)}"
        return [Fault(kind, f"{where}:{number}", ", ".join(objects[number - 1])) for number in other]
    lines = pd.DataFrame(objects, columns=fields, dtype=object)
    faults = _check_values(lines["prediction"], "prediction other than 0 or 1", (0, 1), where)
    no_numbers = _check_values(lines["id"], "id other than a whole number", None, where)
    if no_numbers:
        return faults + no_numbers
    if set(lines["id"]) != set(source["id"]) or len(lines) != len(source):
        return faults + _check_ids(lines["id"], source["id"], where)
    return faults + _check_echo(lines, source, where)


def _check_values(values: pd.Series, kind: str, allowed: Iterable[int] | None, where: str) -> list[Fault]:
    """Values that are not whole numbers (`true` and 1.0 are none), or not among the allowed ones."""
    good = [type(value) is int and (allowed is None or value in allowed) for value in values]
    places = np.flatnonzero(~np.array(good, dtype=bool))
    return [Fault(kind, f"{where}:{place + 1}", cut(repr(values.iat[place]))) for place in places]


def _check_ids(found: pd.Series, wanted: pd.Series, where: str) -> list[Fault]:
    faults = [Fault("row without a prediction", where, f"id {i}") for i in wanted[~wanted.isin(found)]]
    checks = {"id that the source does not have": ~found.isin(wanted), "id given twice": found.duplicated()}
    for kind, wrong in checks.items():
        faults += [Fault(kind, f"{where}:{place + 1}", f"id {value}") for place, value in found[wrong].items()]
    return faults


def _check_echo(lines: pd.DataFrame, source: pd.DataFrame, where: str) -> list[Fault]:
    """Row by row: the id first (order), then every other field as it stands in the source."""
    for name in source.columns:
        wanted = _none_for_missing(source[name]).to_numpy()
        differs = np.flatnonzero(lines[name].to_numpy() != wanted)
        if differs.size:
            kind = "order other than the source's" if name == "id" else f"{name} other than in the source"
            return [
                Fault(
                    kind, f"{where}:{place + 1}", f"{_short(lines[name].iat[place])}, expected {_short(wanted[place])}"
                )
                for place in differs
            ]
    return []


def _short(value: Any) -> str:
    return cut(repr(value), 200)


def find_sources(given: list[Path], split: str, submission: Path) -> dict[str, Path]:
    """Task name → source file, for each task that `submission` must answer: both for a folder or a zip, one
    for one `submit_QC.txt`. `given` is a data folder (its files of `split`), or one file a task."""
    one_file = submission.is_file() and not _is_zip(submission)
    wanted = [_task_of(submission)] if one_file else list(TASKS.values())
    if len(given) == 1 and given[0].is_dir():
        found = {task.name: task.find_file(given[0], split) for task in wanted}
    else:
        named = {_task_of(path).name: path for path in given}
        found = {task.name: named.get(task.name) for task in wanted}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise UserError(
            f"--source: expected the {split} files of {' and '.join(found)}, found none of {missing[0]}.\n"
            f"Give the data folder, or one file a task; for one task alone, give its submit_*.txt as FILE."
        )
    return found


def _task_of(path: Path) -> Task:
    """The task whose name is in the file's name."""
    named = [task for task in TASKS.values() if task.name in path.name]
    if not path.is_file() or len(named) != 1:
        raise UserError(f"expected a file with QC or QI in its name, found {path}.")
    return named[0]
