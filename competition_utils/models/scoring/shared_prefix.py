"""The beginning that all prompts share, computed once: its keys and values stand before those of every row.

Instruction and chat frame are a third to a half of a prompt's tokens. Whether leaving them out is faster depends
on the attention kernel (a mask of another shape may take a slower one), so it is tried on the first rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from competition_utils.models.scoring.trials import cached_trial, median_seconds
from competition_utils.models.threads import num_threads


class PrefixLayer(DynamicLayer):
    """Keys and values [1, heads, tokens, size] of the prefix in one layer; nothing that comes after is kept."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor):
        super().__init__()
        self.keys, self.values, self.is_initialized = keys, values, True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        shape = (len(key_states), -1, -1, -1)
        return (
            torch.cat([self.keys.to(key_states.dtype).expand(shape), key_states], dim=-2),
            torch.cat([self.values.to(value_states.dtype).expand(shape), value_states], dim=-2),
        )


def compute_prefix(text_model: Any, tokens: torch.Tensor) -> Cache:
    """What the text model (without its output layer) keeps of `tokens` int64 [n], as one row for all to share."""
    seen = DynamicCache()  # without a configuration: sliding layers too keep every token
    text_model(input_ids=tokens[None], past_key_values=seen, use_cache=True)
    return Cache(layers=[PrefixLayer(layer.keys, layer.values) for layer in seen.layers])


def pays(behind: Callable[[], Any], whole: Callable[[], Any], *, on_gpu: bool, facts: dict[str, Any]) -> bool:
    """Whether scoring `behind` the prefix is faster than scoring `whole` prompts: tried once a machine for the same
    `facts` (`prefix_tokens` among them), and reported.

    On a CPU by CPU seconds on one thread, since by the clock a busy moment would decide it for good.
    """
    clock = time.perf_counter if on_gpu else time.process_time

    def find() -> dict[str, Any]:
        # Each ends in a NumPy array, so a GPU has finished.
        with nullcontext() if on_gpu else num_threads(1):
            seconds = median_seconds({"behind": behind, "whole": whole}, clock)
        return {"speed_up": seconds["whole"] / seconds["behind"]}

    speed_up = cached_trial({**facts, "clock": clock.__name__}, find)["speed_up"]
    chosen = "computed once" if speed_up > 1 else "computed with every row"
    print(f"scoring: the prompts' common {facts['prefix_tokens']} tokens are {chosen} ({speed_up:.2f}× when tried)")
    return speed_up > 1
