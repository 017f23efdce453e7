"""Prompts as batches: padded on either side, joined without padding, or behind a beginning that all share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from competition_utils.models.scoring.ragged import Ragged


@dataclass(frozen=True)
class TokenisedPrompts:
    """Tokens of n prompts, still unpadded. `side` is where the padding goes; the first `shared` tokens of every
    prompt are the same and left out of the batches, since the model has seen them already (shared_prefix.py)."""

    tokens: Ragged
    pad_id: int
    side: str = "right"
    shared: int = 0

    @property
    def lengths(self) -> np.ndarray:
        """int [n], of what a batch holds of each prompt."""
        return self.tokens.lengths - self.shared

    def padded(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """`pad_prompts` of these rows; the mask counts the shared beginning, positions start behind it."""
        part = self.tokens.take(rows)
        rest = Ragged(part.values, part.starts + self.shared, part.lengths - self.shared)
        batch = pad_prompts(rest, self.pad_id, self.side)
        if self.shared:
            seen = np.ones((len(rows), self.shared), dtype=np.int64)
            batch["attention_mask"] = np.concatenate([seen, batch["attention_mask"]], axis=1)
            batch["position_ids"] += self.shared
        return batch


def common_start(tokens: Ragged) -> int:
    """How many tokens all sequences begin with alike; at least one token of each stays outside."""
    if not len(tokens.lengths):
        return 0
    most = int(tokens.lengths.min()) - 1
    for place in range(most):
        column = tokens.values[tokens.starts + place]
        if (column != column[0]).any():
            return place
    return max(most, 0)


def pad_prompts(prompts: Ragged, pad_id: int, side: str = "right") -> dict[str, np.ndarray]:
    """int64 [rows, longest] `input_ids, attention_mask, position_ids`, and `label_positions` [rows], which counts
    through the flattened batch to each prompt's last token. `side` is where the padding goes."""
    lengths = prompts.lengths
    longest = int(lengths.max())
    start = np.zeros_like(lengths) if side == "right" else longest - lengths
    columns = np.arange(longest)
    mask = (columns >= start[:, None]) & (columns < (start + lengths)[:, None])
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = prompts.flat()
    return {
        "input_ids": ids,
        "attention_mask": mask.astype(np.int64),
        "position_ids": np.maximum(mask.cumsum(axis=1) - 1, 0),
        "label_positions": np.arange(len(lengths)) * longest + start + lengths - 1,
    }


def join_prompts(prompts: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
    """The same without padding: all prompts in one row, positions starting anew with each, which is how
    transformers knows that a prompt must not see the one before."""
    lengths = np.fromiter(map(len, prompts), dtype=np.int64, count=len(prompts))
    return {
        "input_ids": np.concatenate([np.asarray(prompt, dtype=np.int64) for prompt in prompts])[None],
        "position_ids": np.concatenate([np.arange(length) for length in lengths])[None],
        "label_positions": lengths.cumsum() - 1,
    }
