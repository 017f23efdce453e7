"""A hint for each pair: where its query lies among all categories, and how its target lies to that place.

"red hydration bottle" with the target "home & garden,kitchen,drinkware" gets "80 unnamed parent sibling cousin 8 water
bottles": with at least 80% it asks for drinkware, its parent or a child of it, by how near all names are; it does not
name drinkware (`category_tree.named`); the nearest category is water bottles; drinkware is its parent, a sibling of the
second nearest and a cousin of the third; 8 says how near the first is, 9 the nearest tenth of train's queries, 0 the
farthest. A model that reads it need not know the tree; which relation means relevant, and how far to trust it, it
learns from the labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from competition_utils.category_tree.named import NONE, ListedNames
from competition_utils.category_tree.nearest import QUERY, SEARCHED, NearestNames, queries_of
from competition_utils.category_tree.ngrams import NgramVectors
from competition_utils.category_tree.titles import NamesInTitles
from competition_utils.category_tree.tree import CHILD, PARENT, RELATIONS, SAME, CategoryTree
from competition_utils.data.columns import english_target, relations_of
from competition_utils.models.pretrained import MINILM
from competition_utils.storage import read_json, write_json
from competition_utils.tasks import QC

HINTS = "hints"  # the folder that stage augmentation leaves
# Its files, which a model keeps beside its own; the second is there where n-grams were fitted, the third is missing
# beside models of earlier releases.
CATEGORIES, NGRAMS, LISTED = "categories.json", "ngrams.safetensors", "listed.parquet"
NEAREST = 3  # categories that a hint names the relation to
TEMPERATURE = 0.1  # of the similarities, for the probability of each name; chosen on taxobench's dev
CLOSE = (SAME, CHILD, PARENT)  # of these a target's probability is the sum
SHARES = np.array([0, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 0.99])  # a hint says which of them it reaches
ROWS_RELATED_AT_ONCE = 5_000
ROWS_AT_ONCE = 50_000
MOST_MEASURED = 3_000  # queries that say which similarity is high


def first_relation(hints: pd.Series) -> pd.Series:
    """How each hint's target lies to the nearest category, a word of `RELATIONS` or NONE; "" for ""."""
    return relations_of(hints).str.split(" ").str[-NEAREST - 1].fillna("")


def target_state(hints: pd.Series) -> pd.Series:
    """Whether the query names the target, a word of `named.STATES` or NONE; "" where a hint does not say it."""
    return relations_of(hints).str.split(" ").str[-NEAREST - 2].fillna("")


def nearest_name(hints: pd.Series) -> pd.Series:
    """The name of the category nearest to the query, of each hint; "" for ""."""
    return hints.str.replace(r"^(?:\d\d )?(?:[a-z]+ )+\d ?", "", regex=True)


class HintWriter:
    """Writes hints by one tree, the names of whose categories are embedded once.

    `tenths` are the similarities of query and nearest name that part train's queries into ten; for `ngrams` see
    `category_tree.nearest`. Without `listed`, as models of earlier releases are, a hint begins with the relations, and
    says neither the probability nor whether the query names the target.
    """

    def __init__(
        self,
        tree: CategoryTree,
        embedding_model: str = MINILM,
        tenths: Sequence[float] = (),
        ngrams: NgramVectors | None = None,
        listed: ListedNames | None = None,
    ):
        self.tree, self.embedding_model, self.tenths = tree, embedding_model, np.asarray(tenths, dtype=np.float64)
        self.ngrams, self.listed = ngrams, listed
        self._nearest = NearestNames(tree.names["name"].unique(), embedding_model, ngrams, listed)
        self._in_titles = NamesInTitles(tree)

    @classmethod
    def measured(
        cls,
        tree: CategoryTree,
        rows: pd.DataFrame,
        embedding_model: str = MINILM,
        ngrams: NgramVectors | None = None,
        listed: ListedNames | None = None,
    ) -> HintWriter:
        """A writer that knows from the queries of some rows which similarities are high."""
        writer = cls(tree, embedding_model, ngrams=ngrams, listed=listed)
        queries = queries_of(rows).drop_duplicates().sort_values(QUERY)
        if not len(tree) or queries.empty:
            return writer
        some = queries.iloc[np.linspace(0, len(queries) - 1, min(MOST_MEASURED, len(queries))).astype(np.int64)]
        similarity, _ = writer._nearest.search(some, NEAREST)
        writer.tenths = np.quantile(similarity[:, 0], np.arange(1, 10) / 10).round(6)
        return writer

    def without(self, part: str) -> HintWriter:
        """This writer without `ngrams` or `listed`, to see what they change."""
        parts = {"ngrams": self.ngrams, "listed": self.listed, part: None}
        return HintWriter(self.tree, self.embedding_model, self.tenths, **parts)

    def save(self, folder: Path) -> None:
        """Write the files that `of_model` reads."""
        kept = {"embedding_model": self.embedding_model, "tenths": self.tenths.tolist(), "paths": self.tree.given}
        write_json(Path(folder) / CATEGORIES, kept)
        if self.ngrams is not None:
            self.ngrams.save(Path(folder) / NGRAMS)
        if self.listed is not None:
            self.listed.save(Path(folder) / LISTED)

    @classmethod
    def of_model(cls, folder: Path) -> HintWriter | None:
        """The writer of the hints that a saved model was fitted with; None where there were none."""
        path, ngrams, listed = (Path(folder) / name for name in (CATEGORIES, NGRAMS, LISTED))
        if not path.is_file():
            return None
        kept = read_json(path, need=["embedding_model", "tenths", "paths"])
        vectors = NgramVectors.load(ngrams) if ngrams.is_file() else None
        names = ListedNames.load(listed) if listed.is_file() else None
        return cls(CategoryTree(kept["paths"]), kept["embedding_model"], kept["tenths"], vectors, names)

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
        queries = queries_of(pairs)
        names, nearest, similarity = self._nearest.search_with_own(queries, own, SEARCHED)
        targets = self._target_nodes(pairs, paths, tree)
        relations = self._relations(names, nearest, targets, tree)
        related = pd.DataFrame(np.array([*RELATIONS, NONE], dtype=object)[_padded(relations[:, :NEAREST])])
        nearness = pd.Series(np.searchsorted(self.tenths, similarity[:, 0])).astype("str")
        first = pd.Series(names.to_numpy(dtype=object)[nearest[:, 0]])
        text = related[0].str.cat([*(related[place] for place in range(1, NEAREST)), nearness, first], sep=" ")
        if self.listed is not None:
            states = pd.Series(self._states(queries, targets, tree))
            text = _probability(similarity, relations).str.cat([states, text], sep=" ")
        return text.astype("str").set_axis(pairs.index)

    def _states(self, queries: pd.DataFrame, targets: pd.DataFrame, tree: CategoryTree) -> np.ndarray:
        """Whether each query names a category of its target, a word of `named.STATES`, or NONE."""
        names = targets["target"].map(tree.names.set_index("node")["name"])
        return self.listed.states(queries, targets["row"].to_numpy(), names)

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
        """int64 [n, m]: the closest relation of a row's targets to the categories of each of the m names nearest to its
        query, a place in `RELATIONS`, or one behind them where the row has no target in the tree."""
        nodes = tree.names.assign(name=names.get_indexer(tree.names["name"]))
        nodes["known"] = np.array([path in self.tree.node_of for path in tree.paths], dtype=bool)
        closest = np.full(nearest.shape, len(RELATIONS))
        for start in range(0, len(nearest), ROWS_RELATED_AT_ONCE):
            some = nearest[start : start + ROWS_RELATED_AT_ONCE]
            rows = np.repeat(np.arange(start, start + len(some)), some.shape[1])
            asked = pd.DataFrame({"place": np.arange(some.size), "row": rows, "name": some.ravel()})
            both = asked.merge(targets, on="row").merge(nodes, on="name")
            both = both[both["known"] | (both["node"] == both["target"])]  # what other rows add is not this row's
            related = tree.relation(both["node"].to_numpy(), both["target"].to_numpy())
            np.minimum.at(closest[start : start + len(some)].reshape(-1), both["place"].to_numpy(), related)
        return closest


def _padded(relations: np.ndarray) -> np.ndarray:
    """[n, NEAREST], where a tree has fewer names too."""
    missing = NEAREST - relations.shape[1]
    return np.pad(relations, ((0, 0), (0, missing)), constant_values=len(RELATIONS))


def _probability(similarity: np.ndarray, relations: np.ndarray) -> pd.Series:
    """How probably each query asks for its target or what is next to it, of `SHARES` the highest that it reaches, in
    per cent and two digits: the softmax over the names nearest to it, summed where they lie close to the target."""
    weights = np.exp((similarity - similarity[:, :1]) / TEMPERATURE)
    share = (weights * np.isin(relations, CLOSE)).sum(axis=1) / weights.sum(axis=1)
    labels = np.array([f"{100 * least:02.0f}" for least in SHARES], dtype=object)
    return pd.Series(labels[np.searchsorted(SHARES, share, side="right") - 1])
