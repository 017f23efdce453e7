"""A data folder → clean tables: read, clean, resolve, detect languages, fold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from competition_utils.data.clean import clean_table
from competition_utils.data.duplicates import conflicts, near_duplicate_queries, overlap, resolve
from competition_utils.data.files import read_table
from competition_utils.data.folds import FoldReport, make_folds
from competition_utils.data.languages import detect
from competition_utils.errors import DataError, Fault, UserError
from competition_utils.tasks import SPLITS, Task


@dataclass
class Prepared:
    """Clean tables by name (`QC_train`, …) and what was found on the way.

    `cleaning`: rule × field × split with counts. `conflicts`, `near_duplicates`, `overlaps`, `resolved`: see
    `duplicates`, each with a column `task`. `folds`: a report a task.
    """

    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    folds: dict[str, FoldReport] = field(default_factory=dict)
    _found: dict[str, list[pd.DataFrame]] = field(default_factory=dict)

    def _add(self, finding: str, table: pd.DataFrame, **columns: str) -> None:
        self._found.setdefault(finding, []).append(table.assign(**columns))

    def found(self, finding: str) -> pd.DataFrame:
        """All tasks' tables of a finding: "cleaning", "conflicts", "near_duplicates", "overlaps" or "resolved"."""
        return pd.concat(self._found.get(finding, [pd.DataFrame()]), ignore_index=True)

    def balance(self) -> pd.DataFrame:
        """The balance of all tasks' folds, with a column `task`."""
        return pd.concat([report.balance.assign(task=task) for task, report in self.folds.items()], ignore_index=True)

    def rows(self) -> pd.DataFrame:
        """All clean tables under each other, with `split`; `label` is missing where a file has none."""
        parts = [
            table.assign(split=name.split("_", 1)[1]).drop(columns="fold", errors="ignore")
            for name, table in self.tables.items()
        ]
        return pd.concat(parts, ignore_index=True).reindex(columns=list(ROW_COLUMNS))

    def write(self, write: Callable[[str, pd.DataFrame], None]) -> None:
        """Hand each clean table to `write(name, table)`."""
        for name, table in self.tables.items():
            write(name, table)


ROW_COLUMNS = (
    *("id", "task", "split", "language", "query", "target", "label"),
    *("text_language", "language_confidence", "origin_query", "origin_target"),
)


def prepare(
    folder: Path | str,
    tasks: Iterable[Task],
    *,
    clean_rules: Sequence[str] = ("all",),
    conflict_rule: str = "majority",
    n_folds: int = 5,
    prefix_depth: int = 2,
    seed: int = 0,
    allow_faults: Iterable[str] = (),
    train_rows: int = 0,
    cache_dir: Path | None = None,
) -> Prepared:
    """Read what the folder has of these tasks and make it clean tables; train loses duplicates and conflicts.

    `train_rows` draws so many rows of each task's train at random, in the order of the file; 0 takes all. Dev and
    test keep every row, since a submission must answer each. Raises DataError where the folder has no train file of
    any of the tasks, and for faults in the files unless their kind is in `allow_faults`; UserError for a negative
    `train_rows`.
    """
    if train_rows < 0:
        raise UserError(f"train_rows: expected 0 for all rows, or a number of rows, found {train_rows}.")
    tasks = list(tasks)
    present = [task for task in tasks if task.find_file(folder, "train")]
    if not present:
        names = " or ".join(task.file_name("train") for task in tasks)
        fault = Fault("missing file", str(folder), f"neither {names} nor the same with .gz")
        raise DataError("data folder: expected a train file", [fault], "Give the folder of the official files.")
    result = Prepared()
    for task in present:
        tables = _read_clean(folder, task, clean_rules, tuple(allow_faults), result)
        tables["train"], left_out = _drawn(tables["train"], train_rows, seed)
        result._add("overlaps", overlap(tables), task=task.name)
        result._add("conflicts", conflicts(tables["train"]), task=task.name)
        result._add("near_duplicates", near_duplicate_queries(tables["train"]["query"]), task=task.name)
        tables["train"], resolved = resolve(tables["train"], conflict_rule)
        result._add("resolved", pd.concat([left_out, resolved], ignore_index=True), task=task.name)
        _need_rows(tables["train"], task, resolved)
        tables = _with_languages(tables, cache_dir)
        fold, report = make_folds(tables["train"], task, n_folds=n_folds, seed=seed, prefix_depth=prefix_depth)
        tables["train"]["fold"] = fold
        result.folds[task.name] = report
        result.tables |= {f"{task.name}_{split}": table for split, table in tables.items()}
    return result


def _read_clean(
    folder: Path | str, task: Task, rules: Sequence[str], allow: tuple[str, ...], result: Prepared
) -> dict[str, pd.DataFrame]:
    """The clean tables of a task by split, of the splits that are there."""
    tables = {}
    for split in SPLITS:
        path = task.find_file(folder, split)
        if path is not None:
            table = read_table(path, task, split=split, allow=allow)
            tables[split], counts = clean_table(table, task, rules)
            result._add("cleaning", counts, task=task.name, split=split)
    return tables


def _need_rows(train: pd.DataFrame, task: Task, resolved: pd.DataFrame) -> None:
    if train.empty:
        lost = [
            Fault("left out", task.file_name("train"), f"{row.rows:,} rows: {row.description}")
            for row in resolved.itertuples()
        ]
        raise DataError(f"{task.name}: expected rows to train on, none is left", lost, "Choose another conflict_rule.")


def _drawn(train: pd.DataFrame, rows: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`rows` rows of the table, and what went in the columns of `resolve`'s report."""
    lost = max(0, len(train) - rows) if rows else 0
    drawn = train.sample(rows, random_state=seed).sort_index().reset_index(drop=True) if lost else train
    counted = [{"reason": "not drawn", "rows": lost, "description": f"train_rows: {rows:,}"}] if lost else []
    return drawn, pd.DataFrame(counted, columns=["reason", "rows", "description"])


def _with_languages(tables: dict[str, pd.DataFrame], cache_dir: Path | None) -> dict[str, pd.DataFrame]:
    """All splits are looked at together, as the words of each are evidence for the others."""
    together = pd.concat([table[["query", "language"]] for table in tables.values()], keys=tables)
    found = detect(together["query"], together["language"], cache_dir=cache_dir)
    return {split: table.join(found.loc[split]) for split, table in tables.items()}
