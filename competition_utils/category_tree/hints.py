"""A hint for each pair: the category nearest to its query, and how its target lies to that one and the next two.

"red hydration bottle" with the target "home & garden,kitchen,drinkware" gets "parent sibling cousin 8 water bottles":
the nearest category is water bottles; drinkware is its parent, a sibling of the second nearest and a cousin of the
third; 8 says how near the first is, 9 the nearest tenth of train's queries, 0 the farthest. A model that reads it
need not know the tree; which relation means relevant, and how far to trust it, it learns from the labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pandas as pd

from competition_utils.category_tree.titles import NamesInTitles
from competition_utils.category_tree.tree import RELATIONS, CategoryTree
from competition_utils.data.columns import english_query, english_target
from competition_utils.models.embeddings import embed
from competition_utils.models.pretrained import MINILM
from competition_utils.storage import read_json
from competition_utils.tasks import QC

CATEGORIES = "categories"  # name of the JSON file that a stage leaves and a model keeps
NEAREST = 3  # categories that a target is held against
NONE = "none"  # where a title names no category
ROWS_AT_ONCE = 50_000
MOST_MEASURED = 10_000  # queries that say which similarity is high


def first_relation(hints: pd.Series) -> pd.Series:
    """How each hint's target lies to the nearest category, a word of `RELATIONS` or NONE; "" for ""."""
    return hints.str.split(" ", n=1).str[0]


class HintWriter:
    """Writes hints by one tree, the names of whose categories are embedded once."""

    def __init__(self, tree: CategoryTree, embedding_model: str = MINILM, tenths: Sequence[float] = ()):
        self.tree, self.embedding_model, self.tenths = tree, embedding_model, np.asarray(tenths, dtype=np.float64)
        self._names = pd.Index(tree.names["name"].unique())
        self._index, self._in_titles = None, NamesInTitles(tree)

    @classmethod
    def measured(cls, tree: CategoryTree, rows: pd.DataFrame, embedding_model: str = MINILM) -> HintWriter:
        """A writer that knows from the queries of some rows which similarities are high."""
        writer = cls(tree, embedding_model)
        queries = np.sort(english_query(rows).str.lower().unique())
        if not len(tree) or not len(queries):
            return writer
        some = queries[np.linspace(0, len(queries) - 1, min(MOST_MEASURED, len(queries))).astype(np.int64)]
        similarity, _ = writer._search(pd.Series(some))
        writer.tenths = np.quantile(similarity[:, 0], np.arange(1, 10) / 10).round(6)
        return writer

    def as_dict(self) -> dict[str, Any]:
        """What `from_dict` makes such a writer of."""
        return {"embedding_model": self.embedding_model, "tenths": self.tenths.tolist(), "paths": self.tree.paths}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> HintWriter:
        return cls(CategoryTree(kept["paths"]), kept["embedding_model"], kept["tenths"])

    @classmethod
    def of_model(cls, folder: Path) -> HintWriter | None:
        """The writer of the hints that a saved model was fitted with; None where there were none."""
        path = Path(folder) / f"{CATEGORIES}.json"
        return cls.from_dict(read_json(path, need=["embedding_model", "tenths", "paths"])) if path.is_file() else None

    def hints(self, pairs: pd.DataFrame) -> pd.Series:
        """The column `category_hint` of pairs with `task, query, target` and what there is of their English; "" for a
        tree without categories.

        A row's hint does not depend on the other rows, but for rounding where two names are equally near. A category
        that the tree lacks counts as known to the pairs that have it as their target.
        """
        starts = range(0, len(pairs) if len(self.tree) else 0, ROWS_AT_ONCE)
        parts = [self._hints(pairs.iloc[start : start + ROWS_AT_ONCE]) for start in starts]
        return pd.concat(parts).rename("category_hint") if parts else pd.Series("", pairs.index, "str", "category_hint")

    def _hints(self, pairs: pd.DataFrame) -> pd.Series:
        paths = pairs["target"].where(pairs["task"] == QC.name, "").fillna("")
        tree = self.tree.including(paths.unique())
        own = paths.map({path: tree.levels[node][-1] for path, node in tree.node_of.items()})
        names, nearest, similarity = self._nearest(english_query(pairs).str.lower(), own.where(~own.isin(self._names)))
        relations = self._relations(names, nearest, self._target_nodes(pairs, paths, tree), tree)
        related = pd.DataFrame(np.array([*RELATIONS, NONE], dtype=object)[relations])
        nearness = pd.Series(np.searchsorted(self.tenths, similarity)).astype("str")
        first = pd.Series(names.to_numpy(dtype=object)[nearest[:, 0]])
        text = related[0].str.cat([*(related[place] for place in range(1, NEAREST)), nearness, first], sep=" ")
        return text.astype("str").set_axis(pairs.index)

    def _search(self, queries: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """Similarities [n, NEAREST] and the places of the names nearest to each query."""
        if self._index is None:
            vectors = embed(self._names, self.embedding_model)
            self._index = faiss.IndexFlatIP(vectors.shape[1])
            self._index.add(vectors)
        return self._index.search(embed(queries, self.embedding_model), min(NEAREST, len(self._names)))

    def _nearest(self, queries: pd.Series, new: pd.Series) -> tuple[pd.Index, np.ndarray, np.ndarray]:
        """Names, int64 [n, NEAREST] the places of those nearest to each query, and the similarity of the first. `new`
        is the name of the row's own target where the tree lacks it, else missing."""
        place, different = pd.factorize(queries)
        similarity, nearest = (found[place] for found in self._search(pd.Series(different)))
        rows = np.flatnonzero(new.notna())
        if not len(rows):
            return self._names, nearest, similarity[:, 0]
        code, added = pd.factorize(new.iloc[rows])
        vectors = embed(queries.iloc[rows], self.embedding_model)
        further = np.full((len(queries), 2), [-np.inf, 0])  # similarity and place of the own name
        further[rows, 0] = np.einsum("nd,nd->n", vectors, embed(added, self.embedding_model)[code])
        further[rows, 1] = len(self._names) + code
        similarity = np.column_stack([similarity, further[:, 0]])
        places = np.column_stack([nearest, further[:, 1].astype(np.int64)])
        best = np.argsort(-similarity, axis=1, kind="stable")[:, : nearest.shape[1]]
        return (
            self._names.append(pd.Index(added)),
            np.take_along_axis(places, best, axis=1),
            similarity.max(axis=1),
        )

    def _target_nodes(self, pairs: pd.DataFrame, paths: pd.Series, tree: CategoryTree) -> pd.DataFrame:
        """`row` (by position), `target` (node of `tree`): a path's category, and the categories that a title names."""
        of_paths = paths.map(tree.node_of).to_numpy(dtype=np.float64)
        rows = np.flatnonzero(~np.isnan(of_paths))
        titles = english_target(pairs).where(paths == "", "")
        named = self._in_titles.find(titles)
        moved = named["node"].map(dict(enumerate(self.tree.paths))).map(tree.node_of)
        parts = {"row": [rows, named["row"]], "target": [of_paths[rows], moved]}
        return pd.DataFrame({name: np.concatenate(values).astype(np.int64) for name, values in parts.items()})

    def _relations(self, names: pd.Index, nearest: np.ndarray, targets: pd.DataFrame, tree: CategoryTree) -> np.ndarray:
        """int64 [n, NEAREST]: the closest relation of a row's targets to the categories of each name, a place in
        `RELATIONS`, or one behind them where the row has no target in the tree."""
        nodes = tree.names.assign(name=names.get_indexer(tree.names["name"]))
        nodes["known"] = np.array([path in self.tree.node_of for path in tree.paths], dtype=bool)
        asked = pd.DataFrame({"place": np.arange(nearest.size), "name": nearest.ravel()})
        asked["row"] = asked["place"] // nearest.shape[1]
        both = asked.merge(targets, on="row").merge(nodes, on="name")
        both = both[both["known"] | (both["node"] == both["target"])]  # what other rows add is not this row's
        closest = np.full(nearest.size, len(RELATIONS))
        related = tree.relation(both["node"].to_numpy(), both["target"].to_numpy())
        np.minimum.at(closest, both["place"].to_numpy(), related)
        missing = NEAREST - nearest.shape[1]  # of a tree with fewer names
        return np.pad(closest.reshape(nearest.shape), ((0, 0), (0, missing)), constant_values=len(RELATIONS))
