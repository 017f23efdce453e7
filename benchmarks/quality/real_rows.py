r"""What a model of made-up data knows of real queries: the official sample's rows as the test rows of a run.

    python -m benchmarks.quality.real_rows write DIR --train ../shared/data/taxobench \
        --rows ../shared/data/official_sample
    python -m competition_utils run encoder_cpu --data-dir DIR --name real -p train_rows=20000 \
        -p encoder.num_train_epochs=1
    python -m benchmarks.quality.real_rows measure real --rows ../shared/data/official_sample

`write` makes a data folder: train is that of the given folder and of the built-in sample together, with both lexicons;
dev is the given folder's; test is the real rows without their labels, so that their categories belong to the tree.
`measure` prints F1 at the run's threshold and AUC on them: of the run's model, of its linear baseline, and, where the
extras are installed, of what nobody fitted, the cosine of query and path by multilingual-e5-small and how much likelier
Gemma 3 270M finds the path given the query (`models.scoring.likelihood`); the last also together with the run's model,
each divided by its standard deviation. Then the run's model by how many words of a query train has, by how near the
query is to a category, and by what kind of query it is: plain words, a brand, a product's model, a name out of films,
games and music, misspelt, slang (real_rows_kinds.tsv, as one reader sorted them; a query of several kinds is the first
of misspelt, model, brand, franchise, slang). Nothing is tuned on these rows.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logit
from scipy.stats import zscore
from sklearn.metrics import roc_auc_score

from benchmarks.command import exit_status, new_parser
from benchmarks.quality.base_models import information
from competition_utils.data.columns import english_query, words_by_row
from competition_utils.data.files import find_lexicon
from competition_utils.decide.resample import RESAMPLES, interval, query_groups
from competition_utils.decide.slices import figures_by, how_near_a_category
from competition_utils.errors import UserError
from competition_utils.models.embeddings import embed
from competition_utils.models.pretrained import MULTILINGUAL_E5
from competition_utils.runs.artefacts import artefact_reader, find_run
from competition_utils.synthetic.folder import data_folder
from competition_utils.tasks import QC, QI, TASKS, Task

REAL = "QC_labelled_sample.txt"
KINDS = Path(__file__).with_name("real_rows_kinds.tsv")
LEAST = 1e-6  # of a score, whose logit is taken
SHARES = {"none": 0.0, "up to half": 0.5, "more than half": 0.999, "all": 1.0}


def read_lines(path: Path | None, what: str) -> list[str]:
    if path is None or not path.is_file():
        raise UserError(f"expected {what}, found none. Name the folder that holds it.")
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8").splitlines()


def lines_of(folder: Path, task: Task, split: str) -> list[str]:
    return read_lines(task.find_file(folder, split), f"{task.file_name(split)} in {folder}")


def real_rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in read_lines(folder / REAL, f"{REAL} in {folder}")]


def write_folder(out: Path, train: Path, real: Path) -> None:
    """The data folder that `measure`'s run is made on."""
    out.mkdir(parents=True, exist_ok=True)
    sources = (train, data_folder("sample"))
    for task in TASKS.values():
        rows = [json.loads(line) for source in sources for line in lines_of(source, task, "train")]
        numbered = [row | {"id": number} for number, row in enumerate(rows, 1)]
        write_lines(out / task.file_name("train"), numbered)
        write_lines(out / task.file_name("dev"), map(json.loads, lines_of(train, task, "dev")))
    kept = ("id", "task", "language", "origin_query", QC.target_field)
    rows = [{name: row[name] for name in kept} for row in real_rows(real)]
    write_lines(out / QC.file_name("test"), rows)
    write_lines(out / QI.file_name("test"), map(json.loads, lines_of(train, QI, "test")))  # a run wants one
    (header, *pairs), others = (read_lines(find_lexicon(each), f"a lexicon in {each}") for each in sources)
    if others[0] != header:
        raise UserError(f"lexicon: expected the columns {header!r}, found {others[0]!r}.")
    (out / "lexicon.tsv").write_text("\n".join([header, *pairs, *others[1:]]) + "\n", encoding="utf-8")


def write_lines(path: Path, rows) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def measured_rows(run: Path, real: Path) -> pd.DataFrame:
    """The real rows with the run's `score, prediction, linear_score`."""
    read = artefact_reader(run)
    labels = pd.DataFrame(real_rows(real))[["id", "label"]]
    decided, linear = read("QC_decisions", of="threshold_tuning"), read("QC_linear_scores", of="finetune")
    texts = read("QC_test", of="augmentation")[["id", "query", "query_en", "target", "category_hint"]]
    table = decided[decided["split"] == "test"].merge(labels, on="id", validate="1:1").merge(texts, on="id")
    scores = linear.loc[linear["split"] == "test", ["id", "score"]].rename(columns={"score": "linear_score"})
    return table.merge(scores, on="id")


def words_known(rows: pd.DataFrame, run: Path) -> pd.Series:
    """A range of the share of a query's words, in English where it has that, that train's queries or paths hold."""
    train = artefact_reader(run)("QC_train", of="augmentation")
    known = set(words_by_row(pd.concat([english_query(train), train["target"]]))["word"])
    words = words_by_row(english_query(rows))
    share = words["word"].isin(known).groupby(words["row"]).mean().reindex(range(len(rows)), fill_value=0.0)
    kinds = pd.cut(share.to_numpy(), [-1, *SHARES.values()], labels=list(SHARES))
    return pd.Series(kinds.astype(str), index=rows.index, name="words that train has")


def kinds_of(rows: pd.DataFrame) -> pd.Series:
    """What kind of query each real row has, as KINDS says by its id."""
    kinds = pd.read_csv(KINDS, sep="\t").set_index("id")["kind"]
    return rows["id"].map(kinds).rename("kind of query")


def auc_of(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> str:
    """AUC with its 95% interval, resampled by query."""
    rng = np.random.default_rng(0)
    rows_of = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    drawn = [
        np.concatenate([rows_of[i] for i in rng.integers(0, len(rows_of), len(rows_of))]) for _ in range(RESAMPLES)
    ]
    aucs = [roc_auc_score(labels[rows], scores[rows]) for rows in drawn if 0 < labels[rows].mean() < 1]
    low, high = interval(np.array(aucs))
    return f"AUC {roc_auc_score(labels, scores):.3f} [{low:.3f}, {high:.3f}]"


def e5_cosine_with_path(rows: pd.DataFrame) -> np.ndarray:
    paths = embed(rows["target"].str.replace(",", " "), MULTILINGUAL_E5, kind="document")
    return np.einsum("nd,nd->n", embed(rows["query"], MULTILINGUAL_E5), paths)


def gemma_information(rows: pd.DataFrame) -> np.ndarray:
    return information(rows.assign(task=QC.name), {})


def show(rows: pd.DataFrame, run: Path) -> None:
    labels = rows["label"].to_numpy(np.int64)
    groups = query_groups(rows["query"])
    ways = {"the run's model": rows["score"].to_numpy(), "linear": rows["linear_score"].to_numpy()}
    unfitted = {"e5 cosine": e5_cosine_with_path, "Gemma 270M, unfitted": gemma_information}
    for name, way in unfitted.items():
        try:
            ways[name] = way(rows)
        except UserError as error:  # its extra is not installed
            print(f"{name}: not measured: {error}")
    if "Gemma 270M, unfitted" in ways:
        both = (ways["the run's model"], ways["Gemma 270M, unfitted"])
        ways["model and Gemma"] = sum(zscore(logit(scores.clip(LEAST, 1 - LEAST))) for scores in both)
    print(f"{len(rows)} rows, {labels.mean():.1%} relevant")
    for name, scores in ways.items():
        print(f"  {name:<22}{auc_of(labels, scores, groups)}")
    whole = figures_by(rows, pd.Series("all", index=rows.index, name="rows"), [])["f1"].item()
    print(f"  F1 at the run's threshold {whole:.3f}; all relevant {2 * labels.mean() / (1 + labels.mean()):.3f}\n")
    for by in (words_known(rows, run), how_near_a_category(rows), kinds_of(rows)):
        print(figures_by(rows, by, rows["language"].unique()).round(3).to_string(), "\n")


def main() -> None:
    parser = new_parser(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write", help="make the data folder")
    writing.add_argument("out", type=Path)
    writing.add_argument("--train", type=Path, required=True, help="folder with train, dev and a lexicon")
    measuring = commands.add_parser("measure", help="measure a run on it")
    measuring.add_argument("run")
    for command in (writing, measuring):
        command.add_argument("--rows", type=Path, required=True, help=f"folder with {REAL}")
    args = parser.parse_args()
    if args.command == "write":
        write_folder(args.out, args.train, args.rows)
    else:
        folder = find_run(args.run)
        show(measured_rows(folder, args.rows), folder)


if __name__ == "__main__":
    sys.exit(exit_status(main))
