"""Decisions → what one uploads, checked line by line against the source file.

A missing prediction is a failure: it never becomes 0.
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import orjson
import pandas as pd

from competition_utils.data.files import inspect_file, raise_faults
from competition_utils.errors import DataError, Fault, UserError
from competition_utils.storage import atomic_write, write_text
from competition_utils.tasks import TASKS, Task

ZIP_NAME = "submit.zip"
ZIP_TIME = (2025, 1, 1, 0, 0, 0)  # fixed, so that equal predictions make equal bytes


def lines_name(task: Task) -> str:
    """`submit_QC.txt`"""
    return f"submit_{task.name}.txt"


def csv_name(task: Task) -> str:
    """`submission_QC.csv`"""
    return f"submission_{task.name}.csv"


def output_fields(task: Task) -> list[str]:
    """The fields of a submitted line, in order: the official ones without `task`, then `prediction`."""
    return [name for name in task.fields if name != "task"] + ["prediction"]


def write_submission(folder: Path, decisions: Mapping[str, pd.DataFrame], sources: Mapping[str, Path]) -> None:
    """Write the files of a submission into `folder`.

    `decisions`: task name → `id, prediction` (0/1), `score` (0–1), one row an id of the source, in any order.
    `sources`: task name → the dev or test file that is answered; its rows give order and text.
    Raises DataError where a row of the source has no decision, or several, or one other than 0/1; nothing is
    written for that task then.
    """
    for name, source in sources.items():
        task = TASKS[name]
        answered = _answered(task, _source_rows(source, task), decisions[name], source)
        write_text(folder / lines_name(task), _as_lines(answered[output_fields(task)]))
        with atomic_write(folder / csv_name(task)) as beside:
            # All text quoted: unquoted, a carriage return in a title would end the row.
            answered.to_csv(beside, index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    _write_zip(folder, [lines_name(TASKS[name]) for name in sources])


def export_submission(made: Path, folder: Path) -> None:
    """Copy the files of a submission that `write_submission` wrote into `made`; the zip last."""
    names = [name for task in TASKS.values() for name in (lines_name(task), csv_name(task))] + [ZIP_NAME]
    for name in names:
        if (made / name).is_file():
            with atomic_write(folder / name) as beside:
                beside.write_bytes((made / name).read_bytes())
        else:
            (folder / name).unlink(missing_ok=True)  # of an earlier export with more tasks


def _source_rows(path: Path, task: Task) -> pd.DataFrame:
    """`id, language, origin_query` and the target under its official name; a null target is None."""
    report = inspect_file(path, task)  # and not read_table: what is odd in the file was told by stage eda
    raise_faults([report])
    rows = report.table.rename(columns={"origin_target": task.target_field})[output_fields(task)[:-1]]
    return rows.assign(**{task.target_field: _none_for_missing(rows[task.target_field])})


def _none_for_missing(column: pd.Series) -> pd.Series:
    values = column.astype(object)
    return values.where(values.notna(), None)


def _answered(task: Task, rows: pd.DataFrame, decisions: pd.DataFrame, source: Path) -> pd.DataFrame:
    """The rows of the source with `prediction` and `score`, all of them answered once."""
    answers = decisions[["id", "prediction", "score"]]
    faults = _faults_of_answers(rows["id"], answers, f"decisions of {task.name}")
    if faults:
        raise DataError(
            f"submission: expected one prediction, 0 or 1, for each row of {source.name}",
            faults,
            "Run stage threshold_tuning for this split again.",
        )
    answers = answers.set_index("id").loc[rows["id"].to_numpy()]
    return rows.assign(prediction=answers["prediction"].to_numpy(dtype=np.int8), score=answers["score"].to_numpy())


def _faults_of_answers(ids: pd.Series, answers: pd.DataFrame, where: str) -> list[Fault]:
    checks = {
        "row without a prediction": ids[~ids.isin(answers["id"])],
        "prediction for a row that the source does not have": answers["id"][~answers["id"].isin(ids)],
        "several predictions for one row": answers["id"][answers["id"].duplicated()],
        "prediction other than 0 or 1": answers["id"][~answers["prediction"].isin([0, 1])],
        "missing score": answers["id"][answers["score"].isna()],
    }
    return [Fault(kind, where, f"id {number}") for kind, found in checks.items() for number in found]


def _as_lines(table: pd.DataFrame) -> str:
    """JSON lines as in the competition's example: text as it is, a space after each comma and colon."""
    encode = json.JSONEncoder(ensure_ascii=False).encode
    names = list(table.columns)
    rows = zip(*(table[name].tolist() for name in names), strict=True)
    return "".join(encode(dict(zip(names, row, strict=True))) + "\n" for row in rows)


def _write_zip(folder: Path, names: list[str]) -> None:
    with atomic_write(folder / ZIP_NAME) as beside, zipfile.ZipFile(beside, "w") as archive:
        for name in names:
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, (folder / name).read_bytes())


def check_submission(path: Path | str, sources: Mapping[str, Path]) -> list[Fault]:
    """Everything wrong with a submission, [] if nothing: ids, order, echoed fields, 0/1 only, tasks, the zip.

    `path` is a folder that `write_submission` wrote, a `submit.zip`, or one `submit_QC.txt`; `sources` maps
    each task that it must answer to the file it answers.
    """
    path = Path(path)
    tasks = [TASKS[name] for name in sources]
    if path.is_dir():
        contents, faults = _read_folder(path, tasks)
    elif zipfile.is_zipfile(path):
        contents, faults = _read_zip(path, tasks)
    elif path.is_file():
        contents, faults = {task.name: path.read_bytes() for task in tasks}, []
    else:
        raise UserError(f"submission: expected a folder, a zip or a file, found nothing at {path}.")
    for task in tasks:
        if task.name in contents:
            where = path.name if path.is_file() else lines_name(task)
            faults += _check_lines(contents[task.name], task, _source_rows(sources[task.name], task), where)
    return faults


def verified(folder: Path, sources: Mapping[str, Path]) -> pd.DataFrame:
    """The files of a submission that passes its check: `file, rows, share relevant, bytes`; else DataError."""
    faults = check_submission(folder, sources)
    if faults:
        raise DataError(f"{folder}: not ready to upload", faults, "Write the submission again.")
    tasks = [TASKS[name] for name in sources]
    told = []
    for task in tasks:
        predictions = pd.read_csv(folder / csv_name(task))["prediction"]
        files = [folder / lines_name(task), folder / csv_name(task)]
        told += [(file.name, len(predictions), predictions.mean(), file.stat().st_size) for file in files]
    told.append((ZIP_NAME, np.nan, np.nan, (folder / ZIP_NAME).stat().st_size))
    table = pd.DataFrame(told, columns=["file", "rows", "share relevant", "bytes"])
    return table.astype({"rows": "Int64"})


def first_lines(folder: Path, count: int = 3) -> str:
    """The first lines of each `submit_*.txt` in a folder, as they are."""
    texts = [path.read_text(encoding="utf-8").split("\n") for path in sorted(folder.glob("submit_*.txt"))]
    return "\n\n".join("\n".join(lines[:count]) for lines in texts)


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
    """The CSV must tell the same predictions as the lines."""
    faults = []
    for task in tasks:
        path = folder / csv_name(task)
        if not path.is_file() or task.name not in contents:
            continue
        try:
            table = pd.read_csv(path, usecols=["id", "prediction"])
        except ValueError as error:  # no such columns, no text, no table
            faults.append(Fault("CSV content", path.name, f"expected the columns id and prediction: {error}"))
            continue
        lines = pd.DataFrame(_parsed(contents[task.name])[0], columns=["id", "prediction"])
        if not table.astype(object).equals(lines.astype(object)):
            faults.append(Fault("CSV differs", path.name, f"other ids or predictions than {lines_name(task)}"))
    return faults


def _read_zip(path: Path, tasks: list[Task]) -> tuple[dict[str, bytes], list[Fault]]:
    names = {lines_name(task): task.name for task in tasks}
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.namelist()
            contents = {names[name]: archive.read(name) for name in found if name in names}
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        return {}, [Fault("zip content", path.name, f"not readable: {error}")]
    missing = [name for name in names if name not in found]
    extra = [name for name in found if name not in names]
    faults = [Fault("zip content", path.name, f"no {name}") for name in missing]
    return contents, faults + [Fault("zip content", path.name, f"{name} does not belong there") for name in extra]


def _parsed(content: bytes) -> tuple[list[dict], list[tuple[int, str]]]:
    """The JSON objects of the lines, {} where a line is none; and those places with what was found."""
    objects, broken = [], []
    lines = content.split(b"\n")
    for number, line in enumerate(lines[:-1] if lines[-1] == b"" else lines, start=1):
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            broken.append((number, line[:60].decode("utf-8", "replace") or "an empty line"))
            value = {}
        objects.append(value)
    return objects, broken


def _check_lines(content: bytes, task: Task, source: pd.DataFrame, where: str) -> list[Fault]:
    objects, broken = _parsed(content)
    if broken:
        return [Fault("not a JSON object", f"{where}:{number}", text) for number, text in broken]
    fields = output_fields(task)
    other = [number for number, found in enumerate(objects, start=1) if found.keys() != set(fields)]
    if other:
        told = [(number, ", ".join(objects[number - 1]) or "none") for number in other]
        return [Fault(f"fields other than {', '.join(fields)}", f"{where}:{n}", text) for n, text in told]
    lines = pd.DataFrame(objects, columns=fields, dtype=object)
    faults = _check_predictions(lines["prediction"], where)
    if set(lines["id"]) != set(source["id"]) or len(lines) != len(source):
        return faults + _check_ids(lines["id"], source["id"], where)
    return faults + _check_echo(lines, source, where)


def _check_predictions(predictions: pd.Series, where: str) -> list[Fault]:
    good = predictions.map(type).eq(int) & predictions.isin([0, 1])
    return [
        Fault("prediction other than 0 or 1", f"{where}:{place + 1}", repr(value))
        for place, value in predictions[~good].items()
    ]


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
                Fault(kind, f"{where}:{place + 1}", f"{lines[name].iat[place]!r}, expected {wanted[place]!r}")
                for place in differs
            ]
    return []


def source_file(task: Task, data: Path, split: str) -> Path:
    """The dev or test file of a task in a data folder; UserError where it is missing."""
    found = task.find_file(data, split)
    if found is None:
        raise UserError(f"submission: expected {task.file_name(split)} (or .gz) in {data}, found none.")
    return found


def find_sources(given: list[Path], split: str, submission: Path) -> dict[str, Path]:
    """Task name → source file, for each task that `submission` must answer: both for a folder or a zip, one
    for one `submit_QC.txt`. `given` is a data folder (its files of `split`), or one file a task."""
    one_file = submission.is_file() and not zipfile.is_zipfile(submission)
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
