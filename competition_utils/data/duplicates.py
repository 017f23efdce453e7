"""Rows that say the same thing twice, or two things at once: found, shown, and resolved by a stated rule."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from competition_utils.data.columns import over_unique

# Letters that differ from their plain form by more than a combining mark.
_PLAIN_LETTERS = {"ß": "ss", "đ": "d", "ł": "l", "ø": "o", "ı": "i", "æ": "ae", "œ": "oe"}


def _fold_letters(texts: pa.Array) -> pa.Array:
    texts = pc.utf8_lower(pc.utf8_normalize(texts, "NFKD"))
    # Latin and Greek accents only: Thai vowels and the marks of kana are combining marks that tell words
    # apart.
    texts = pc.replace_substring_regex(texts, r"[\x{300}-\x{36f}]+", "")
    for letter, plain in _PLAIN_LETTERS.items():
        texts = pc.replace_substring(texts, letter, plain)
    return pc.utf8_normalize(texts, "NFC")


def near_key(texts: pd.Series) -> pd.Series:
    """A key that near-duplicates share: letter case, accents, blanks and punctuation do not count.

    "Café-Tisse  2x" and "cafe tisse 2X" have one key. A text without any letter or digit is its own key.
    """

    def key(unique: pa.Array) -> pa.Array:
        folded = pc.replace_substring_regex(_fold_letters(unique), r"[^\p{L}\p{M}\p{N}]+", "")
        return pc.if_else(pc.equal(folded, ""), unique, folded)

    return over_unique(texts, key)
