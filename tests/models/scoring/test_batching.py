"""Batching may change how fast pairs are scored, never what is scored."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competition_utils.models.scoring.batching import batches_by_budget, tokenise_pairs

texts = st.lists(st.text(alphabet="abc é日 ไ", max_size=12), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    from competition_utils.models.pretrained import resolve

    return AutoTokenizer.from_pretrained(resolve("minilm"))


@settings(max_examples=40, deadline=None)
@given(first=texts, seed=st.integers(0, 99))
def test_padded_pairs_equal_the_tokenizers_own(tokenizer, first, seed):
    second = list(np.random.default_rng(seed).permutation(first))
    ours = tokenise_pairs(tokenizer, pd.Series(first), pd.Series(second), 96).padded(np.arange(len(first)))
    theirs = tokenizer(first, second, padding=True, return_tensors="np")
    assert {name: values.tolist() for name, values in ours.items()} == {name: theirs[name].tolist() for name in ours}


def test_a_pair_that_is_too_long_loses_the_end_of_its_target(tokenizer):
    tokens = tokenise_pairs(tokenizer, pd.Series(["red shoe"]), pd.Series(["lamp " * 50]), 12)
    row = tokens.padded(np.array([0]))["input_ids"][0]
    assert tokenizer.decode(row) == "[CLS] red shoe [SEP] lamp lamp lamp lamp lamp lamp lamp [SEP]"


def test_a_long_query_keeps_half_of_the_room_and_what_the_target_leaves(tokenizer):
    tokens = tokenise_pairs(tokenizer, pd.Series(["shoe " * 50]), pd.Series(["lamp lamp"]), 13)
    row = tokens.padded(np.array([0]))["input_ids"][0]
    assert tokenizer.decode(row) == "[CLS] " + "shoe " * 8 + "[SEP] lamp lamp [SEP]"


@given(lengths=st.lists(st.integers(1, 60), max_size=60), budget=st.integers(1, 200))
def test_budget_batches_hold_every_row_once_and_stay_within_the_budget(lengths, budget):
    lengths = np.array(lengths, dtype=np.int64)
    batches = batches_by_budget(lengths, budget)
    assert sorted(np.concatenate([*batches, []]).tolist()) == list(range(len(lengths)))
    assert all(len(rows) == 1 or len(rows) * lengths[rows].max() <= budget for rows in batches)


def test_a_row_longer_than_the_budget_is_scored_by_itself_and_first():
    assert [rows.tolist() for rows in batches_by_budget(np.array([5, 900]), 200)] == [[1], [0]]
