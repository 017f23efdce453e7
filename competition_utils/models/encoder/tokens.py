"""What an encoder sees of a pair: its texts, and which token came from which of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.data.columns import english_query, english_target, hint
from competition_utils.models.scoring.batching import tokenise_pairs
from competition_utils.models.tokens import CUT, FRAME, HINT, QUERY, TARGET, TRANSLATION

DASH, BAR = " – ", " | "
ENGLISH, ORIGINAL, BOTH = "english", "original", "both"


def input_texts(pairs: pd.DataFrame, input_text: str = ENGLISH) -> tuple[pd.Series, pd.Series]:
    """The two texts of each pair: the query with its category hint behind a bar, and the target.

    `input_text` is english (translations, or the originals where there are none), original, or both: `original –
    English` of the query, and the target as it is. Raises KeyError for another.
    """
    translated = pairs["query_en"] != ""
    texts = {
        ENGLISH: english_query(pairs),
        ORIGINAL: pairs["query"],
        BOTH: pairs["query"].where(~translated, pairs["query"] + DASH + pairs["query_en"]),
    }
    hints = hint(pairs)
    query = texts[input_text].where(hints == "", texts[input_text] + BAR + hints)
    return query, english_target(pairs) if input_text == ENGLISH else pairs["target"]


def token_parts(tokenizer: Any, pairs: pd.DataFrame, max_length: int, input_text: str = ENGLISH) -> pd.DataFrame:
    """The tokens of each pair in their order, for looking at a few: `pair` (row number), `token` (its text), `part`.

    `part` is query, translation, hint, target, frame (what the tokenizer adds, and the dash and the bar between texts),
    or cut, for a token that `max_length` keeps from the model.
    """
    inputs = input_texts(pairs, input_text)
    kept = tokenise_pairs(tokenizer, *inputs, max_length)
    originals = pairs["query"].str.len().where((input_text != ENGLISH) | (pairs["query_en"] == ""), 0)
    hinted = hint(pairs)
    without = inputs[0].str.len() - np.where(hinted == "", 0, hinted.str.len() + len(BAR))
    rows = []
    for pair, texts in enumerate(zip(*inputs, strict=True)):
        lengths = (kept.first.lengths[pair], kept.second.lengths[pair])
        ends = (int(originals.iloc[pair]), int(without.iloc[pair]))
        rows += [(pair, token, part) for token, part in _parts(tokenizer, texts, ends, lengths)]
    return pd.DataFrame(rows, columns=["pair", "token", "part"])


def _parts(
    tokenizer: Any, texts: tuple[str, str], ends: tuple[int, int], kept: tuple[int, int]
) -> Iterator[tuple[str, str]]:
    """Token and part of one pair; `ends` says where the original query and all that precedes the hint end in the first
    text."""
    encoded = tokenizer(*texts, return_offsets_mapping=True)
    sides, offsets = encoded.sequence_ids(), encoded["offset_mapping"]
    count, shown = [0, 0], [0, 0]
    for token, side, (start, end) in zip(encoded.tokens(), sides, offsets, strict=True):
        if side is None:
            yield token, FRAME
            continue
        count[side] += 1
        part = TARGET if side == 1 else _part_of_first_text(start, end, *ends)
        # With the blanks before it; a character that is several tokens is shown once.
        yield texts[side][shown[side] : end], CUT if count[side] > kept[side] else part
        shown[side] = max(shown[side], end)


def _part_of_first_text(start: int, end: int, query: int, without_hint: int) -> str:
    if end <= query:
        return QUERY
    if end > without_hint:
        return HINT if start >= without_hint + len(BAR) - 1 else FRAME
    between = query > 0 and start < query + len(DASH) - 1  # a token may hold the blank before its word
    return FRAME if between else TRANSLATION
