"""What is known of queries and targets: which pairs must never become negatives."""

from __future__ import annotations

import numpy as np
import pandas as pd

from competition_utils.data.clean import split_levels
from competition_utils.data.columns import english_query
from competition_utils.data.duplicates import near_key
from competition_utils.tasks import QC, Task

RELATIONS = ("branch", "sibling", "cousin", "vertical", "far")


class KnownPairs:
    """Different targets of a table numbered, its queries grouped by near-duplicates, and the pairs of the two.

    Queries are one group where their near keys, or those of their English translations, are the same.
    """

    def __init__(self, table: pd.DataFrame, task: Task):
        self._table = table
        self.targets = pd.Index(table["target"].unique())
        self.group = pd.factorize(near_key(english_query(table)))[0].astype(np.int64)
        self._target = self.targets.get_indexer(table["target"])
        self.levels = _level_codes(pd.Series(self.targets)) if task.name == QC.name else None
        forbidden = [self._keys(self.group, self._target)]
        if self.levels is not None:
            positive = (table["label"] == 1).to_numpy()
            forbidden.append(self._own_branch(self.group[positive], self._target[positive]))
        self._forbidden = np.unique(np.concatenate(forbidden))

    def _keys(self, groups: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return groups * len(self.targets) + targets

    def target_places(self, rows: pd.DataFrame) -> np.ndarray:
        """int [n]: the number of each row's target."""
        return self.targets.get_indexer(rows["target"])

    def query_groups(self, rows: pd.DataFrame) -> np.ndarray:
        """int [n]: the group of each row's query; `rows` are rows of the table."""
        return self.group[self._table.index.get_indexer(rows.index)]

    def allowed(self, groups: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """bool [n, k]: whether target [n, k] may be a negative of a query of group [n].

        Not where the pair is in the table, whatever its label; for QC nor where the target is above or below a
        right category of the query.
        """
        keys = self._keys(groups[:, None], targets)
        place = np.searchsorted(self._forbidden, keys)
        return self._forbidden[np.minimum(place, len(self._forbidden) - 1)] != keys

    def positive_groups(self, most: int) -> np.ndarray:
        """int [targets, most]: query groups that each target is right for, −1 where there are no more."""
        positive = (self._table["label"] == 1).to_numpy()
        pairs = pd.DataFrame({"target": self._target[positive], "group": self.group[positive]}).drop_duplicates()
        number = pairs.groupby("target").cumcount()
        pairs, number = pairs[number < most], number[number < most]
        groups = np.full((len(self.targets), most), -1, dtype=np.int64)
        groups[pairs["target"], number] = pairs["group"]
        return groups

    def relation(self, own: np.ndarray, others: np.ndarray) -> np.ndarray:
        """int8 [n, k] index into `RELATIONS` of category [n, k] as seen from category [n]."""
        mine, theirs = self.levels[own][:, None, :], self.levels[others]
        shared = np.cumprod((mine == theirs) & (mine >= 0), axis=2).sum(axis=2)
        depth, other_depth = (mine >= 0).sum(axis=2), (theirs >= 0).sum(axis=2)
        branch = (shared == depth) | (shared == other_depth)
        choices = [branch, shared >= depth - 1, shared >= depth - 2, shared >= 1]
        return np.select(
            [choices[0], choices[1] & (shared >= 1), choices[2] & (shared >= 1), choices[3]], [0, 1, 2, 3], 4
        )

    def _own_branch(self, groups: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Keys of the pairs of a query and every target above or below one of its right categories."""
        paths = pd.DataFrame({"path": self.targets, "target": np.arange(len(self.targets))})
        levels = split_levels(paths["path"])
        above = [
            pd.DataFrame({"path": levels.str[:depth].str.join(","), "below": paths["target"]})[levels.str.len() > depth]
            for depth in range(1, int(levels.str.len().max()))
        ]
        related = pd.concat(above, ignore_index=True).merge(paths, on="path")[["target", "below"]]
        both = pd.concat([related, related.rename(columns={"target": "below", "below": "target"})])
        right = pd.DataFrame({"group": groups, "target": targets}).drop_duplicates()
        pairs = right.merge(both, on="target")
        return self._keys(pairs["group"].to_numpy(), pairs["below"].to_numpy())


def _level_codes(paths: pd.Series) -> np.ndarray:
    """int32 [paths, deepest]: each level's number, −1 below the end of a path."""
    levels = split_levels(paths)
    deepest = int(levels.str.len().max())
    return np.column_stack([pd.factorize(levels.str[depth])[0] for depth in range(deepest)]).astype(np.int32)
