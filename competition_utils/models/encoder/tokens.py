"""What an encoder sees of a pair: its texts, and which token came from which of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from competition_utils.models.scoring.batching import tokenise_pairs
from competition_utils.models.tokens import CUT, FRAME, QUERY, TARGET, TRANSLATION

DASH = " – "


def input_texts(pairs: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """The two texts of each pair: `original – English` (the original alone without a translation), and the target."""
    translated = pairs["query_en"] != ""
    return pairs["query"].where(~translated, pairs["query"] + DASH + pairs["query_en"]), pairs["target"]


def token_parts(tokenizer: Any, pairs: pd.DataFrame, max_length: int) -> pd.DataFrame:
    """The tokens of each pair in their order, for looking at a few: `pair` (row number), `token` (its text), `part`.

    `part` is query, translation, target, frame (what the tokenizer adds, and the dash before a translation), or
    cut, for a token that `max_length` keeps from the model.
    """
    kept = tokenise_pairs(tokenizer, *input_texts(pairs), max_length)
    rows = []
    for pair, texts in enumerate(zip(*input_texts(pairs), strict=True)):
        lengths = (kept.first.lengths[pair], kept.second.lengths[pair])
        query = len(pairs["query"].iloc[pair])
        rows += [(pair, token, part) for token, part in _parts(tokenizer, texts, query, lengths)]
    return pd.DataFrame(rows, columns=["pair", "token", "part"])


def _parts(tokenizer: Any, texts: tuple[str, str], query: int, kept: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """Token and part of one pair; `query` is the length of the original query in characters."""
    encoded = tokenizer(*texts, return_offsets_mapping=True)
    sides, offsets = encoded.sequence_ids(), encoded["offset_mapping"]
    count, shown = [0, 0], [0, 0]
    for token, side, (start, end) in zip(encoded.tokens(), sides, offsets, strict=True):
        if side is None:
            yield token, FRAME
            continue
        count[side] += 1
        part = TARGET if side == 1 else _part_of_first_text(start, end, query)
        # With the blanks before it; a character that is several tokens is shown once.
        yield texts[side][shown[side] : end], CUT if count[side] > kept[side] else part
        shown[side] = max(shown[side], end)


def _part_of_first_text(start: int, end: int, query: int) -> str:
    if end <= query:
        return QUERY
    return TRANSLATION if start >= query + len(DASH) - 1 else FRAME  # a token may hold the blank before its word
