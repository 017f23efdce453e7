"""Augmentation on a CPU: lexicon translation, cache hits, mining; and how many mined negatives are relevant after all.

    python -m benchmarks.speed.augmentation --rows 20000 --json augmentation.json
    python -m benchmarks.speed.augmentation --mining 300000 --json mining.json

With --mining only that is measured, at size: as many different queries, each with a title of its own, made by adding
words to those of the data; five folds; a negative wanted for each row.

The data are taxobench's where ../shared is there (its meta files know the truth about dev), else the built-in sample's,
whose truth is not known. Rates are medians of three runs.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.command import exit_status, new_parser
from competition_utils.augment import mining
from competition_utils.augment.negatives import semantic_negatives
from competition_utils.augment.rows import start_table
from competition_utils.augment.tools import Tools
from competition_utils.data.clean import clean_table
from competition_utils.data.files import read_table
from competition_utils.models.embeddings import embed
from competition_utils.settings.strategy import SemanticNegatives
from competition_utils.synthetic.folder import data_folder
from competition_utils.tasks import TASKS, Task
from competition_utils.translation.cache import TranslationCache, scope_of
from competition_utils.translation.interface import Translator, translate_table
from competition_utils.translation.open import open_translator

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "taxobench"
AT_SIZE = 300_000  # rows that should take minutes on two cores
BANDS = {
    "easy": {"band": "easy", "tree": ["far"]},
    "medium": {"band": "medium"},
    "hard": {"band": "hard", "tree": ["sibling", "cousin", "vertical"]},
}


def rate(rows: int, work: Callable[[], object], runs: int = 3) -> float:
    """Rows a second, the median of some runs."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return rows / statistics.median(seconds)


def clean_dev(folder: Path, task: Task, rows: int, split: str) -> pd.DataFrame:
    """The first rows of a split, cleaned, all in one fold."""
    path = task.find_file(folder, split)
    table = clean_table(read_table(path, task, split=split, need_label=True), task)[0]
    return table.head(rows).reset_index(drop=True).assign(fold=np.int16(0))


def lexicon_rates(table: pd.DataFrame, translator: Translator) -> dict[str, float]:
    """Rows/s of a whole table, and different texts/s of one language, the index built beforehand."""
    translate_table(table.head(1000), translator)
    texts = table.loc[table["language"] == "es", "query"].drop_duplicates().tolist()
    return {
        "lexicon, rows/s of a table": rate(len(table), lambda: translate_table(table, translator)),
        "lexicon, different texts/s (es)": rate(len(texts), lambda: translator.translate(texts, "es", "en")),
    }


def cache_rate(texts: int = 200_000) -> dict[str, float]:
    """Cache hits a second."""
    scope = scope_of("seq2seq", "model", "en", "de")
    stored = {f"a search query of some length {number}": f"eine suchanfrage {number}" for number in range(texts)}
    with tempfile.TemporaryDirectory() as folder:
        cache = TranslationCache(Path(folder) / "cache.sqlite")
        cache.put(stored, scope)
        found = rate(texts, lambda: cache.get(list(stored), scope))
        cache.close()
    return {"cache hits/s": found}


def mine(table: pd.DataFrame, task: Task, translator: Translator | None, band: str) -> tuple[pd.DataFrame, float]:
    """The negatives of a band, and how many a second were made, embedding included."""
    started = start_table(table, translate_table(table, translator) if translator else pd.Series("", table.index))
    start = time.perf_counter()
    made = semantic_negatives(started, Tools(task, translator), SemanticNegatives(ratio=0.5, **BANDS[band]))
    created = made[made["source"] == "negative"]
    return created, len(created) / (time.perf_counter() - start)


def mining_table(folder: Path, rows: int) -> pd.DataFrame:
    """Positive QI rows in five folds, queries and titles all different: the data's own with two more words each.

    Queries are in English where the data have a lexicon, as they are when negatives are mined.
    """
    task, rng, translator = TASKS["QI"], np.random.default_rng(0), open_translator("auto", folder)
    own = clean_table(read_table(task.find_file(folder, "train"), task, split="train", need_label=True), task)[0]
    own = own.head(rows)
    if translator is not None:
        english = translate_table(own, translator)
        own = own.assign(query=english.where(english != "", own["query"]))
    table = own.iloc[np.arange(rows) % len(own)].reset_index(drop=True)
    for column in ("query", "target"):
        words = own[column].str.split().explode().dropna().to_numpy(object)
        first, second = (rng.choice(words, rows) for _ in range(2))
        table[column] = (table[column] + " " + first + " " + second).astype("str")
    table = table.assign(id=np.arange(1, rows + 1), label=pd.array(np.ones(rows), "Int8"))
    table["fold"] = (np.arange(rows) % 5).astype("int16")
    return start_table(table, pd.Series("", index=table.index, dtype="str"))


def mining_at_size(table: pd.DataFrame) -> dict[str, float]:
    """Seconds, processor seconds and rows/s of mining a negative for each row, by part, and this process's peak memory.

    Processor seconds are those of all threads together; on a machine that does other work too, trust them.
    """
    taken = {"embedding": np.zeros(2), "search": np.zeros(2)}
    with timed("embed", taken["embedding"]), timed("nearest", taken["search"]):
        start = clock()
        made = semantic_negatives(table, Tools(TASKS["QI"]), SemanticNegatives(ratio=1.0))
        whole = clock() - start
    taken |= {"drawing, checks and the rest": whole - sum(taken.values()), "all": whole}
    figures = {
        "different queries": table["query"].nunique(),
        "different titles": table["target"].nunique(),
        "negatives": int((made["source"] == "negative").sum()),
        "peak memory, GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    for part, (seconds, processor) in taken.items():
        figures |= {f"{part}: seconds": seconds, f"{part}: processor seconds": processor}
        figures[f"{part}: rows/s"] = len(table) / seconds
    factor = AT_SIZE / len(table)
    if factor > 1:
        # Search compares each query of a fold with its targets: its time grows with the square.
        longer = factor * (whole - taken["search"]) + factor**2 * taken["search"]
        figures[f"EXTRAPOLATED to {AT_SIZE} rows, not measured: minutes"] = longer[0] / 60
        figures[f"EXTRAPOLATED to {AT_SIZE} rows, not measured: processor minutes"] = longer[1] / 60
    return figures


def clock() -> np.ndarray:
    """Seconds on the wall and seconds of the processor."""
    return np.array([time.perf_counter(), time.process_time()])


@contextmanager
def timed(function: str, taken: np.ndarray) -> Iterator[None]:
    """Add what a function of `mining` takes to `taken`."""
    own = getattr(mining, function)

    def measured(*given: object) -> object:
        start = clock()
        result = own(*given)
        taken[:] += clock() - start
        return result

    setattr(mining, function, measured)
    try:
        yield
    finally:
        setattr(mining, function, own)


def relevant_share(created: pd.DataFrame, table: pd.DataFrame, meta: pd.DataFrame) -> tuple[float, int]:
    """Share of negatives that are relevant in truth, and of how many that is known.

    A target's place in the taxonomy is known from the rows that it is right for. It counts as relevant when it
    lies at the query's place, above or below it, whatever attribute was asked for: an upper bound.
    """
    known = table.merge(meta[["id", "kind", "query_node"]], on="id")
    right = known[known["kind"].isin(["self", "same"]) & (known["label"] == 1)]
    places = right.groupby("target")["query_node"].agg(set)
    asked = meta.set_index("id").loc[created["origin_id"], "query_node"].to_numpy()
    judged = [
        any(_on_one_branch(node, place) for place in places[target])
        for node, target in zip(asked, created["target"], strict=True)
        if target in places.index
    ]
    return float(np.mean(judged)) if judged else float("nan"), len(judged)


def _on_one_branch(one: str, other: str) -> bool:
    return f"{one}-".startswith(f"{other}-") or f"{other}-".startswith(f"{one}-")


def all_figures(folder: Path, rows: int) -> dict[str, float]:
    """Every rate, and the shares where the data's truth is known."""
    translator = open_translator("auto", folder)
    figures: dict[str, float] = cache_rate()
    for name, task in TASKS.items():
        table = clean_dev(folder, task, rows, "dev")
        if name == "QC" and translator is not None:
            figures |= lexicon_rates(table, translator)
        for band in BANDS:
            created, speed = mine(table, task, translator, band)
            figures[f"{name} {band}: negatives/s"] = speed
            if folder == SHARED:
                meta = pd.read_csv(folder / f"dev_{name}_meta.tsv.gz", sep="\t", keep_default_na=False)
                share, judged = relevant_share(created, table, meta)
                figures |= {f"{name} {band}: relevant share": share, f"{name} {band}: judged": judged}
    return figures


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--rows", type=int, default=10_000, help="rows of each task")
    parser.add_argument(
        "--mining", type=int, metavar="ROWS", help="measure mining alone, on so many queries and titles"
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    folder = SHARED if SHARED.is_dir() else data_folder("sample")
    if arguments.mining:
        embed(["the model is loaded beforehand"])
        figures = mining_at_size(mining_table(folder, arguments.mining))
    else:
        figures = all_figures(folder, arguments.rows)
    print(pd.Series(figures).round(4).to_string())
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(exit_status(main))
