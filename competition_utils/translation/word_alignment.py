"""Words learnt from phrases: which word of one language stands for which of the other.

IBM Model 1 (Brown et al., 1993, "The mathematics of statistical machine translation"), fitted both ways on
the phrase pairs of a lexicon; a pair of words is kept where both directions believe in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from competition_utils.translation.words import function_words, stem, words

ROUNDS = 8
LEAST_BELIEF = 0.2  # in each direction
TOGETHER = 0.6  # of the phrases of a source word, where it stands for two words


def align_words(phrases: Sequence[tuple[Sequence[str], str]], target: str) -> dict[str, str]:
    """Source word → its translation of one or two target words, in their usual order.

    `phrases` are (source words, target text) pairs, the source words as they shall be looked up.
    """
    links = _links(phrases, target)
    if links.empty:
        return {}
    links["forward"] = _model_1(links, given="source", made="target")
    links["backward"] = _model_1(links, given="target", made="source")
    beliefs = links.groupby(["source", "target"], sort=False).agg(
        forward=("forward", "first"),
        backward=("backward", "first"),
        place=("place", "mean"),
        word=("word", "first"),
    )
    beliefs["belief"] = np.sqrt(beliefs["forward"] * beliefs["backward"])
    kept = beliefs[(beliefs["forward"] >= LEAST_BELIEF) & (beliefs["backward"] >= LEAST_BELIEF)].reset_index()
    best = kept.sort_values("belief", ascending=False, kind="stable").groupby("source", sort=False).head(2)
    best = best[_belongs(best, links)]
    return best.sort_values("place", kind="stable").groupby("source", sort=False)["word"].agg(" ".join).to_dict()


def _belongs(best: pd.DataFrame, links: pd.DataFrame) -> pd.Series:
    """A second word counts where it goes with the first in most phrases ("Kabelbaum" → wiring harness); else
    it is another sense of the source word."""
    seen = links.merge(best[["source", "target"]], on=["source", "target"])
    per_phrase = seen.groupby(["source", "phrase"]).size()
    together = (per_phrase > 1).groupby("source").mean()
    first = ~best.duplicated("source")
    return first | (best["source"].map(together) >= TOGETHER)


def _links(phrases: Sequence[tuple[Sequence[str], str]], target: str) -> pd.DataFrame:
    """A row for each source word × target word of a phrase: `phrase, source, target` (stem), `word`,
    `place`.
    """
    rows = []
    dropped = function_words(target)
    for number, (source_words, text) in enumerate(phrases):
        made = [(place, word) for place, word in enumerate(words(text)) if word not in dropped]
        rows += [
            (number, source, stem(word, target), word, place) for source in set(source_words) for place, word in made
        ]
    return pd.DataFrame(rows, columns=["phrase", "source", "target", "word", "place"])


def _model_1(links: pd.DataFrame, *, given: str, made: str) -> np.ndarray:
    """t(made | given) of each link, after a few rounds of expectation–maximisation."""
    pair = links.groupby([given, made], sort=False).ngroup().to_numpy()
    condition = links.groupby(given, sort=False).ngroup().to_numpy()
    token = links.groupby(["phrase", made], sort=False).ngroup().to_numpy()
    belief = np.ones(len(links))
    for _ in range(ROUNDS):
        share = belief / np.bincount(token, belief)[token]
        belief = np.bincount(pair, share)[pair] / np.bincount(condition, share)[condition]
    return belief
