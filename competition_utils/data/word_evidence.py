"""What a table's own words reveal about the language of a query: the tags of all other queries with that word.

A tag is wrong now and then, but a word that 200 queries tagged `es` hold and three tagged `en` is Spanish. It
is naive Bayes on words, trained on the tags, where each query is left out of what it is judged by.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from competition_utils.data.columns import split_words, text_array

# A word that no query of a language holds counts as this many, so that it does not rule the language out.
_UNSEEN_QUERIES = 0.05
# A word is of no language when this many queries hold it and no language has this share of its rate.
_NEUTRAL_QUERIES = 20
_NEUTRAL_SHARE = 0.5


@dataclass(frozen=True)
class WordEvidence:
    """`log_likelihood` float32 [texts, languages], 0 for the best language; all 0 where no word is known.
    `wordless` bool [texts]: codes, brands and words that all languages use are all there is."""

    log_likelihood: np.ndarray
    wordless: np.ndarray

    def head(self, texts: int) -> WordEvidence:
        """The evidence on the first texts only; the other texts were needed as examples."""
        return WordEvidence(self.log_likelihood[:texts], self.wordless[:texts])


@cache
def brands() -> frozenset[str]:
    """Names of brands and series that carry no information about the language of a query."""
    lines = files("competition_utils.data").joinpath("brands.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def text_words(texts: pa.Array) -> pd.DataFrame:
    """`text, word` (place of the text, lower-case word), each pair once: the words without digits, of two
    letters or more."""
    words = split_words(texts)
    pairs = pd.DataFrame({"text": pc.list_parent_indices(words), "word": pc.list_flatten(words).to_pandas()})
    is_word = pc.match_substring_regex(text_array(pairs["word"]), r"^[\p{L}\p{M}]{2,}$")
    return pairs[is_word.to_numpy(zero_copy_only=False)].drop_duplicates(ignore_index=True)


def word_evidence(texts: pa.Array, tagged: np.ndarray) -> WordEvidence:
    """Evidence on different texts; `tagged` float32 [texts, languages] is 1 where a text occurs with that
    tag.

    Languages that tag nothing get what a word unseen in an average language gets.
    """
    pairs = text_words(texts)
    text = pairs["text"].to_numpy()
    word, known = pd.factorize(pairs["word"])
    queries = tagged.sum(axis=0)
    by_word = np.stack([np.bincount(word, tag, minlength=len(known)) for tag in tagged[text].T], axis=1)
    languageless = np.isin(known, list(brands())) | _is_neutral(by_word, queries)
    elsewhere = by_word[word] - tagged[text]
    typical = np.where(queries > 0, queries, queries[queries > 0].mean() if queries.any() else 1.0)
    log_rate = np.log((elsewhere + _UNSEEN_QUERIES) / (typical + 1))
    log_rate[elsewhere.sum(axis=1) == 0] = 0
    total = np.stack([np.bincount(text, rate, minlength=len(texts)) for rate in log_rate.T], axis=1)
    total -= total.max(axis=1, keepdims=True)
    own_words = np.bincount(text[~languageless[word]], minlength=len(texts))
    return WordEvidence(total.astype(np.float32), own_words == 0)


def _is_neutral(by_word: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Frequent words that belong to no language (led, kit, a made-up brand)."""
    rate = by_word / np.maximum(queries, 1)
    top_share = rate.max(axis=1) / np.maximum(rate.sum(axis=1), 1e-12)
    return (by_word.sum(axis=1) >= _NEUTRAL_QUERIES) & (top_share < _NEUTRAL_SHARE)
