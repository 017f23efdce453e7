"""The parts that a token of a model's input can belong to, as notebooks colour them, and words as tokens."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

QUERY, TRANSLATION, HINT, TARGET, CUT = "query", "translation", "hint", "target", "cut"
FRAME = "frame"  # special tokens, instruction, names of lines
PARTS = (QUERY, TRANSLATION, HINT, TARGET, FRAME, CUT)
WORD = r"\w+"
TEXTS = {"query": QUERY, "query_en": TRANSLATION, "target": TARGET}  # column → part


def word_parts(pairs: pd.DataFrame) -> pd.DataFrame:
    """`pair` (row number), `token`, `part`: the words of each pair; what stands between texts belongs to the frame."""
    rows = []
    for number, pair in enumerate(pairs[list(TEXTS)].itertuples(index=False)):
        for text, of in zip(pair, TEXTS.values(), strict=True):
            rows += [(number, word, of) for word in re.findall(WORD, text)] + [(number, " ", FRAME)]
    return pd.DataFrame(rows, columns=["pair", "token", "part"])


def count_words(pairs: pd.DataFrame) -> np.ndarray:
    """int64 [n]: words of each pair, all its texts together."""
    words = [pairs[name].map(lambda text: len(re.findall(WORD, text))) for name in TEXTS]
    return sum(words).to_numpy(np.int64)
