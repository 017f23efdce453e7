"""Decisions → what one uploads: JSON lines, CSV and zip.

A missing prediction is a failure: it never becomes 0.
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from competition_utils.errors import DataError, Fault, UserError
from competition_utils.storage import atomic_write, write_text
from competition_utils.submission_check import (
    ZIP_NAME,
    check_submission,
    csv_name,
    lines_name,
    output_fields,
    source_rows,
)
from competition_utils.tasks import TASKS, Task

ZIP_TIME = (2025, 1, 1, 0, 0, 0)  # fixed, so that equal predictions make equal bytes
FORMULA_STARTS = tuple("=+-@＝＋－＠")


def write_submission(folder: Path, decisions: Mapping[str, pd.DataFrame], sources: Mapping[str, Path]) -> None:
    """Write the files of a submission into `folder`.

    `decisions`: task name → `id, prediction` (0/1), `score` (0–1), one row an id of the source, in any order.
    `sources`: task name → the dev or test file that is answered; its rows give order and text.
    Raises DataError where a row of the source has no decision, or several, or one other than 0/1; nothing is
    written for that task then.
    """
    for name, source in sources.items():
        task = TASKS[name]
        answered = _answered(task, source_rows(source, task), decisions[name], source)
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


def neutralise_formulas(folder: Path) -> int:
    """Put an apostrophe before each text of the CSV files in `folder` that a spreadsheet would run as a formula.

    Gives the number of cells changed. The files that are uploaded stay as they are.
    """
    changed = 0
    for path in (folder / csv_name(task) for task in TASKS.values()):
        if path.is_file():
            table = pd.read_csv(path, keep_default_na=False, dtype={"id": "int64"})
            texts = table.select_dtypes("str")
            formulas = texts.apply(lambda column: column.str.lstrip().str.startswith(FORMULA_STARTS))
            changed += int(formulas.to_numpy().sum())
            table[texts.columns] = texts.mask(formulas, "'" + texts)
            with atomic_write(path) as beside:
                table.to_csv(beside, index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    return changed


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


def verified(folder: Path, sources: Mapping[str, Path]) -> pd.DataFrame:
    """The files of a submission that passes its check: `file, rows, share relevant, bytes`; else DataError."""
    faults = check_submission(folder, sources)
    if faults:
        raise DataError(f"{folder}: not ready to upload", faults, "Write the submission again.")
    tasks = [TASKS[name] for name in sources]
    rows = []
    for task in tasks:
        predictions = pd.read_csv(folder / csv_name(task))["prediction"]
        files = [folder / lines_name(task), folder / csv_name(task)]
        rows += [(file.name, len(predictions), predictions.mean(), file.stat().st_size) for file in files]
    rows.append((ZIP_NAME, np.nan, np.nan, (folder / ZIP_NAME).stat().st_size))
    table = pd.DataFrame(rows, columns=["file", "rows", "share relevant", "bytes"])
    return table.astype({"rows": "Int64"})


def first_lines(folder: Path, count: int = 3) -> str:
    """The first lines of each `submit_*.txt` in a folder, as they are."""
    texts = [path.read_text(encoding="utf-8").split("\n") for path in sorted(folder.glob("submit_*.txt"))]
    return "\n\n".join("\n".join(lines[:count]) for lines in texts)


def source_file(task: Task, data: Path, split: str) -> Path:
    """The dev or test file of a task in a data folder; UserError where it is missing."""
    found = task.find_file(data, split)
    if found is None:
        raise UserError(f"submission: expected {task.file_name(split)} (or .gz) in {data}, found none.")
    return found
