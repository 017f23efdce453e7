"""Scoring through vLLM, for those who have it: the same prompts, the same two label words, another engine.

vLLM shares common beginnings and batches by itself. It gives probabilities of the model's own output rows, so it
serves `objective: label_token`; rows that were trained along (`head`) are not the model's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from competition_utils.errors import UserError

LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # sizes that vLLM sets aside for adapters


class VllmScorer:
    """A model in vLLM's memory. `adapter` is a folder as PEFT writes it, None for a merged model.

    Raises UserError where the package is missing.
    """

    def __init__(
        self,
        model: str,
        label_ids: tuple[int, int],
        *,
        adapter: Path | None,
        lora_rank: int,
        max_length: int,
        load_in_4bit: bool = False,
        dtype: str = "auto",
    ):
        if find_spec("vllm") is None:
            raise UserError(
                "score_engine: vllm needs the package vllm, found none. Install it into an environment of its own "
                "(it brings its own torch), or set `score_engine: own`."
            )
        from vllm import LLM, SamplingParams

        self._label_ids = label_ids
        self._llm = LLM(
            model=model,
            dtype=dtype,
            max_model_len=max_length + 1,
            enable_prefix_caching=True,
            logprobs_mode="processed_logprobs",  # after all but the label words are ruled out
            max_logprobs=2,
            **({"quantization": "bitsandbytes"} if load_in_4bit else {}),
            **({"enable_lora": True, "max_lora_rank": _rank_set_aside(lora_rank)} if adapter else {}),
        )
        self._sampling = SamplingParams(
            max_tokens=1, temperature=0.0, logprobs=2, allowed_token_ids=list(label_ids), detokenize=False
        )
        self._adapter = adapter

    def score(self, prompts: Sequence[Sequence[int]]) -> np.ndarray:
        """float32 [n] in 0–1, in the order of `prompts`."""
        inputs = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
        answers = self._llm.generate(inputs, self._sampling, use_tqdm=True, **self._lora())
        return np.array([self._probability(answer.outputs[0].logprobs[0]) for answer in answers], dtype=np.float32)

    def _probability(self, logprobs: dict[int, Any]) -> float:
        negative, positive = (logprobs[label].logprob for label in self._label_ids)
        return 1 / (1 + np.exp(negative - positive))

    def _lora(self) -> dict[str, Any]:
        if self._adapter is None:
            return {}
        from vllm.lora.request import LoRARequest

        return {"lora_request": LoRARequest("fitted", 1, str(self._adapter))}


def _rank_set_aside(rank: int) -> int:
    larger = [size for size in LORA_RANKS if size >= rank]
    if not larger:
        raise UserError(f"lora_r: vLLM takes adapters up to rank {LORA_RANKS[-1]}, found {rank}. Merge the model.")
    return larger[0]
