"""Negatives by meaning: targets that a query's words come near to, in a band of similarity, below a guard.

Natural negatives of these tasks are near misses; what is nearest of all, though, is often relevant and merely
unlabelled. So a band is chosen (easy, medium, hard) and the top above the guard is left alone, as the report of
team Tredence_AICOE (CIKM 2025 AnalytiCup) advises; nearest neighbours come from FAISS.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from competition_utils.augment.embeddings import embed
from competition_utils.augment.known_pairs import RELATIONS, KnownPairs
from competition_utils.augment.rows import add_rows, originals, sample_stratified
from competition_utils.augment.tools import Tools
from competition_utils.data.languages import scripts_of
from competition_utils.errors import UserError
from competition_utils.progress import progress
from competition_utils.tasks import QC

BANDS = ("easy", "medium", "hard")
RANDOM_TRIED, NEAREST_TRIED = 96, 96  # candidates a row
CHUNK_ROWS = 1024
EXACT_BELOW = 20_000  # targets; more are searched with an inverted file
VIETNAMESE = r"[ăđơưạảấầẩẫậắằẳẵặẹẻẽềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]"


@dataclass(frozen=True)
class Limits:
    """What a negative must fulfil; see `semantic_negatives`."""

    low: float
    high: float
    query_guard: float
    relations: tuple[int, ...] | None
    pool: int


def semantic_negatives(
    table: pd.DataFrame,
    tools: Tools,
    *,
    band: str = "medium",
    ratio: float = 0.2,
    edges: list[float] | None = None,
    guard: float = 0.6,
    query_guard: float = 0.8,
    tree: list[str] | None = None,
    pool: int = 20_000,
    weight: float = 1.0,
) -> pd.DataFrame:
    """Append negatives: positive rows of the files with another target and label 0.

    Parameters
    ----------
    band : "easy" (similarity below `edges[0]`), "medium" (up to `edges[1]`) or "hard" (from there to `guard`).
    ratio : created rows as a share of the positive rows, sampled so that languages keep their shares.
    edges : the two edges between the bands, cosines; None means 0.2 and 0.4, which suit MiniLM.
    guard : no target as similar as this or more is taken.
    query_guard : nor one that is right for another query as similar to this one as that.
    tree : QC only; where a target must lie, seen from the row's category: "sibling", "cousin" (same
        grandparent), "vertical" (same department), "far". None: anywhere, but never up or down its own branch.
    pool : most different targets of a fold that are looked at.

    Targets come from the row's own fold, so that no fold learns another's targets; from the same script as the
    row's own target; never from a known pair of the query or of a near-duplicate of it, whatever its label.
    """
    low, high = _band(band, edges, guard)
    relations = None if tree is None or tools.task.name != QC.name else _relations(tree)
    limits = Limits(low, high, query_guard, relations, pool)
    rng = tools.rng(f"negatives {band}")
    first = originals(table)
    seekers = first[(first["label"] == 1) & (first["target"] != "")]
    seekers = sample_stratified(seekers, int(ratio * len(seekers)), ["language"], rng)
    known = KnownPairs(table, tools.task)
    folds = seekers.get("fold", pd.Series(0, index=seekers.index))
    made = [seekers.iloc[:0].assign(similarity=np.float32(0))]
    for fold, part in seekers.groupby(folds, sort=True):
        offered = first[first["fold"] == fold] if "fold" in first else first
        made.append(_mine(part, offered, known, limits, tools, rng))
    created = pd.concat(made)
    none = pd.Series("no target in the band", index=seekers.index.difference(created.index), dtype="str")
    tools.refusals.add("semantic_negatives", none, seekers.loc[none.index], before="query", after="target")
    tools.similarities.append(pd.DataFrame({"kind": band, "similarity": created["similarity"].to_numpy()}))
    tools.guard = guard
    gate = pd.array([f"{band} {value:.2f}" for value in created["similarity"]], dtype="str")
    created = created.assign(gate=gate, weight=np.float32(weight))
    created["label"] = pd.array(np.zeros(len(created)), dtype=table["label"].dtype)
    return add_rows(table, created.drop(columns="similarity"), source="negative", step="semantic_negatives")


def _band(band: str, edges: list[float] | None, guard: float) -> tuple[float, float]:
    if band not in BANDS:
        raise UserError(f"semantic_negatives.band: expected one of {', '.join(BANDS)}, found {band!r}.")
    ends = [-1.0, *(edges or (0.2, 0.4)), guard]
    if len(ends) != 4 or sorted(ends) != ends:
        raise UserError(f"semantic_negatives: expected two rising edges below the guard, found {edges}, {guard}.")
    return ends[BANDS.index(band)], ends[BANDS.index(band) + 1]


def _relations(tree: list[str]) -> tuple[int, ...]:
    if unknown := [name for name in tree if name not in RELATIONS[1:]]:
        raise UserError(f"semantic_negatives.tree: expected some of {RELATIONS[1:]}, found {unknown}.")
    return tuple(RELATIONS.index(name) for name in tree)


def _mine(
    seekers: pd.DataFrame,
    offered: pd.DataFrame,
    known: KnownPairs,
    limits: Limits,
    tools: Tools,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Copies of `seekers` with another target and their `similarity`; rows that find none are missing."""
    places = known.target_places(offered[offered["target"] != ""])
    pool, count = np.unique(places, return_counts=True)
    if len(pool) > limits.pool:
        chosen = np.sort(rng.choice(len(pool), limits.pool, replace=False, p=count / count.sum()))
        pool, count = pool[chosen], count[chosen]
    targets = embed(known.targets[pool].to_series(), tools.embedding_model)
    queries = embed(_english(seekers), tools.embedding_model)
    asking = _AskingQueries(offered, known, pool, limits.query_guard, tools)
    nearest = _nearest(queries, targets)
    own = known.target_places(seekers)
    script = _script(pd.Series(known.targets[pool]))
    own_script = _script(pd.Series(known.targets[own]))
    tools.similarities.append(_of_positives(seekers, queries, known, pool, targets))
    chosen = np.full(len(seekers), -1, dtype=np.int64)
    similarity = np.zeros(len(seekers), dtype=np.float32)
    groups = known.query_groups(seekers)
    for start in progress(range(0, len(seekers), CHUNK_ROWS), what="mining negatives", unit="chunks"):
        rows = slice(start, start + CHUNK_ROWS)
        drawn = rng.choice(len(pool), (len(groups[rows]), RANDOM_TRIED), p=count / count.sum())
        tried = np.concatenate([nearest[rows], drawn], axis=1)
        close = np.einsum("nd,nkd->nk", queries[rows], targets[tried])
        fits = (close >= limits.low) & (close < limits.high) & known.allowed(groups[rows], pool[tried])
        fits &= script[tried] == own_script[rows, None]
        fits &= ~asking.too_close(queries[rows], tried)
        if limits.relations is not None:
            fits &= np.isin(known.relation(own[rows], pool[tried]), limits.relations)
        pick = np.argmax(rng.random(fits.shape) * fits, axis=1)
        lines = np.arange(len(pick))
        chosen[rows] = np.where(fits[lines, pick], pool[tried[lines, pick]], -1)
        similarity[rows] = close[lines, pick]
    found = chosen >= 0
    new = pd.array(known.targets[chosen[found]], dtype="str")
    return seekers[found].assign(target=new, similarity=similarity[found])


class _AskingQueries:
    """The queries that each target of a pool is right for, by their vectors."""

    MOST = 8  # queries a target

    def __init__(self, offered: pd.DataFrame, known: KnownPairs, pool: np.ndarray, guard: float, tools: Tools):
        self._guard = guard
        groups = known.positive_groups(self.MOST)[pool]
        first = offered.assign(group=known.query_groups(offered)).drop_duplicates("group")
        first = first[first["group"].isin(groups.ravel())]
        vectors = embed(_english(first), tools.embedding_model)
        # One more row, of zeros, for "no query": it is similar to nothing.
        self._vectors = np.vstack([vectors, np.zeros((1, vectors.shape[1]), dtype=np.float32)])
        place = pd.Index(first["group"]).get_indexer(groups.ravel())
        self._places = place.reshape(groups.shape)

    def too_close(self, queries: np.ndarray, tried: np.ndarray) -> np.ndarray:
        """bool [n, k]: target [n, k] is right for a query as similar to query [n] as the guard or more."""
        close = queries @ self._vectors.T >= self._guard
        return close[np.arange(len(queries))[:, None, None], self._places[tried]].any(axis=2)


def _english(rows: pd.DataFrame) -> pd.Series:
    return rows["query_en"].where(rows["query_en"] != "", rows["query"])


def _nearest(queries: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """int [queries, NEAREST_TRIED] places of the most similar targets."""
    import faiss

    index = faiss.IndexFlatIP(targets.shape[1])
    if len(targets) > EXACT_BELOW:
        lists = int(4 * np.sqrt(len(targets)))
        index = faiss.IndexIVFFlat(index, targets.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
        index.train(targets[: 40 * lists])
        index.nprobe = max(lists // 32, 8)
    index.add(targets)
    _, places = index.search(queries, min(NEAREST_TRIED, len(targets)))
    return np.maximum(places, 0)


def _script(texts: pd.Series) -> np.ndarray:
    """int [n]: a text's script; Latin only where there is no other, since brands and codes are; Vietnamese apart."""
    counts = scripts_of(texts)
    counts["latin"] = counts["latin"].clip(upper=1) / 2
    vietnamese = texts.str.contains(VIETNAMESE, case=False, regex=True).to_numpy(dtype=bool)
    return np.where(vietnamese, counts.shape[1], counts.to_numpy().argmax(axis=1))


def _of_positives(
    seekers: pd.DataFrame, queries: np.ndarray, known: KnownPairs, pool: np.ndarray, targets: np.ndarray
) -> pd.DataFrame:
    """Similarity of the seekers' own pairs, as far as their targets are in the pool."""
    place = pd.Index(pool).get_indexer(known.target_places(seekers))
    there = place >= 0
    close = np.einsum("nd,nd->n", queries[there], targets[place[there]])
    return pd.DataFrame({"kind": "positive", "similarity": close})
