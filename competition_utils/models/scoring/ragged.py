"""Sequences of different length in one flat array: what Python lists of tokens would take ten times the memory for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np


@dataclass(frozen=True)
class Ragged:
    """Sequence i is `values[starts[i] : starts[i] + lengths[i]]`."""

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    @classmethod
    def from_lists(cls, lists: Sequence[Sequence[int]]) -> Ragged:
        return cls.from_iterable(lists, np.fromiter(map(len, lists), dtype=np.int64, count=len(lists)))

    @classmethod
    def from_iterable(cls, lists: Iterable[Sequence[int]], lengths: np.ndarray) -> Ragged:
        """From lists made one by one: thousands of them held at once set Python's garbage collector to work."""
        values = np.fromiter(chain.from_iterable(lists), np.int32, int(lengths.sum()))
        return cls(values, np.cumsum(lengths) - lengths, lengths)

    def take(self, rows: np.ndarray) -> Ragged:
        """The sequences `rows`, in that order, without copying the tokens."""
        return Ragged(self.values, self.starts[rows], self.lengths[rows])

    def cut(self, longest: int | np.ndarray) -> Ragged:
        """The sequences without what lies behind the first `longest` tokens (one number, or one a sequence)."""
        return Ragged(self.values, self.starts, np.minimum(self.lengths, longest))

    def flat(self) -> np.ndarray:
        """The tokens of all sequences, one sequence after the other."""
        before = np.cumsum(self.lengths) - self.lengths
        return self.values[np.repeat(self.starts - before, self.lengths) + np.arange(int(self.lengths.sum()))]

    def joined(self, counts: np.ndarray) -> Ragged:
        """The first `counts[0]` sequences as one, the next `counts[1]` as the next, …"""
        ends = np.concatenate([[0], np.cumsum(self.lengths)])[np.concatenate([[0], np.cumsum(counts)])]
        return Ragged(self.flat(), ends[:-1], np.diff(ends))
