"""The loss of a decoder: the cross-entropy between its two label words."""

from __future__ import annotations

import torch


def pair_loss(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, label_smoothing: float = 0.0
) -> torch.Tensor:
    """Weighted mean over the rows of a micro-batch.

    `logits` [rows, 2] of the negative and the positive label word, `labels` int64 [rows] 0 or 1, `weights` [rows].
    """
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)
    return (losses * weights).mean()
