"""Whether a query names its target's category, and if not, whether the lexicon would have known that name.

Who knows the words for many things takes an unknown word for none of them: the mutual exclusivity of word learning
(Markman and Wachtel 1988). A lexicon with a German word for "vases" would have read it in a German query; so one in
which it reads something else, or nothing, hardly asks for vases. A name that the lexicon lacks it may well mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from competition_utils.category_tree.titles import singular
from competition_utils.storage import read_parquet, write_parquet
from competition_utils.translation.words import fold, function_words, words

ENGLISH = "en"
# All words of the name stand in the query's English; some do, and the lexicon lacks the name (`possible`) or has it
# (`partly`); none does, and it lacks the name (`unlisted`) or has it (`unnamed`). Of taxobench's QC the earlier are
# the more often relevant, and of several names of a title the earliest counts.
NAMED, POSSIBLE, PARTLY, UNLISTED, UNNAMED = STATES = ("named", "possible", "partly", "unlisted", "unnamed")
NONE = "none"  # where a title names no category
ANY = "any"  # some language of the lexicon


class ListedNames:
    """The names that a lexicon has for each language: `language, name` (English), each different one once.

    An English query needs no lexicon to be read: every name counts as listed for it.
    """

    def __init__(self, listed: pd.DataFrame):
        self.listed = listed[["language", "name"]].drop_duplicates(ignore_index=True)
        self._keys = pd.MultiIndex.from_arrays([self.listed["language"], _keys(self.listed["name"])]).unique()

    @classmethod
    def of_pairs(cls, pairs: pd.DataFrame) -> ListedNames:
        """What `Translator.known_pairs` knows in English: `source_lang, source_text, target_text`."""
        return cls(pd.DataFrame({"language": pairs["source_lang"], "name": pairs["target_text"].str.lower()}))

    def save(self, path: Path) -> None:
        """Write a parquet file of `language, name`."""
        write_parquet(path, self.listed)

    @classmethod
    def load(cls, path: Path) -> ListedNames:
        """What `save` wrote. Raises DamagedFile for anything else."""
        return cls(read_parquet(path, need=["language", "name"]))

    def states(self, queries: pd.DataFrame, rows: np.ndarray, names: pd.Series) -> np.ndarray:
        """str [n], a word of `STATES` for each query, by the names of its target, see `compare`; NONE for a query whose
        target has no name."""
        share, listed = self.compare(queries, rows, names)
        state = np.select(
            [share == 1, (share > 0) & ~listed, share > 0, ~listed],
            [STATES.index(state) for state in (NAMED, POSSIBLE, PARTLY, UNLISTED)],
            STATES.index(UNNAMED),
        )
        first = np.full(len(queries), len(STATES))
        np.minimum.at(first, rows, state)
        return np.array([*STATES, NONE], dtype=object)[first]

    def missed(self, queries: pd.DataFrame, rows: np.ndarray, names: pd.Series) -> np.ndarray:
        """float32, 0 to 1 for each name: the share of its words that its query would hold if it meant the name; 0 for a
        name that is not listed."""
        share, listed = self.compare(queries, rows, names)
        return np.where(listed, 1 - share, 0).astype(np.float32)

    def compare(self, queries: pd.DataFrame, rows: np.ndarray, names: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """Queries `language, english, translated`, and names, each with the row of its query by position: the share of
        each name's words that stands in the query's English, and whether the name is listed for its language."""
        query, texts = pd.factorize(queries["english"])
        name, different = pd.factorize(names)
        vocabulary = pd.Index(sorted({word for text in different for word in _words(text)}))
        said, asked = _count(texts, vocabulary), _count(different, vocabulary)
        common = np.asarray(said[query[rows]].multiply(asked[name]).sum(axis=1)).ravel()
        length = np.maximum(np.asarray(asked.sum(axis=1)).ravel(), 1)[name]
        # a query under another language's tag was read in some language of the lexicon
        elsewhere = queries["translated"] & ~queries["language"].isin(self._keys.get_level_values(0))
        language, languages = pd.factorize(queries["language"].mask(elsewhere, ANY))
        return common / length, self._listed(languages, different)[language[rows], name]

    def _listed(self, languages: Iterable[str], names: pd.Index) -> np.ndarray:
        """bool [languages, names]."""
        keys = _keys(pd.Series(names))
        known = [pd.MultiIndex.from_product([[language], keys]).isin(self._keys) for language in languages]
        anywhere = keys.isin(self._keys.get_level_values(1)).to_numpy()
        every = {ENGLISH: np.ones(len(keys), dtype=bool), ANY: anywhere}
        rows = [every.get(language, row) for language, row in zip(languages, known, strict=True)]
        return np.array(rows, dtype=bool).reshape(len(rows), len(keys))


@lru_cache(2**16)
def _words(text: str) -> tuple[str, ...]:
    """The different words of an English text in the singular, sorted; without function words."""
    return tuple(sorted({singular(word) for word in words(fold(text)) if word not in function_words(ENGLISH)}))


def _keys(names: pd.Series) -> pd.Series:
    """Names as the same text in singular and plural, and in any order of their words."""
    codes, different = pd.factorize(names)
    return pd.Series(np.array([" ".join(_words(name)) for name in different], dtype=object)[codes], dtype="str")


def _count(texts: Iterable[str], vocabulary: pd.Index) -> csr_matrix:
    """float32 [texts, vocabulary]: 1 for each word that a text holds."""
    held = [_words(text) for text in texts]
    row = np.repeat(np.arange(len(held)), [len(of_text) for of_text in held])
    column = vocabulary.get_indexer(list(chain.from_iterable(held)))
    row, column = row[column >= 0], column[column >= 0]
    return csr_matrix((np.ones(len(row), dtype=np.float32), (row, column)), shape=(len(held), len(vocabulary)))
