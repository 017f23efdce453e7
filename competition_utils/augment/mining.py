"""Which target becomes the negative of a row: candidates by similarity, one of the fitting ones drawn at random.

A row's candidates are the targets nearest to its query and as many random ones. Cheap checks (similarity, script) are
made for all of them; costly ones (known pairs, places in the category tree, the queries that a target is right for)
only for the one drawn, and where it fails the next is drawn. Each fitting candidate is as likely as
before, since a uniform order of all candidates is a uniform order of those that fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from competition_utils.augment.known_pairs import KnownPairs
from competition_utils.augment.tools import Tools
from competition_utils.data.columns import english_query
from competition_utils.data.languages import scripts_of
from competition_utils.models.embeddings import embed
from competition_utils.progress import progress

RANDOM_TRIED, NEAREST_TRIED = 96, 96  # candidates a row
MOST_ASKING = 8  # queries looked at of those that a target is right for
CHUNK_ROWS = 1024
GATHERED_ROWS = 32  # of a chunk, whose candidates' vectors fit the processor's cache together
VIETNAMESE = r"[ăđơưạảấầẩẫậắằẳẵặẹẻẽềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]"

Accepts = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Limits:
    """What a negative must fulfil; see `settings.strategy.SemanticNegatives`."""

    low: float
    high: float
    max_query_similarity: float
    relations: tuple[int, ...] | None
    pool: int


@dataclass(frozen=True)
class _Pool:
    """Targets of a fold: their places among all targets, how often they are offered, and their vectors [n, d]."""

    places: np.ndarray
    share: np.ndarray
    vectors: np.ndarray


@dataclass(frozen=True)
class _Queries:
    """Vectors [q + 1, d] of a fold's queries; the last is of zeros, similar to nothing, and stands for "no query".

    `own` [seekers]: the seekers' queries; `asking` [targets, MOST_ASKING]: those that each target is right for.
    """

    vectors: np.ndarray
    own: np.ndarray
    asking: np.ndarray


class Miner:
    """What mining needs of a table, worked out once for all folds."""

    def __init__(self, table: pd.DataFrame, limits: Limits, tools: Tools):
        self._known = KnownPairs(table, tools.task)
        self._groups_of = self._known.positive_groups(MOST_ASKING)
        self._script = _script(pd.Series(self._known.targets))
        self._limits = limits
        self._tools = tools

    def mine(self, seekers: pd.DataFrame, offered: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        """Copies of `seekers` with another target, one of `offered`, and their `similarity` (cosine).

        Rows that find none are missing.
        """
        pool = self._pool(offered, rng)
        queries = self._queries(seekers, offered, pool)
        self._tools.similarities.append(self._of_positives(seekers, queries, pool))
        chosen, similarity = self._choose(seekers, queries, pool, rng)
        found = chosen >= 0
        new = pd.array(self._known.targets[chosen[found]], dtype="str")
        return seekers[found].assign(target=new, similarity=similarity[found])

    def _pool(self, offered: pd.DataFrame, rng: np.random.Generator) -> _Pool:
        places, count = np.unique(self._known.target_places(offered[offered["target"] != ""]), return_counts=True)
        if len(places) > self._limits.pool:
            kept = np.sort(rng.choice(len(places), self._limits.pool, replace=False, p=count / count.sum()))
            places, count = places[kept], count[kept]
        vectors = embed(self._known.targets[places].to_series(), self._tools.embedding_model, kind="document")
        return _Pool(places, count / count.sum(), vectors)

    def _queries(self, seekers: pd.DataFrame, offered: pd.DataFrame, pool: _Pool) -> _Queries:
        """The seekers' queries and those that ask for the pool's targets, each text embedded once."""
        groups = self._groups_of[pool.places]
        first = offered.assign(group=self._known.query_groups(offered)).drop_duplicates("group")
        first = first[first["group"].isin(groups.ravel())]
        place, texts = pd.factorize(pd.concat([english_query(seekers), english_query(first)]))
        vectors = embed(texts, self._tools.embedding_model)
        vectors = np.vstack([vectors, np.zeros((1, vectors.shape[1]), dtype=np.float32)])
        found = pd.Index(first["group"]).get_indexer(groups.ravel())
        asking = np.append(place[len(seekers) :], len(texts))[found].reshape(groups.shape)
        return _Queries(vectors, place[: len(seekers)], asking)

    def _choose(
        self, seekers: pd.DataFrame, queries: _Queries, pool: _Pool, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Per row the chosen target's place among all targets, −1 for none, and its similarity."""
        asked, known = queries.vectors[queries.own], self._known
        close_nearest, nearest_places = nearest(asked, pool.vectors, NEAREST_TRIED)
        own, groups = known.target_places(seekers), known.query_groups(seekers)
        script = self._script[pool.places]
        chosen = np.full(len(seekers), -1, dtype=np.int64)
        similarity = np.zeros(len(seekers), dtype=np.float32)
        for start in progress(range(0, len(seekers), CHUNK_ROWS), what="mining negatives", unit="chunks"):
            rows = slice(start, min(start + CHUNK_ROWS, len(seekers)))
            drawn = rng.choice(len(pool.places), (rows.stop - start, RANDOM_TRIED), p=pool.share)
            tried = np.concatenate([nearest_places[rows], drawn], axis=1)
            close = np.concatenate([close_nearest[rows], _similarity(asked[rows], pool.vectors, drawn)], axis=1)
            fits = (close >= self._limits.low) & (close < self._limits.high)
            fits &= script[tried] == self._script[own[rows], None]
            accepts = self._checks(queries, pool, tried, queries.own[rows], own[rows], groups[rows])
            pick = draw(rng.random(fits.shape) * fits, accepts)
            found = np.flatnonzero(pick >= 0)
            chosen[start + found] = pool.places[tried[found, pick[found]]]
            similarity[start + found] = close[found, pick[found]]
        return chosen, similarity

    def _checks(
        self,
        queries: _Queries,
        pool: _Pool,
        tried: np.ndarray,
        asked: np.ndarray,
        own: np.ndarray,
        groups: np.ndarray,
    ) -> Accepts:
        """The costly checks of a chunk's rows, as a function of rows and of the column of the candidate in question."""

        def accepts(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
            targets = tried[rows, columns]
            among_all = pool.places[targets, None]
            right = self._known.allowed(groups[rows], among_all)[:, 0]
            if self._limits.relations is not None:
                right &= np.isin(self._known.relation(own[rows], among_all)[:, 0], self._limits.relations)
            asking = queries.vectors[queries.asking[targets]]
            close = np.einsum("nd,nqd->nq", queries.vectors[asked[rows]], asking)
            return right & (close < self._limits.max_query_similarity).all(axis=1)

        return accepts

    def _of_positives(self, seekers: pd.DataFrame, queries: _Queries, pool: _Pool) -> pd.DataFrame:
        """Similarity of the seekers' own pairs, as far as their targets are in the pool."""
        place = pd.Index(pool.places).get_indexer(self._known.target_places(seekers))
        there = place >= 0
        close = np.einsum("nd,nd->n", queries.vectors[queries.own[there]], pool.vectors[place[there]])
        return pd.DataFrame({"kind": "positive", "similarity": close})


def nearest(queries: np.ndarray, targets: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines [n, k], falling, and places [n, k] of the k = min(most, targets) most similar targets of each query.

    Every pair is compared: with 60,000 targets a fold that costs a fifth of what embedding does, while an inverted
    file found three quarters of the true neighbours (docs/LOG.md).
    """
    import faiss

    index = faiss.IndexFlatIP(targets.shape[1])
    index.add(targets)
    return index.search(queries, min(most, len(targets)))


def draw(keys: np.ndarray, accepts: Accepts) -> np.ndarray:
    """int [n]: of each row the column with the largest key that is accepted, −1 where there is none.

    `keys` [n, k]: random numbers in 0–1, 0 where a candidate is out already; `accepts(rows, columns)` says which of
    these candidates, one of each row named, may be taken.
    """
    picked = np.full(len(keys), -1, dtype=np.int64)
    order = np.argsort(-keys, axis=1, kind="stable")
    candidates = (keys > 0).sum(axis=1)
    rows = np.flatnonzero(candidates)
    tries = 0
    while len(rows):
        columns = order[rows, tries]
        right = accepts(rows, columns)
        picked[rows[right]] = columns[right]
        tries += 1
        rows = rows[~right & (candidates[rows] > tries)]
    return picked


def _similarity(queries: np.ndarray, targets: np.ndarray, tried: np.ndarray) -> np.ndarray:
    """float32 [n, k]: cosine of query [n] and target [n, k]."""
    close = np.empty(tried.shape, dtype=np.float32)
    for start in range(0, len(tried), GATHERED_ROWS):
        rows = slice(start, start + GATHERED_ROWS)
        close[rows] = np.matmul(targets[tried[rows]], queries[rows, :, None])[:, :, 0]
    return close


def _script(texts: pd.Series) -> np.ndarray:
    """int [n]: a text's script; Latin only where there is no other, since brands and codes are; Vietnamese apart."""
    counts = scripts_of(texts)
    counts["latin"] = counts["latin"].clip(upper=1) / 2
    vietnamese = texts.str.contains(VIETNAMESE, case=False, regex=True).to_numpy(dtype=bool)
    return np.where(vietnamese, counts.shape[1], counts.to_numpy().argmax(axis=1))
