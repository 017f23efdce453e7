"""Scoring with a decoder: our own forward loop, sorted by length, two numbers a pair.

The Trainer's evaluation loop keeps all logits and runs out of memory on a vocabulary of 262,144; here a batch
holds rows of like length up to a number of tokens, and the model gives the logits of the two label words
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from competition_utils.models.batching import batches_by_budget
from competition_utils.progress import progress


def pad_prompts(prompts: Sequence[Sequence[int]], pad_id: int, side: str = "right") -> dict[str, Any]:
    """Tensors [rows, longest] `input_ids, attention_mask, position_ids`, and `label_positions` [rows], which
    counts through the flattened batch to each prompt's last token. `side` is where the padding goes."""
    import torch

    lengths = np.fromiter(map(len, prompts), dtype=np.int64, count=len(prompts))
    longest = int(lengths.max())
    columns = np.arange(longest)
    mask = columns < lengths[:, None] if side == "right" else columns >= longest - lengths[:, None]
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = np.concatenate([np.asarray(prompt) for prompt in prompts])
    last = lengths - 1 if side == "right" else np.full_like(lengths, longest - 1)
    batch = {
        "input_ids": ids,
        "attention_mask": mask.astype(np.int64),
        "position_ids": np.maximum(mask.cumsum(axis=1) - 1, 0),
        "label_positions": np.arange(len(prompts)) * longest + last,
    }
    return {name: torch.from_numpy(values) for name, values in batch.items()}


def join_prompts(prompts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """The same without padding: all prompts in one row, positions starting anew with each, which is how
    transformers knows that a prompt must not see the one before."""
    import torch

    lengths = np.fromiter(map(len, prompts), dtype=np.int64, count=len(prompts))
    batch = {
        "input_ids": np.concatenate([np.asarray(prompt, dtype=np.int64) for prompt in prompts])[None],
        "position_ids": np.concatenate([np.arange(length) for length in lengths])[None],
        "label_positions": lengths.cumsum() - 1,
    }
    return {name: torch.from_numpy(values) for name, values in batch.items()}


def mixed_precision(device: str, dtype: str) -> AbstractContextManager:
    """Autocast on CUDA, where adapters are kept in float32 beside 16-bit weights; nothing elsewhere."""
    import torch

    if device != "cuda" or dtype == "float32":
        return nullcontext()
    return torch.autocast("cuda", dtype=getattr(torch, dtype))


def score_prompts(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    pad_id: int,
    token_budget: int,
    dtype: str = "float32",
    side: str = "right",
    share: tuple[int, int] = (0, 1),
) -> np.ndarray:
    """float32 [n] in 0-1: the probability of the positive label word against the negative one.

    `share` = (k, n) scores the batches k, k+n, … only and leaves 0 elsewhere, so that n processes' results
    add up; every process makes the same number of steps, which sharded models need.
    """
    import torch

    lengths = np.fromiter(map(len, prompts), dtype=np.int64, count=len(prompts))
    batches = batches_by_budget(lengths, token_budget)
    rank, world = share
    steps = range(rank, len(batches) + (-len(batches) % world), world)
    scores = np.zeros(len(prompts), dtype=np.float32)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    # Not inference_mode: what Unsloth caches in it could not be used in training afterwards.
    with torch.no_grad(), mixed_precision(device.type, dtype):
        for step in progress(steps, what="scoring", unit="batches"):
            rows = batches[min(step, len(batches) - 1)]
            batch = pad_prompts([prompts[row] for row in rows], pad_id, side)
            logits = model(**{name: tensor.to(device) for name, tensor in batch.items()})["logits"]
            if step < len(batches):
                scores[rows] = torch.sigmoid(logits[:, 1] - logits[:, 0]).cpu().numpy()
    model.train(was_training)
    return scores


def add_up_shares(scores: np.ndarray) -> np.ndarray:
    """The sum of all processes' scores, on every process; the same array where there is one process."""
    import torch
    import torch.distributed as processes

    if not processes.is_initialized() or processes.get_world_size() == 1:
        return scores
    parts: list[Any] = [None] * processes.get_world_size()
    processes.all_gather_object(parts, torch.from_numpy(scores))
    return torch.stack(parts).sum(dim=0).numpy()


def own_share() -> tuple[int, int]:
    """(number of this process, number of processes)."""
    import torch.distributed as processes

    if not processes.is_initialized():
        return 0, 1
    return processes.get_rank(), processes.get_world_size()
