"""How fast the data layer is at full size, step by step, beside the straightforward pandas way.

    python -m benchmarks.speed.data_layer [--data-dir DIR] [--rows 300000 340000] [--json FILE]

Rows come from DIR, repeated with new ids up to the size; by default from ../shared/data/taxobench, or from
the built-in sample where that is absent (`--data-dir sample` asks for it). Each step runs in a process of its
own, so that the peak memory is the step's: resident memory, with its input and the interpreter. The pandas
way is measured on fewer rows, and compared by rows a second.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from lingua import Language, LanguageDetectorBuilder
from sklearn.model_selection import StratifiedGroupKFold

from benchmarks.command import exit_status, new_parser
from competition_utils.data.clean import clean_table
from competition_utils.data.duplicates import conflicts, near_duplicate_queries, resolve
from competition_utils.data.files import read_table, write_json_lines
from competition_utils.data.folds import make_folds
from competition_utils.data.languages import LANGUAGES, detect
from competition_utils.storage import read_json, write_json, write_parquet
from competition_utils.tasks import TASKS, Task

TAXOBENCH = Path(__file__).resolve().parents[3] / "shared" / "data" / "taxobench"

# ------------------------------------------------------------------------------------------ the steps
# A step takes the table that the step before gave, the task and the folder of the input, and gives a table.


def read(table: None, task: Task, folder: Path) -> pd.DataFrame:
    return read_table(folder / task.file_name("train"), task)


def read_pandas(table: None, task: Task, folder: Path) -> pd.DataFrame:
    with (folder / task.file_name("train")).open(encoding="utf-8") as stream:
        table = pd.DataFrame([json.loads(line) for line in stream])
    sound = table.apply(lambda row: _is_sound(row, task), axis=1)
    assert sound.all()
    assert not table["id"].duplicated().any()
    return table.rename(columns={task.target_field: "origin_target"})


def _is_sound(row: pd.Series, task: Task) -> bool:
    texts = isinstance(row["origin_query"], str) and isinstance(row["language"], str)
    target = pd.isna(row[task.target_field]) or isinstance(row[task.target_field], str)
    label = type(row["label"]) in (int, str) and row["label"] in (0, 1, "0", "1")
    return type(row["id"]) is int and texts and target and row["task"] == task.name and label


def clean(table: pd.DataFrame, task: Task, folder: Path) -> pd.DataFrame:
    return clean_table(table, task)[0]


def clean_pandas(table: pd.DataFrame, task: Task, folder: Path) -> pd.DataFrame:
    queries = table.apply(lambda row: _plain(row["origin_query"]), axis=1)
    return table.assign(query=queries, target=table.apply(lambda row: _plain(row["origin_target"]), axis=1))


def _plain(text: str | None) -> str:
    if not isinstance(text, str):
        return ""
    text = unicodedata.normalize("NFKC", html.unescape(text))
    text = re.sub(r"[\x00-\x1f\x7f]+", " ", text).strip("\"'%*^|~`_=;:, ")
    return re.sub(r"\s+", " ", text)


def duplicates(table: pd.DataFrame, task: Task, folder: Path) -> pd.DataFrame:
    """Finds and resolves, but passes the whole table on: repeated input would be gone otherwise."""
    near_duplicate_queries(table["query"])
    conflicts(table)
    resolve(table)
    return table


def duplicates_pandas(table: pd.DataFrame, task: Task, folder: Path) -> pd.DataFrame:
    keys = table.apply(lambda row: _near(row["query"]), axis=1)
    table.groupby(keys)["query"].apply(lambda queries: set(queries) if queries.nunique() > 1 else None)
    votes = table.groupby(["query", "target"])["label"].apply(lambda labels: labels.astype(float).mean())
    kept = table.apply(lambda row: abs(votes[row["query"], row["target"]] - row["label"]) < 0.5, axis=1)
    table[kept].drop_duplicates(["query", "target", "label"])
    return table


def _near(query: str) -> str:
    letters = unicodedata.normalize("NFKD", query.lower())
    return "".join(letter for letter in letters if letter.isalnum())


def languages(table: pd.DataFrame, task: Task, folder: Path) -> pd.DataFrame:
    return table.join(detect(table["query"], table["language"]))


def languages_pandas(table: pd.DataFrame, task: Task, folder: Path) -> pd.DataFrame:
    codes = {code if code != "vn" else "vi" for code in LANGUAGES}
    known = [language for language in Language.all() if language.iso_code_639_1.name.lower() in codes]
    detector = LanguageDetectorBuilder.from_languages(*known).build()
    found = table.apply(lambda row: detector.detect_language_of(row["query"]), axis=1)
    return table.assign(text_language=found.map(str))


def fold(table: pd.DataFrame, task: Task, folder: Path) -> pd.DataFrame:
    return table.assign(fold=make_folds(table, task)[0])


def fold_pandas(table: pd.DataFrame, task: Task, folder: Path) -> pd.DataFrame:
    groups = table.apply(lambda row: _near(row["query"]), axis=1)
    strata = table.apply(lambda row: f"{row['language']} {row['label']}", axis=1)
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    for number, (_, rows) in enumerate(splitter.split(table, strata, groups)):
        table.loc[table.index[rows], "fold"] = number
    return table


def write(table: pd.DataFrame, task: Task, folder: Path) -> pd.DataFrame:
    write_json_lines(folder / f"written_{task.name}.txt", table, task)
    return table


def write_pandas(table: pd.DataFrame, task: Task, folder: Path) -> pd.DataFrame:
    fields = table[["id", "task", "language", "origin_query", "origin_target", "label"]].astype(object)
    lines = fields.apply(lambda row: json.dumps(row.to_dict(), ensure_ascii=False), axis=1)
    (folder / f"written_{task.name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


@dataclass(frozen=True)
class Step:
    name: str
    suite: Callable[[pd.DataFrame | None, Task, Path], pd.DataFrame]
    pandas: Callable[[pd.DataFrame | None, Task, Path], pd.DataFrame] | None
    pandas_rows: int = 20_000  # a task: enough for a steady rate, few enough to wait for


STEPS = [
    Step("read, validate", read, read_pandas),
    Step("clean", clean, clean_pandas),
    Step("duplicates", duplicates, duplicates_pandas, pandas_rows=5_000),
    Step("languages", languages, languages_pandas, pandas_rows=2_000),
    Step("fold", fold, fold_pandas, pandas_rows=5_000),
    Step("write", write, write_pandas),
]
ALL = "all in one process"

# ------------------------------------------------------------------------------- one step, one process


def measure(name: str, way: str, work: Path) -> dict[str, float]:
    """Run a step for both tasks in this process: rows, seconds, peak memory in MB.

    Its result is kept in `work` for the next step; reading the input and keeping the result are not timed.
    """
    rows, seconds = 0, 0.0
    for task in TASKS.values():
        if name == ALL:
            table, took = _timed([step.suite for step in STEPS], None, task, work)
        else:
            number, step = next((n, step) for n, step in enumerate(STEPS) if step.name == name)
            kept = work / f"{task.name}_{number - 1}.parquet"
            table = pd.read_parquet(kept) if number else None
            if way == "suite":
                table, took = _timed([step.suite], table, task, work)
                write_parquet(work / f"{task.name}_{number}.parquet", table)
            else:
                few = table if table is None else table.head(step.pandas_rows)
                table, took = _timed([step.pandas], few, task, work / "few")
        rows, seconds = rows + len(table), seconds + took
    return {"rows": rows, "seconds": seconds, "rows_per_second": rows / seconds, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    status = Path("/proc/self/status")  # on Linux getrusage also counts what the parent process had
    if status.is_file():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def _timed(
    functions: list[Callable], table: pd.DataFrame | None, task: Task, folder: Path
) -> tuple[pd.DataFrame, float]:
    start = time.perf_counter()
    for function in functions:
        table = function(table, task, folder)
    return table, time.perf_counter() - start


def measure_apart(name: str, way: str, work: Path) -> dict[str, float]:
    """`measure` in a fresh process, so that no other step's memory counts."""
    result = work / "result.json"
    command = [sys.executable, "-m", __spec__.name, "--measure", name, way, str(work), str(result)]
    subprocess.run(command, check=True)
    return read_json(result)


# --------------------------------------------------------------------------------------- input and output


def make_input(data_dir: str | None, rows: dict[str, int], work: Path) -> str:
    """Write train files of the sizes wished into `work`, and fewer of their rows into `work/few`."""
    folder = Path(data_dir) if data_dir else TAXOBENCH
    if data_dir == "sample" or not folder.is_dir():
        from competition_utils.synthetic.competition import make_sample

        folder = work / "sample"
        make_sample(folder, rows=max(rows.values()), dev_rows=100, test_rows=100)
    for name, count in rows.items():
        task = TASKS[name]
        table = read_table(task.find_file(folder, "train") or folder / task.file_name("train"), task)
        full = table.iloc[np.arange(count) % len(table)].assign(id=np.arange(1, count + 1))
        write_json_lines(work / task.file_name("train"), full, task)
        few = min(count, STEPS[0].pandas_rows)
        write_json_lines(work / "few" / task.file_name("train"), full.head(few), task)
    return "the built-in sample" if folder.parent == work else folder.name


def show(results: list[dict]) -> str:
    columns = {
        "step": [result["step"] for result in results],
        "rows": [f"{result['suite']['rows']:,}" for result in results],
        "seconds": [f"{result['suite']['seconds']:.2f}" for result in results],
        "rows/s": [f"{result['suite']['rows_per_second']:,.0f}" for result in results],
        "peak MB": [f"{result['suite']['peak_mb']:,.0f}" for result in results],
        "pandas rows/s": [f"{_rate(result['pandas']):,.0f}" for result in results],
        "pandas peak MB": [f"{(result['pandas'] or {}).get('peak_mb', float('nan')):,.0f}" for result in results],
        "times faster": [f"{result['times_faster']:.1f}" for result in results],
    }
    return pd.DataFrame(columns).replace("nan", "–").to_string(index=False)


def _rate(measured: dict | None) -> float:
    return measured["rows_per_second"] if measured else float("nan")


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--data-dir", help="folder with train_QC.txt and train_QI.txt, or `sample`")
    parser.add_argument("--rows", type=int, nargs=2, default=[300_000, 340_000], metavar=("QC", "QI"))
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        name, way, work, result = args.measure
        write_json(result, measure(name, way, Path(work)))
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        source = make_input(args.data_dir, dict(zip(TASKS, args.rows, strict=True)), work)
        results = [compare(step, work) for step in STEPS]
        whole = measure_apart(ALL, "suite", work)
    results.append({"step": ALL, "suite": whole, "pandas": None, "times_faster": whole_gain(results)})
    print(f"{sum(args.rows):,} rows from {source}\n{show(results)}")
    if args.json:
        write_json(args.json, {"source": source, "steps": results})


def compare(step: Step, work: Path) -> dict:
    suite = measure_apart(step.name, "suite", work)
    plain = measure_apart(step.name, "pandas", work) if step.pandas else None
    faster = suite["rows_per_second"] / _rate(plain)
    return {"step": step.name, "suite": suite, "pandas": plain, "times_faster": faster}


def whole_gain(results: list[dict]) -> float:
    """How many times faster the steps are together: seconds a row of the pandas way over the suite's."""
    both = [result for result in results if result["pandas"]]
    plain = sum(1 / _rate(result["pandas"]) for result in both)
    return plain / sum(1 / result["suite"]["rows_per_second"] for result in both)


if __name__ == "__main__":
    sys.exit(exit_status(main))
