"""How likely a language model finds a continuation given its context, against transformers' own loss, row by row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_decoders import FAMILIES, build_tiny
from transformers import AutoModelForCausalLM, AutoTokenizer

from competition_utils.models.scoring import likelihood
from competition_utils.models.scoring.likelihood import PROMPTS, log_likelihoods, mutual_information

CONTEXTS = ["shoes", "a lamp and a table and a guitar for", "phone", "tent"]
CONTINUATIONS = [" dress", " camera", " exact spare tent shoes lamp", " table"]


@pytest.fixture(scope="module", params=FAMILIES)
def tiny(request, tmp_path_factory):
    folder = build_tiny(tmp_path_factory.mktemp(request.param) / "model", request.param)
    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def by_the_models_own_loss(model, tokenizer, context, continuation):
    """Minus the loss of transformers, which is a mean over the tokens that have a label."""
    head, tail = tokenizer(context)["input_ids"], tokenizer(continuation, add_special_tokens=False)["input_ids"]
    ids, labels = torch.tensor([head + tail]), torch.tensor([[-100] * len(head) + tail])
    with torch.inference_mode():
        return -model(input_ids=ids, labels=labels).loss.item() * len(tail)


@pytest.mark.parametrize("tokens_a_batch", [1, 1024], ids=["a row a batch", "all in one batch"])
def test_the_likelihood_is_that_of_the_models_own_loss_whatever_the_batches(tiny, tokens_a_batch, monkeypatch):
    monkeypatch.setattr(likelihood, "TOKENS_A_BATCH", tokens_a_batch)
    expected = [by_the_models_own_loss(*tiny, *row) for row in zip(CONTEXTS, CONTINUATIONS, strict=True)]
    np.testing.assert_allclose(log_likelihoods(*tiny, CONTEXTS, CONTINUATIONS), expected, atol=1e-4)


def test_no_continuations_have_no_likelihoods(tiny):
    assert log_likelihoods(*tiny, [], []).shape == (0,)


def test_information_is_what_the_query_adds_for_each_token_of_the_target(tiny):
    pairs = pd.DataFrame({"task": ["QC", "QI"], "query": ["lamp", "tent"], "target": ["table,camera, exact", "a,b"]})
    written = [" table > camera, exact", " a,b"]  # a bare comma parts the levels of a path, not the words of a title
    expected = []
    for query, target in zip(pairs["query"], written, strict=True):
        tokens = len(tiny[1](target, add_special_tokens=False)["input_ids"])
        gains = [
            by_the_models_own_loss(*tiny, prompt.format(query=query), target)
            - by_the_models_own_loss(*tiny, nothing, target)
            for prompt, nothing in PROMPTS
        ]
        expected.append(sum(gains) / len(gains) / tokens)
    np.testing.assert_allclose(mutual_information(*tiny, pairs), expected, atol=1e-5)
