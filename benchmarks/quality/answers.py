"""Test predictions of finished runs against answers held apart: F1 and AUC on all, seen and unseen languages.

    python -m benchmarks.quality.answers taxobench --answers ../shared/data/taxobench
    python -m benchmarks.quality.answers encoder_cpu-original encoder_cpu-translated --answers ../shared/data/taxobench

The answers are `test_QC_answers.csv` (or `.txt.gz`) with the columns id, label. Nothing of them reaches a fit or a
threshold. Beside each run stand the linear baseline of the same run (its threshold from the same validation rows)
and "everything relevant". A run's interval is a 95% bootstrap interval, resampled by query. Below stands what seen
languages' answers let expect of the unseen ones (`decide.expect`). Of several runs each is also held against the first
on the same rows: the difference of their F1, with a paired interval.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks.command import exit_status, new_parser
from competition_utils.decide.compare import common_rows, compare_predictions
from competition_utils.decide.expect import expected_f1
from competition_utils.decide.metrics import counts, f1_from_counts, f1_mean
from competition_utils.decide.resample import interval, query_groups, resampled_sums
from competition_utils.decide.thresholds import best_threshold
from competition_utils.errors import UserError
from competition_utils.runs.artefacts import find_run
from competition_utils.storage import write_json
from competition_utils.tasks import TASKS, Task

RESAMPLES = 1000


def answers(folder: Path, task: Task) -> pd.DataFrame:
    """`id, label` of a task's test rows."""
    names = [f"test_{task.name}_answers.{suffix}" for suffix in ("csv", "txt", "txt.gz")]
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        raise UserError(f"answers: expected one of {', '.join(names)} in {folder}, found none.")
    return pd.read_csv(path, usecols=["id", "label"])


def answered(run: Path, folder: Path, task: Task) -> pd.DataFrame:
    """Test rows of a run: `id, language, query, label, seen, score, prediction, linear_score, linear_prediction`, and
    how the query was read, where the run has it: `query_en, category_hint`."""
    decided = pd.read_parquet(run / "threshold_tuning" / f"{task.name}_decisions.parquet")
    train = pd.read_parquet(run / "eda" / f"{task.name}_train.parquet")
    linear = pd.read_parquet(run / "finetune" / f"{task.name}_linear_scores.parquet")
    valid = linear[linear["split"] == "valid"].merge(train[["id", "label"]], on="id")
    threshold = best_threshold(valid["label"].to_numpy(np.int64), valid["score"].to_numpy()).threshold
    linear = linear[linear["split"] == "test"][["id", "score"]].rename(columns={"score": "linear_score"})
    table = decided[decided["split"] == "test"].merge(answers(folder, task), on="id", validate="1:1")
    read = pd.read_parquet(run / "augmentation" / f"{task.name}_test.parquet")
    texts = [name for name in ("query", "query_en", "category_hint") if name in read]
    table = table.merge(read[["id", *texts]], on="id").merge(linear, on="id")
    table["linear_prediction"] = (table["linear_score"] >= threshold).astype(int)
    return table.assign(seen=table["language"].isin(train["language"].unique()))


def differences(tables: dict[str, pd.DataFrame]) -> dict[str, dict[str, dict[str, float]]]:
    """Run → part → F1 minus that of the first run, with its 95% interval and p-value, in points."""
    first = next(iter(tables.values()))
    rows = common_rows(tables, first)
    seen = rows["id"].map(first.set_index("id")["seen"])
    found: dict[str, dict[str, dict[str, float]]] = {}
    for part, chosen in {"all": rows, "seen": rows[seen], "unseen": rows[~seen]}.items():
        for run, row in compare_predictions(chosen, RESAMPLES).table.iloc[1:].iterrows():
            interval_ends = [100 * row["difference_low"], 100 * row["difference_high"]]
            entry = {"difference": 100 * row["difference"], "interval": interval_ends, "p": row["p_value"]}
            found.setdefault(str(run), {})[part] = entry
    return found


def show_differences(first: str, task: str, found: dict[str, dict[str, dict[str, float]]]) -> None:
    print(f"\n{task}: F1 against {first} on the same test rows, in points")
    for run, parts in found.items():
        columns = [
            f"{part} {entry['difference']:+.2f} [{entry['interval'][0]:+.2f}, {entry['interval'][1]:+.2f}]"
            for part, entry in parts.items()
        ]
        print(f"{run:<36}" + "   ".join(columns))


def figures(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """F1 and AUC of the run, of the baseline and of "everything relevant", by part of the rows."""
    parts = {"all": table, "seen": table[table["seen"]], "unseen": table[~table["seen"]]}
    found = {name: _figures(rows) for name, rows in parts.items() if len(rows)}
    expected = expected_f1(parts["seen"], parts["unseen"], RESAMPLES)
    if expected is not None:
        found["unseen"]["expected"] = expected.as_dict()
    return found


def _figures(rows: pd.DataFrame) -> dict[str, float]:
    labels, predicted = rows["label"].to_numpy(np.int64), rows["prediction"].to_numpy(np.int64)
    cells = counts(labels, predicted)
    sums = resampled_sums(cells, query_groups(rows["query"]), RESAMPLES, seed=0)
    return {
        "rows": len(rows),
        "f1": float(f1_from_counts(*cells.sum(axis=0))),
        "f1_interval": list(interval(f1_from_counts(*sums.T))),
        "auc": roc_auc_score(labels, rows["score"]),
        "linear_f1": float(f1_from_counts(*counts(labels, rows["linear_prediction"].to_numpy(np.int64)).sum(axis=0))),
        "linear_auc": roc_auc_score(labels, rows["linear_score"]),
        "all_positive_f1": float(2 * labels.mean() / (1 + labels.mean())),
    }


def show(name: str, result: dict[str, dict[str, dict[str, float]]]) -> None:
    print(f"{name}: test rows with answers, threshold chosen on validation rows")
    print(f"{'':<12}{'rows':>8}{'F1':>9}{'95% interval':>18}{'AUC':>8}{'linear F1':>11}{'AUC':>8}{'all relevant':>14}")
    for task, parts in result.items():
        for part, entry in parts.items():
            low, high = entry["f1_interval"]
            print(
                f"{task + ' ' + part:<12}{entry['rows']:>8,}{entry['f1']:>9.4f}{f'{low:.4f}–{high:.4f}':>18}"
                f"{entry['auc']:>8.4f}{entry['linear_f1']:>11.4f}{entry['linear_auc']:>8.4f}"
                f"{entry['all_positive_f1']:>14.4f}"
            )
    for task, parts in result.items():
        if "expected" in parts.get("unseen", {}):
            expected = parts["unseen"]["expected"]
            low, high = expected["interval"]
            figures_of_seen = f"{expected['f1']:.4f} [{low:.4f}–{high:.4f}]"
            print(f"{task}: to expect of unseen languages, by how their queries are read: {figures_of_seen}")
    for part in ("all", "seen", "unseen"):
        mean = f1_mean({task: parts[part] for task, parts in result.items() if part in parts})
        if mean is not None:
            print(f"mean F1 {part}: {mean:.4f}")


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="names of runs in papermill_runs/")
    parser.add_argument("--answers", type=Path, required=True, help="folder with test_QC_answers and test_QI_answers")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    results: dict[str, dict] = {}
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    for name in args.runs:
        run = find_run(name)
        present = [task for task in TASKS.values() if (run / "eda" / f"{task.name}_test.parquet").is_file()]
        for task in present:
            tables.setdefault(task.name, {})[name] = answered(run, args.answers, task)
        results[name] = {task.name: figures(tables[task.name][name]) for task in present}
        show(name, results[name])
    for task, of_runs in tables.items():
        if len(of_runs) > 1:
            found = differences(of_runs)
            show_differences(next(iter(of_runs)), task, found)
            for name, parts in found.items():
                results[name][task]["against_first"] = parts
    if args.json:
        write_json(args.json, results)


if __name__ == "__main__":
    sys.exit(exit_status(main))
