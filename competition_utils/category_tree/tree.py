"""The tree that category paths make up, and how two of its categories lie to each other."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np
import pandas as pd

from competition_utils.data.clean import split_levels

# How a target lies to a category, the closest first: the target is the same, one below it, one above it, …
RELATIONS = ("same", "child", "parent", "descendant", "ancestor", "sibling", "cousin", "department", "elsewhere")
SAME, CHILD, PARENT, DESCENDANT, ANCESTOR, SIBLING, COUSIN, DEPARTMENT, ELSEWHERE = range(len(RELATIONS))
NO_NODE = -1


class CategoryTree:
    """The categories that paths name, with all those above them; a node is a place in `paths`, which are sorted.

    `paths` are cleaned category paths ("home & garden,decor,vases"); no label is needed, so those of dev and test
    belong to it too.
    """

    def __init__(self, paths: Iterable[str]):
        levels = split_levels(pd.Series(pd.unique(pd.Series(list(paths), dtype="str")), dtype="str"))
        every = {above[:depth] for above in levels for depth in range(1, len(above) + 1)}
        self.levels = sorted(every)
        self.paths = [",".join(names) for names in self.levels]

    def __len__(self) -> int:
        return len(self.paths)

    def including(self, paths: Iterable[str]) -> CategoryTree:
        """This tree with further paths; itself where it holds them all."""
        new = set(paths) - {*self.paths, ""}
        return CategoryTree([*self.paths, *new]) if new else self

    @cached_property
    def node_of(self) -> dict[str, int]:
        """Path → node."""
        return {path: node for node, path in enumerate(self.paths)}

    @cached_property
    def names(self) -> pd.DataFrame:
        """`name, node`: a category by its own name; several categories may have one name."""
        own = [names[-1] for names in self.levels]
        return pd.DataFrame({"name": pd.array(own, dtype="str"), "node": np.arange(len(own))})

    @cached_property
    def ancestors(self) -> np.ndarray:
        """int32 [nodes, depth]: the node at each level of a category's path, NO_NODE below its own."""
        place = {names: node for node, names in enumerate(self.levels)}
        deepest = max(map(len, self.levels), default=0)
        table = np.full((len(self.levels), deepest), NO_NODE, dtype=np.int32)
        for node, names in enumerate(self.levels):
            table[node, : len(names)] = [place[names[:depth]] for depth in range(1, len(names) + 1)]
        return table

    def relation(self, category: np.ndarray, target: np.ndarray) -> np.ndarray:
        """int8 [n]: how each target node lies to a category node, a place in `RELATIONS`."""
        mine, its = self.ancestors[category], self.ancestors[target]
        common = np.logical_and.accumulate((mine == its) & (mine != NO_NODE), axis=1).sum(axis=1)
        my_depth, its_depth = (mine != NO_NODE).sum(axis=1), (its != NO_NODE).sum(axis=1)
        below, above = its_depth - common, my_depth - common  # levels that only one of the two has
        cases = {
            SAME: (below == 0) & (above == 0),
            CHILD: (below == 1) & (above == 0),
            PARENT: (below == 0) & (above == 1),
            DESCENDANT: above == 0,
            ANCESTOR: below == 0,
            SIBLING: (below == 1) & (above == 1) & (common > 0),
            COUSIN: common > 1,
            DEPARTMENT: common == 1,
        }
        return np.select(list(cases.values()), list(cases), ELSEWHERE).astype(np.int8)
