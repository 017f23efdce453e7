"""Ragged arrays say what lists of lists say."""

from itertools import chain

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from competition_utils.models.scoring.ragged import Ragged

lists = st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=6)


def ragged_of(given_lists):
    return Ragged.from_lists(given_lists)


def as_lists(ragged):
    return [
        ragged.values[start:][:length].tolist() for start, length in zip(ragged.starts, ragged.lengths, strict=True)
    ]


@given(lists)
def test_sequences_come_back_as_they_were(given_lists):
    assert as_lists(ragged_of(given_lists)) == given_lists


@given(lists, st.integers(0, 9))
def test_flat_holds_the_tokens_of_the_rows_taken_in_their_order(given_lists, seed):
    rows = np.random.default_rng(seed).permutation(len(given_lists))
    taken = ragged_of(given_lists).take(rows)
    assert taken.flat().tolist() == list(chain.from_iterable(given_lists[row] for row in rows))


@given(lists, st.integers(0, 6))
def test_a_cut_keeps_the_first_tokens(given_lists, longest):
    assert as_lists(ragged_of(given_lists).cut(longest)) == [tokens[:longest] for tokens in given_lists]


@given(st.lists(lists, max_size=5))
def test_joined_sequences_follow_each_other(groups):
    ragged = ragged_of(list(chain.from_iterable(groups)))
    joined = ragged.joined(np.array(list(map(len, groups)), dtype=np.int64))
    assert as_lists(joined) == [list(chain.from_iterable(group)) for group in groups]
