"""Pairs to padded batches without waste: unique texts tokenised once, sorted by length, batches by token budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from competition_utils.models.scoring.ragged import Ragged
from competition_utils.models.scoring.word_tokens import tokens_of


@dataclass(frozen=True)
class PairFrame:
    """The special tokens that a tokenizer puts before, between and behind the two texts of a pair."""

    before: list[int]
    between: list[int]
    behind: list[int]
    type_ids: tuple[int, int] | None

    @classmethod
    def of(cls, tokenizer) -> PairFrame:
        """Read off from the tokenizer itself, so that any encoder's layout is right."""
        encoded = tokenizer("a", "b")
        owner = np.array([-1 if part is None else part for part in encoded.sequence_ids(0)])
        ids = encoded["input_ids"]
        first, second = np.flatnonzero(owner == 0), np.flatnonzero(owner == 1)
        types = encoded.get("token_type_ids")
        return cls(
            before=ids[: first[0]],
            between=ids[first[-1] + 1 : second[0]],
            behind=ids[second[-1] + 1 :],
            type_ids=None if types is None else (types[first[0]], types[second[0]]),
        )

    def __len__(self) -> int:
        return len(self.before) + len(self.between) + len(self.behind)


@dataclass(frozen=True)
class TokenisedPairs:
    """Tokens of n pairs, still unpadded. `lengths` [n] counts special tokens too."""

    first: Ragged
    second: Ragged
    frame: PairFrame
    pad_id: int

    @property
    def lengths(self) -> np.ndarray:
        return self.first.lengths + self.second.lengths + len(self.frame)

    def take(self, rows: np.ndarray) -> TokenisedPairs:
        return TokenisedPairs(self.first.take(rows), self.second.take(rows), self.frame, self.pad_id)

    def padded(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """`input_ids`, `attention_mask` and, where the model knows them, `token_type_ids`: int64 [rows, longest]."""
        part, frame = self.take(rows), self.frame
        lengths = part.lengths[:, None]
        place = np.arange(int(lengths.max()))
        first_end = len(frame.before) + part.first.lengths[:, None]
        second = first_end + len(frame.between)
        second_end = second + part.second.lengths[:, None]
        ids = np.full((len(rows), len(place)), self.pad_id, dtype=np.int64)
        ids[:, : len(frame.before)] = frame.before
        ids[(place >= len(frame.before)) & (place < first_end)] = part.first.flat()
        ids[(place >= second) & (place < second_end)] = part.second.flat()
        for start, tokens in ((first_end, frame.between), (second_end, frame.behind)):
            np.put_along_axis(ids, start + np.arange(len(tokens)), np.array([tokens]), axis=1)
        batch = {"input_ids": ids, "attention_mask": (place < lengths).astype(np.int64)}
        if frame.type_ids is not None:
            in_second = (place >= second) & (place < lengths)
            batch["token_type_ids"] = np.where(in_second, frame.type_ids[1], frame.type_ids[0])
        return batch


def _tokens_of_unique(tokenizer, texts: pd.Series) -> tuple[np.ndarray, Ragged]:
    codes, unique = pd.factorize(texts)
    return codes, tokens_of(tokenizer.backend_tokenizer, pa.array(unique, pa.large_string()))


def tokenise_pairs(tokenizer, first: pd.Series, second: pd.Series, max_length: int) -> TokenisedPairs:
    """Tokenise the unique texts of both sides once, word by word where that is exact, and pair them up by index.

    What is longer than `max_length` loses the end of its second text; the first text is cut only where it alone
    takes more than half of the place. Text without missing values is expected.
    """
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    frame = PairFrame.of(tokenizer)
    free = max_length - len(frame)
    first_codes, first_tokens = _tokens_of_unique(tokenizer, first)
    second_codes, second_tokens = _tokens_of_unique(tokenizer, second)
    left, right = first_tokens.take(first_codes), second_tokens.take(second_codes)
    left = left.cut(np.maximum(free // 2, free - right.lengths))
    return TokenisedPairs(left, right.cut(free - left.lengths), frame, tokenizer.pad_token_id)


def batches_by_budget(lengths: np.ndarray, token_budget: int) -> list[np.ndarray]:
    """Row numbers in batches, longest rows first; rows × longest row of a batch stays within `token_budget`.

    A row longer than the budget gets a batch of its own. Longest first, so that a batch which does not fit into
    memory fails at the start and not an hour later.
    """
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        size = max(1, token_budget // max(1, int(lengths[order[start]])))
        batches.append(order[start : start + size])
        start += size
    return batches
