"""Scoring with a decoder through the common engine: the logits of the two label words at one position a pair.

The Trainer's evaluation loop keeps all logits and runs out of memory on a vocabulary of 262,144.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from competition_utils.distributed import share as own_share
from competition_utils.models.compute import Compute, choose_compute
from competition_utils.models.decoder.device import AUTO, DeviceChoice
from competition_utils.models.decoder.load import Decoder, base_of
from competition_utils.models.scoring.engine import Forward, TokenBudget, score_tokenised
from competition_utils.models.scoring.prompt_batches import TokenisedPrompts, common_start
from competition_utils.models.scoring.ragged import Ragged
from competition_utils.settings.schema import DecoderSettings

WORTH_TRYING = 8  # common tokens; a shorter beginning is not worth a second look
TRIED_ROWS = 64
FEW_ROWS = 4  # for the trial of number formats and threads


def scoring_compute(
    model: Any,
    prompts: Sequence[Sequence[int]],
    pad_id: int,
    settings: DecoderSettings,
    choice: DeviceChoice,
    folder: Path,
) -> Compute:
    """What to score with: on CUDA the format of `choice`, since adapters are kept in float32 beside 16-bit weights; on
    a CPU as `folder` says, or by a trial with a few prompts."""
    import torch

    default = Compute(choice.device, choice.dtype)
    if not len(prompts):
        return default
    few = Ragged.from_lists([prompts[row % len(prompts)] for row in range(FEW_ROWS)])
    batch, forward = TokenisedPrompts(few, pad_id).padded(np.arange(FEW_ROWS)), _forward(model, torch.device("cpu"))
    where = {"config": base_of(model).config, "settings": settings, "default": default, "folder": folder}
    was_training = model.training
    model.eval()
    with torch.no_grad():
        compute = choose_compute(lambda: forward(batch), purpose="scoring", **where)
    model.train(was_training)
    return compute


def score_decoder(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    settings: DecoderSettings,
    budget: TokenBudget,
    compute: Compute,
) -> np.ndarray:
    """float32 [n] in 0–1: `score_prompts` as library and settings allow.

    Unsloth's attention takes no keys from elsewhere, and a model in shards scores in step: both compute the common
    beginning of the prompts with every row. Several processes share the rows out.
    """
    plain = decoder.choice.backend == "transformers" and not settings.sharded
    return score_prompts(
        decoder.model,
        prompts,
        pad_id=decoder.tokenizer.pad_token_id,
        budget=budget,
        compute=compute,
        share_prefix=plain and settings.share_prefix,
        share=own_share(),
        in_step=settings.sharded,
    )


def score_prompts(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    pad_id: int,
    budget: TokenBudget,
    compute: Compute | None = None,
    side: str = "right",
    share_prefix: bool | str = False,
    share: tuple[int, int] = (0, 1),
    in_step: bool = False,
) -> np.ndarray:
    """float32 [n] in 0-1: the probability of the positive label word against the negative one.

    Without `compute` in the format of the weights.
    `share_prefix`: whether the beginning that all prompts have in common is computed once; "auto" tries it. `share`
    and `in_step` as in `score_tokenised`.
    """
    import torch

    tokens = TokenisedPrompts(Ragged.from_lists(prompts), pad_id, side)
    device = base_of(model).label_rows.device  # an embedding may lie on the host
    was_training = model.training
    model.eval()
    # Not inference_mode: what Unsloth caches in it could not be used in training afterwards.
    with torch.no_grad(), (compute or Compute(device.type, "float32")).active():
        tokens, forward = _with_prefix(model, tokens, device, share_prefix)
        scores = score_tokenised(tokens, forward, budget, share=share, in_step=in_step)
    model.train(was_training)
    return scores


def _with_prefix(
    model: Any, tokens: TokenisedPrompts, device: Any, wish: bool | str
) -> tuple[TokenisedPrompts, Forward]:
    """The prompts and the way to score a batch of them, with a shared beginning where it is wished or pays."""
    whole = _forward(model, device)
    # With padding between prefix and rest a sliding window would reach less far than it should.
    shared = common_start(tokens.tokens) if wish and tokens.side == "right" else 0
    if shared < WORTH_TRYING or (wish == AUTO and len(tokens.lengths) < TRIED_ROWS):
        return tokens, whole
    import torch

    from competition_utils.models.scoring import shared_prefix  # after Unsloth, as it imports transformers

    base, start = base_of(model), tokens.tokens.starts[0]
    text_model = getattr(base, base.base_model_prefix)
    prefix = torch.from_numpy(tokens.tokens.values[start : start + shared].astype(np.int64)).to(device)
    known = shared_prefix.compute_prefix(text_model, prefix)
    rest, behind = replace(tokens, shared=shared), _forward(model, device, known)
    if wish == AUTO:
        tried = np.argsort(tokens.lengths)[:: len(tokens.lengths) // TRIED_ROWS][:TRIED_ROWS]
        ways = (lambda: behind(rest.padded(tried)), lambda: whole(tokens.padded(tried)))
        facts = _facts(base, device, tokens, shared)
        if not shared_prefix.pays(*ways, on_gpu=device.type == "cuda", facts=facts):
            return tokens, whole
    return rest, behind


def _forward(model: Any, device: Any, known: Any = None) -> Forward:
    """A padded batch → the positive word's probability [rows]; `known` is what the model has seen before it."""
    import torch

    seen = {} if known is None else {"past_key_values": known}

    def forward(batch: dict[str, np.ndarray]) -> np.ndarray:
        inputs = {name: torch.from_numpy(values).to(device) for name, values in batch.items()}
        logits = model(**inputs, **seen)["logits"]
        return torch.sigmoid(logits[:, 1] - logits[:, 0]).cpu().numpy()

    return forward


def _facts(base: Any, device: Any, tokens: TokenisedPrompts, shared: int) -> dict[str, Any]:
    """What decides whether a shared beginning pays; lengths to tens of tokens, so that shards of a file agree."""
    import torch

    return {
        "prefix_tokens": shared,
        "prompt_tokens": round(float(tokens.lengths.mean()), -1),
        "model": base.config.to_dict(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor(),
    }
