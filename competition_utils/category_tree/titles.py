"""The categories that titles name."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from competition_utils.category_tree.tree import NO_NODE, CategoryTree
from competition_utils.data.columns import split_words
from competition_utils.translation.words import fold, function_words

ENGLISH = "en"
LONGEST_NAME = 8  # words
MIX = np.uint64(0x9E3779B97F4A7C15)


class NamesInTitles:
    """Finds the names of a tree's categories in English titles, in singular or plural.

    "Set of 2 Bench Scrapers, steel" names "bench scraper". Of names that share words the longest counts; function
    words are passed over on both sides.
    """

    def __init__(self, tree: CategoryTree):
        self._stems: dict[str, int] = {}
        self._tree, self._names = tree, tree.names

    @cached_property
    def _nodes_by_phrase(self) -> pd.DataFrame:
        """`node` and the words in its name, indexed by the phrase's hash."""
        words = self._words(self._names["name"])
        rows, lengths = words["row"].to_numpy(), np.bincount(words["row"], minlength=len(self._names))
        hashes = np.zeros(len(self._names), dtype=np.uint64)
        for length in range(1, LONGEST_NAME + 1):
            starts, found = _phrases(words, length)
            whole = lengths[rows[starts]] == length
            hashes[rows[starts[whole]]] = found[whole]
        nodes = self._names["node"].to_numpy()
        table = pd.DataFrame({"node": nodes, "length": lengths}, index=pd.Index(hashes, name="phrase"))
        return table[(lengths > 0) & (lengths <= LONGEST_NAME)]

    def find(self, titles: pd.Series) -> pd.DataFrame:
        """`row` (0 to n-1, by position), `node`: the categories that each title names."""
        words, names = self._words(titles), self._nodes_by_phrase
        rows, taken = words["row"].to_numpy(), np.zeros(len(words), dtype=bool)
        parts = [pd.DataFrame({"row": np.empty(0, np.int64), "node": np.empty(0, np.int64)})]
        for length in sorted(names["length"].unique(), reverse=True):
            starts, found = _phrases(words, length)
            known = pd.Index(found).isin(names.index[names["length"] == length])
            places = starts[known][:, None] + np.arange(length)
            free = ~taken[places].any(axis=1)
            taken[places[free]] = True
            hits = pd.DataFrame({"row": rows[starts[known][free]]}, index=pd.Index(found[known][free], name="phrase"))
            parts.append(hits.join(names.loc[names["length"] == length, ["node"]]))
        found = pd.concat(parts, ignore_index=True)
        found["node"] = self._tree.full[found["node"]].astype(np.int64)
        return self._most_special(found.drop_duplicates(ignore_index=True))

    def _most_special(self, found: pd.DataFrame) -> pd.DataFrame:
        """Without the categories above others that the same title names: they say less of what is sold."""
        above = self._tree.ancestors[found["node"]]
        above[above == found["node"].to_numpy()[:, None]] = NO_NODE
        rows, levels = np.nonzero(above != NO_NODE)
        named = pd.MultiIndex.from_arrays([found["row"].to_numpy()[rows], above[rows, levels]])
        return found[~pd.MultiIndex.from_frame(found).isin(named)].reset_index(drop=True)

    def _words(self, texts: pd.Series) -> pd.DataFrame:
        """The words of texts in their order: `row` (by position), `stem` (a number for each stem)."""
        split = split_words(pa.array(texts, pa.large_string(), from_pandas=True))
        words = pd.Series(pc.list_flatten(split).to_pandas(), dtype="str")
        codes, different = pd.factorize(words)
        numbers = np.array([self._number(word) for word in different], dtype=np.int64)
        table = pd.DataFrame({"row": pc.list_parent_indices(split).to_numpy(), "stem": numbers[codes]})
        return table[table["stem"] >= 0].reset_index(drop=True)

    def _number(self, word: str) -> int:
        """The number of a word's stem, −1 for a word that does not count."""
        if word == "" or word in function_words(ENGLISH):
            return -1
        return self._stems.setdefault(singular(fold(word)), len(self._stems))


def singular(word: str) -> str:
    """An English plural as its singular, or what both become ("bottles" and "bottle", "boxes" and "box").

    D. Harman's S-stemmer (1991, "How effective is suffixing?"), and es after x, ch, sh and ss. The light stems of
    `translation.words` take the e of "bottles" too, and "bottle" keeps its own.
    """
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("xes", "ches", "shes", "sses")) else word[:-1]


def _phrases(words: pd.DataFrame, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each phrase of `length` words of one text starts (int64 [n]), and its hash (uint64 [n])."""
    rows, stems = words["row"].to_numpy(), words["stem"].to_numpy().astype(np.uint64)
    starts = np.arange(max(len(words) - length + 1, 0))
    starts = starts[rows[starts] == rows[starts + length - 1]]
    hashes = np.full(len(starts), length, dtype=np.uint64)
    for place in range(length):
        hashes = (hashes ^ (stems[starts + place] + np.uint64(1))) * MIX
        hashes ^= hashes >> np.uint64(29)
    return starts, hashes
