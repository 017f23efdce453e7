"""The tree that category paths make up, and how two of its categories lie to each other."""

from __future__ import annotations

from collections import defaultdict
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

    `given` are cleaned category paths ("home & garden,decor,vases"); no label is needed, so those of dev and test
    belong to it too. Data that cuts paths at a depth leaves out levels in the middle: a category then stands above
    others by a shorter path than its own. Such a node counts as the category that it is short for, see `full`.
    """

    def __init__(self, given: Iterable[str], grown_from: CategoryTree | None = None):
        self.given = pd.unique(pd.Series(list(given), dtype="str")).tolist()
        self._own_levels = [tuple(levels) for levels in split_levels(pd.Series(self.given, dtype="str"))]
        self._grown_from = grown_from
        every = {above[:depth] for above in self._own_levels for depth in range(1, len(above) + 1)}
        self.levels = sorted(every)
        self.paths = [",".join(names) for names in self.levels]

    def __len__(self) -> int:
        return len(self.paths)

    def including(self, paths: Iterable[str]) -> CategoryTree:
        """This tree with further paths; itself where it holds them all. Nodes that were there stay what they are."""
        new = set(paths) - {*self.paths, ""}
        return CategoryTree([*self.given, *sorted(new)], grown_from=self) if new else self

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
    def full(self) -> np.ndarray:
        """int32 [nodes]: the node that each is short for; nearly all are short for none but themselves.

        "home,coffee makers,spare parts" is short for "home,kitchen,coffee makers,spare parts": the same department and
        own name, its levels among the other's in their order, never given as a path itself, and above none but paths of
        the greatest depth. Where several fit, the longest.
        """
        full = np.arange(len(self), dtype=np.int32)
        known = self._grown_from
        before = () if known is None else known.paths
        for path in before:
            full[self.node_of[path]] = self.node_of[known.paths[known.full[known.node_of[path]]]]
        longest_first = sorted(range(len(self)), key=lambda node: -len(self.levels[node]))
        alike = defaultdict(list)
        for node in longest_first:
            alike[self.levels[node][0], self.levels[node][-1]].append(node)
        for node in sorted(self._maybe_short() - {self.node_of[path] for path in before}):
            for other in alike[self.levels[node][0], self.levels[node][-1]]:
                if _lacks_levels_of(self.levels[node], self.levels[other]) and node not in self._line(other, full):
                    full[node] = other
                    break
        return full

    def _maybe_short(self) -> set[int]:
        """Nodes that no path is, and above none but paths of the greatest depth."""
        deepest = max(map(len, self.levels), default=0)
        whole = set(self._own_levels)
        for levels in self._own_levels:
            whole.update(levels[:depth] for depth in range(len(levels)) if len(levels) < deepest)
        return {node for node, levels in enumerate(self.levels) if levels not in whole}

    def _line(self, node: int, full: np.ndarray) -> list[int]:
        """The nodes above a node and its own, from the lowest up, where `full` says what each is short for."""
        line = []
        while node != NO_NODE:
            line.append(int(full[node]))
            node = self._above[full[node]]
        return line

    @cached_property
    def _above(self) -> list[int]:
        """The node whose path is one level shorter, NO_NODE for a department."""
        place = {names: node for node, names in enumerate(self.levels)}
        return [place.get(names[:-1], NO_NODE) for names in self.levels]

    @cached_property
    def ancestors(self) -> np.ndarray:
        """int32 [nodes, depth]: the node at each level of a category's full path, NO_NODE below its own."""
        found = [self._line(node, self.full)[::-1] for node in range(len(self))]
        table = np.full((len(found), max(map(len, found), default=0)), NO_NODE, dtype=np.int32)
        for node, nodes in enumerate(found):
            table[node, : len(nodes)] = nodes
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


def _lacks_levels_of(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    """Whether `short` is `long` without some of its levels."""
    rest = iter(long)
    return len(short) < len(long) and all(level in rest for level in short)
