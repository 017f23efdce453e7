"""How likely a language model finds a target given a query: what a base model knows of a pair before any fit.

Asked for a label word, a small base model decides nothing. But it has read of brands and products, and shows it when
asked how much likelier a target is given the query than given none. That is pointwise mutual information, which
leaves out how likely the target is by itself (Holtzman et al. 2021, "Surface Form Competition").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.data.clean import split_levels
from competition_utils.models.scoring.batching import batches_by_budget
from competition_utils.progress import progress
from competition_utils.tasks import QC

# Each with the query, and with nothing in its place.
PROMPTS = (
    ("Search query: {query}\nProduct category:", "Search query: anything\nProduct category:"),
    ('A shopper typed "{query}". They want:', "A shopper typed something. They want:"),
)
TOKENS_A_BATCH = 1024  # each has a logit for every word of the vocabulary, a megabyte for Gemma's


def log_likelihoods(model: Any, tokenizer: Any, contexts: Sequence[str], continuations: Sequence[str]) -> np.ndarray:
    """float64 [n]: natural logarithm of the probability of each continuation, all of its tokens, given its context.

    `model` is a causal language model of transformers with all of its logits, in evaluation mode.
    """
    if not len(continuations):
        return np.zeros(0)
    heads = tokenizer(list(contexts))["input_ids"]
    tails = tokenizer(list(continuations), add_special_tokens=False)["input_ids"]
    lengths = np.array([len(head) + len(tail) for head, tail in zip(heads, tails, strict=True)], dtype=np.int64)
    found = np.zeros(len(lengths))
    with progress(total=len(lengths), what="likelihoods", unit="texts") as bar:
        for rows in batches_by_budget(lengths, TOKENS_A_BATCH):
            found[rows] = _of_batch(model, tokenizer, [heads[row] for row in rows], [tails[row] for row in rows])
            bar.update(len(rows))
    return found


def _of_batch(model: Any, tokenizer: Any, heads: list[list[int]], tails: list[list[int]]) -> np.ndarray:
    import torch

    together = {"input_ids": [head + tail for head, tail in zip(heads, tails, strict=True)]}
    batch = tokenizer.pad(together, padding_side="left", return_tensors="pt").to(model.device)
    longest = max(map(len, tails))
    with torch.inference_mode():
        places = (batch["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)
        output = model(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            position_ids=places,
            logits_to_keep=longest + 1,
        )
        tokens = batch["input_ids"][:, -longest:, None]
        chosen = output.logits[:, :-1].float().log_softmax(dim=-1).gather(2, tokens)[..., 0].double().cpu().numpy()
    own = np.arange(longest) >= longest - np.array([len(tail) for tail in tails])[:, None]
    return (chosen * own).sum(axis=1)


def mutual_information(model: Any, tokenizer: Any, pairs: pd.DataFrame) -> np.ndarray:
    """float64 [n] for pairs with `task, query, target`: how much likelier the target is given the query than given
    none, in natural logarithms a token of the target, the mean of `PROMPTS`. Above 0 speaks for relevant."""
    paths = split_levels(pairs["target"]).str.join(" > ")
    targets = " " + paths.where(pairs["task"] == QC.name, pairs["target"])
    different = targets.drop_duplicates()
    counted = [len(ids) for ids in tokenizer(different.tolist(), add_special_tokens=False)["input_ids"]]
    tokens = targets.map(pd.Series(counted, index=different))
    gained = np.zeros(len(pairs))
    for prompt, nothing in PROMPTS:
        given = log_likelihoods(model, tokenizer, [prompt.format(query=query) for query in pairs["query"]], targets)
        alone = pd.Series(log_likelihoods(model, tokenizer, [nothing] * len(different), different), index=different)
        gained += given - targets.map(alone).to_numpy()
    return gained / (len(PROMPTS) * tokens.to_numpy())
