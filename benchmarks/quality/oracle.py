"""What perfect translations could still give: a run's model on dev's queries, as they are and in perfect English.

    python -m benchmarks.quality.oracle taxobench --data-dir ../shared/data/taxobench

For taxobench, whose meta files say which category each query of dev asks for, and in which form. Queries that are the
name of a category and nothing else (form `plain`) are measured twice: as the run read them, and with that name in
English in place of query and translation, hints anew. The name is the last level of a path that is right for another
query of the category (kind `self`). The model and its threshold stay as they are, so this is what better translation
alone could give. Intervals: 95%, bootstrap over queries, paired.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.command import exit_status, new_parser
from competition_utils.category_tree.hints import HintWriter
from competition_utils.data.clean import split_levels
from competition_utils.decide.metrics import counts, f1_from_counts
from competition_utils.decide.resample import RESAMPLES, interval, query_groups, resampled_sums
from competition_utils.errors import UserError
from competition_utils.models.base import load_model
from competition_utils.runs.artefacts import artefact_reader, find_run
from competition_utils.tasks import QC, TASKS


def with_facts(run: Path, data: Path, task: str) -> pd.DataFrame:
    """The augmented dev rows of a run with its `score, prediction, threshold` and taxobench's facts about them."""
    path = data / f"dev_{task}_meta.tsv.gz"
    if not path.is_file():
        raise UserError(f"oracle: expected {path}, found none. Name the folder of taxobench with --data-dir.")
    read = artefact_reader(run)
    decided = read(f"{task}_decisions", of="threshold_tuning")
    decided = decided.loc[decided["split"] == "dev", ["id", "score", "prediction", "threshold"]]
    rows = read(f"{task}_dev", of="augmentation").merge(decided, on="id", validate="1:1")
    return rows.merge(pd.read_csv(path, sep="\t"), on="id", validate="1:1")


def names_of_categories(rows: pd.DataFrame) -> pd.Series:
    """English name of each category, by its id in the taxonomy."""
    own = rows[rows["kind"] == "self"].drop_duplicates("query_node")
    return pd.Series([levels[-1] for levels in split_levels(own["target"])], index=own["query_node"])


def in_english(rows: pd.DataFrame, names: pd.Series, model: Path) -> pd.DataFrame:
    """The rows as a model would see them whose queries had been typed in English."""
    english = rows["query_node"].map(names)
    typed = rows.assign(query=english, query_en=english, language="en")
    writer = HintWriter.of_model(model)
    return typed if writer is None else typed.assign(category_hint=writer.hints(typed))


def shown(rows: pd.DataFrame, oracle: np.ndarray) -> dict[str, str | int]:
    """F1 as it is, F1 of the oracle, and the difference in points."""
    labels = rows["label"].to_numpy(np.int64)
    groups = query_groups(rows["query"])
    f1, drawn = [], []
    for predicted in (rows["prediction"].to_numpy(np.int64), oracle):
        cells = counts(labels, predicted)
        f1.append(float(f1_from_counts(*cells.sum(axis=0))))
        drawn.append(f1_from_counts(*resampled_sums(cells, groups, RESAMPLES, seed=0).T))
    low, high = interval(100 * (drawn[1] - drawn[0]))
    gain = f"{100 * (f1[1] - f1[0]):+.2f} [{low:+.2f}, {high:+.2f}]"
    return {"rows": len(rows), "as it is": f"{f1[0]:.4f}", "perfect English": f"{f1[1]:.4f}", "points": gain}


def model_folder(run: Path, task: str) -> Path:
    folders = [run / "finetune" / name / "fold0" for name in ("joint", task)]
    return next((folder for folder in folders if folder.is_dir()), folders[1])


def measure(run: Path, data: Path) -> pd.DataFrame:
    tables = {task: with_facts(run, data, task) for task in TASKS}
    names = names_of_categories(tables[QC.name])
    found = {}
    for task, table in tables.items():
        rows = table[(table["query_form"] == "plain") & table["query_node"].isin(names.index)].reset_index(drop=True)
        folder = model_folder(run, task)
        scores = load_model(folder).score(in_english(rows, names, folder))
        oracle = (scores >= rows["threshold"]).to_numpy(np.int64)
        unseen, known = rows["lang_seen"] == 0, rows["in_lexicon"] == 1
        parts = {
            "all": np.ones(len(rows), dtype=bool),
            "seen languages": ~unseen,
            "unseen languages": unseen,
            "the lexicon has the name": known,
            "the lexicon lacks it": ~known,
            "lacks it, unseen languages": ~known & unseen,
        }
        for part, chosen in parts.items():
            chosen = np.asarray(chosen)
            found[task, part] = shown(rows[chosen].reset_index(drop=True), oracle[chosen])
    return pd.DataFrame.from_dict(found, orient="index")


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("run", help="name of a finished run on taxobench")
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with taxobench's meta files")
    args = parser.parse_args()
    print(measure(find_run(args.run), args.data_dir).to_string())


if __name__ == "__main__":
    sys.exit(exit_status(main))
