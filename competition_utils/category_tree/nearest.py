"""The category names nearest to a query, by its English, by its letters, and by what the lexicon would have read."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from competition_utils.category_tree.named import ListedNames
from competition_utils.category_tree.ngrams import NgramVectors
from competition_utils.data.columns import english_query
from competition_utils.models.embeddings import embed
from competition_utils.models.pretrained import MINILM

QUERY = ["english", "original", "language", "translated"]  # what places a query
SEARCHED = 100  # names nearest by their vectors, whose order the lexicon changes
QUERIES_AT_ONCE = 5_000
EXCLUSION = 0.15  # what a name loses that the lexicon would have read and did not; chosen on taxobench's dev


def queries_of(pairs: pd.DataFrame) -> pd.DataFrame:
    """`QUERY` of each pair's query: its English and itself in lower case, its tag, and whether it was translated."""
    texts = {"english": english_query(pairs).str.lower(), "original": pairs["query"].str.lower()}
    return pd.DataFrame({**texts, "language": pairs["language"], "translated": pairs["query_en"].fillna("") != ""})


class NearestNames:
    """Finds the nearest of some names, which are embedded once.

    With `ngrams` a query is placed by its own letters too: its vector is the sum of both. With `listed` a name counts
    as less near the more of its words the lexicon would have read in the query, and did not.
    """

    def __init__(
        self,
        names: Iterable[str],
        embedding_model: str = MINILM,
        ngrams: NgramVectors | None = None,
        listed: ListedNames | None = None,
    ):
        self.names, self.embedding_model, self.ngrams, self.listed = pd.Index(names), embedding_model, ngrams, listed
        self._index = None

    def search(self, queries: pd.DataFrame, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Similarities [n, most] and the places of the names nearest to each query, the nearest first; fewer where
        there are fewer names."""
        import faiss

        if self._index is None:
            vectors = embed(self.names, self.embedding_model)
            self._index = faiss.IndexFlatIP(vectors.shape[1])
            self._index.add(vectors)
        vectors, found = self._vectors(queries), []
        for start in range(0, max(len(queries), 1), QUERIES_AT_ONCE):
            some = slice(start, start + QUERIES_AT_ONCE)
            similarity, places = self._index.search(vectors[some], min(SEARCHED, len(self.names)))
            rows = np.repeat(np.arange(len(places)), places.shape[1])
            excluded = self._excluded(queries.iloc[some], rows, self.names[places.ravel()])
            found.append(_best(similarity - excluded.reshape(places.shape), places, most))
        return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))

    def search_with_own(
        self, queries: pd.DataFrame, own: pd.Series, most: int
    ) -> tuple[pd.Index, np.ndarray, np.ndarray]:
        """Names, int64 [n, most] the places of those nearest to each query, and their similarities; among them `own`,
        the name of the row's own target, where it is not missing and none of the names."""
        place = queries.groupby(QUERY, sort=False).ngroup().to_numpy()
        similarity, places = (found[place] for found in self.search(queries.drop_duplicates(), most))
        rows = np.flatnonzero(own.notna() & ~own.isin(self.names))
        if not len(rows):
            return self.names, places, similarity
        code, added = pd.factorize(own.iloc[rows])
        vectors = embed(added, self.embedding_model)[code]
        further, where = np.full(len(queries), -np.inf), np.zeros(len(queries), dtype=np.int64)
        further[rows] = np.einsum("nd,nd->n", self._vectors(queries.iloc[rows]), vectors)
        further[rows] -= self._excluded(queries, rows, own.iloc[rows])
        where[rows] = len(self.names) + code
        both = np.column_stack([similarity, further]), np.column_stack([places, where])
        similarity, places = _best(*both, places.shape[1])
        return self.names.append(pd.Index(added)), places, similarity

    def _vectors(self, queries: pd.DataFrame) -> np.ndarray:
        """[n, d]: of length 1, or the sum of two such."""
        vectors = embed(queries["english"], self.embedding_model)
        return vectors if self.ngrams is None else vectors + self.ngrams.embed(queries["original"])

    def _excluded(self, queries: pd.DataFrame, rows: np.ndarray, names: pd.Series | pd.Index) -> np.ndarray:
        """What each name loses of its similarity to the query of its row."""
        if self.listed is None:
            return np.zeros(len(rows), dtype=np.float32)
        return EXCLUSION * self.listed.missed(queries, rows, names)


def _best(similarity: np.ndarray, places: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The `most` highest similarities of each row and their places; of equals the earlier."""
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :most]
    return np.take_along_axis(similarity, order, axis=1), np.take_along_axis(places, order, axis=1)
