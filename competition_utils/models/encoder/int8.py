"""Matrix products in 8-bit whole numbers while scoring, for processors that multiply those faster than float32.

Each token's vector has a scale of its own, and each output of a layer too. A scale taken from a whole batch, as in
torch's dynamic quantisation, would make a pair's score depend on the pairs beside it, so that a resumed or divided
scoring ended otherwise. torchao computes the same, but is slower than float32 unless compiled (docs/LOG.md).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

LARGEST = 127  # of the whole numbers, so that a vector and its negative are rounded alike
ZERO = 128  # oneDNN wants the left factor unsigned
TOKENS = 512  # at once: what is between the steps stays in the cache of a core
NOT_ZERO = 1e-12  # a vector of zeros keeps a scale
WORTH_IT = 64  # inputs and outputs; the matrices of LoRA have 16 on one side
HEADS = {"pooler", "classifier", "score", "head"}  # one row a pair: nothing to gain


class Int8Layers:
    """The linear layers of a network below its head, rounded to 8 bits when this is made; within a `with` block the
    network computes with them. Its own weights stay as they are."""

    def __init__(self, network: nn.Module):
        layers = [layer for name, layer in network.named_modules() if not HEADS & set(name.split("."))]
        self._forwards = {layer: int8_forward(layer) for layer in layers if _is_worth_it(layer)}

    def __enter__(self) -> Int8Layers:
        for layer, forward in self._forwards.items():
            layer.forward = forward
        return self

    def __exit__(self, *_: object) -> None:
        for layer in self._forwards:
            del layer.forward  # its class's shows again


def multiplies_int8() -> bool:
    """Whether the processor has VNNI; without it sums of 8-bit products are cut off at 16 bits."""
    return torch.backends.mkldnn.is_available() and torch.cpu._is_vnni_supported()


def int8_forward(layer: nn.Linear) -> Callable[[torch.Tensor], torch.Tensor]:
    """The layer as a function of float32 [..., in_features] → float32 [..., out_features]."""
    weights, scales = _rounded(layer.weight.detach().float())
    packed, zeros = torch.ops.onednn.qlinear_prepack(weights, None), torch.zeros(len(weights), dtype=torch.int64)
    bias = torch.zeros(len(weights)) if layer.bias is None else layer.bias.detach()
    up = torch.full((layer.in_features,), ZERO + 0.5)  # and then cut off: rounded to the nearest

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        tokens = inputs.reshape(-1, layer.in_features)
        outputs = torch.empty(len(tokens), layer.out_features)
        for some, into in zip(tokens.split(TOKENS), outputs.split(TOKENS), strict=True):
            largest = torch.maximum(some.amax(1, keepdim=True), -some.amin(1, keepdim=True))
            token_scales = largest.clamp_min_(NOT_ZERO).div_(LARGEST)
            numbers = torch.addcmul(up, some, token_scales.reciprocal()).to(torch.uint8)
            products = torch.ops.onednn.qlinear_pointwise(
                numbers, 1.0, ZERO, packed, scales, zeros, None, 1.0, 0, torch.float32, "none", [], ""
            )
            torch.addcmul(bias, products, token_scales, out=into)
        return outputs.reshape(*inputs.shape[:-1], layer.out_features)

    return forward


def _is_worth_it(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) and min(layer.in_features, layer.out_features) >= WORTH_IT


def _rounded(weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """int8 [outputs, inputs] and the scale of each output, float32 [outputs]."""
    scales = weights.abs().amax(1).clamp_min(NOT_ZERO) / LARGEST
    return (weights / scales[:, None]).round().to(torch.int8), scales
