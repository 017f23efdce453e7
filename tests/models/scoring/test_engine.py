"""The scoring engine: whatever the budget, the share or the memory, each row gets its own score, once."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from competition_utils.models.scoring.engine import TokenBudget, score_tokenised, score_unique
from competition_utils.models.scoring.prompt_batches import TokenisedPrompts, common_start
from competition_utils.models.scoring.ragged import Ragged

prompt_lists = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=12), min_size=1, max_size=40)


def tokenised(prompts):
    return TokenisedPrompts(Ragged.from_lists(prompts), pad_id=0)


def sums(batch):
    """A stand-in for a model whose score is known: the sum of a row's tokens."""
    return (batch["input_ids"] * batch["attention_mask"]).sum(axis=1).astype(np.float32)


@given(prompt_lists, st.integers(1, 200))
def test_scores_are_in_the_given_order_whatever_the_budget(prompts, budget):
    scores = score_tokenised(tokenised(prompts), sums, TokenBudget(budget))
    assert scores.tolist() == [sum(prompt) for prompt in prompts]


@given(prompt_lists, st.integers(1, 200), st.integers(1, 5))
def test_the_shares_of_processes_with_different_budgets_add_up_to_all_scores(prompts, budget, processes):
    parts = [
        score_tokenised(tokenised(prompts), sums, TokenBudget(budget * (rank + 1)), share=(rank, processes))
        for rank in range(processes)
    ]
    assert sum(parts).tolist() == [sum(prompt) for prompt in prompts]


@given(prompt_lists, st.integers(1, 100), st.integers(2, 4))
def test_processes_in_step_take_the_same_number_of_steps(prompts, budget, processes):
    steps = []
    for rank in range(processes):
        seen = []
        score_tokenised(
            tokenised(prompts),
            lambda batch, seen=seen: seen.append(1) or sums(batch),
            TokenBudget(budget),
            share=(rank, processes),
            in_step=True,
        )
        steps.append(len(seen))
    assert len(set(steps)) == 1


class Card:
    """A GPU whose memory holds `memory` tokens of a batch."""

    def __init__(self, memory):
        self.memory, self.failures = memory, 0

    def __call__(self, batch):
        if batch["input_ids"].size > self.memory:
            self.failures += 1
            raise torch.cuda.OutOfMemoryError("out of memory")
        return sums(batch)


def test_a_batch_that_does_not_fit_halves_the_budget_for_good():
    prompts, card, budget = [[1] * 8] * 1000, Card(1500), TokenBudget(8192)
    first = score_tokenised(tokenised(prompts), card, budget)
    assert (first == 8).all()
    assert budget.tokens == 1024
    assert card.failures == 3
    score_tokenised(tokenised(prompts), card, budget)
    assert card.failures == 3


def test_memory_too_small_for_the_smallest_budget_is_an_error():
    with pytest.raises(torch.cuda.OutOfMemoryError):
        score_tokenised(tokenised([[1] * 600]), Card(10), TokenBudget(8192))


def test_a_score_that_is_not_finite_is_an_error_that_says_how_many():
    with pytest.raises(FloatingPointError, match="2 of 3 pairs"):
        score_tokenised(tokenised([[1], [2], [3]]), lambda b: np.where(sums(b) > 1, np.nan, 0.5), TokenBudget(1000))


def test_no_pairs_give_no_scores():
    assert score_tokenised(tokenised([]), sums, TokenBudget(1000)).shape == (0,)


def test_rows_alike_are_scored_once_missing_text_included():
    pairs = pd.DataFrame({"query": ["a", "b", "a", "a"], "target": ["x", None, "x", "y"]})
    asked = []

    def score(rows):
        asked.append(len(rows))
        return np.arange(len(rows), dtype=np.float32)

    assert score_unique(pairs, score).tolist() == [0, 1, 0, 2]
    assert asked == [3]


@given(prompt_lists, st.lists(st.integers(1, 9), max_size=6))
def test_a_common_start_is_the_longest_that_leaves_a_token_of_each(prompts, start):
    whole = [[*start, *prompt] for prompt in prompts]
    shared = common_start(Ragged.from_lists(whole))
    assert len({tuple(prompt[:shared]) for prompt in whole}) == 1
    shortest = min(map(len, whole))
    assert shared == shortest - 1 or len({tuple(prompt[: shared + 1]) for prompt in whole}) > 1
    assert shared < shortest


@given(prompt_lists, st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_what_is_shared_leaves_the_batch_but_not_mask_and_positions(prompts, start):
    tokens = Ragged.from_lists([[*start, *prompt] for prompt in prompts])
    batch = TokenisedPrompts(tokens, pad_id=0, shared=len(start)).padded(np.arange(len(prompts)))
    assert batch["input_ids"].sum(axis=1).tolist() == [sum(prompt) for prompt in prompts]
    assert batch["attention_mask"].sum(axis=1).tolist() == [len(start) + len(prompt) for prompt in prompts]
    last = batch["position_ids"].ravel()[batch["label_positions"]]
    assert last.tolist() == [len(start) + len(prompt) - 1 for prompt in prompts]
