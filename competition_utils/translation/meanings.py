"""Word-sense disambiguation by the pair: of a lexicon's translations of a word, a query reads the one that its target
names, and a title in another language the one in its query.

"vàng" is gold and yellow, "anhänger" a pendant and a charm. Taken alone a query says nothing of which is meant; beside
a yellow lamp it means yellow. So the English of a query may differ from pair to pair.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from competition_utils.data.columns import english_query, english_target
from competition_utils.progress import progress
from competition_utils.translation.interface import Translator
from competition_utils.translation.pieces import Piece, text_of
from competition_utils.translation.titles import language_if_foreign
from competition_utils.translation.words import fold, stem, words

ENGLISH = "en"
READ = ["language", "text", "english"]


def disambiguate(pairs: pd.DataFrame, translator: Translator | None) -> pd.DataFrame:
    """Pairs (`language, query, query_en, target, target_en`); `query_en` and `target_en` as the other text has them.

    Texts of one meaning stay, and those that were read in another language than this finds. A row depends on itself
    alone.
    """
    if translator is None:
        return pairs
    beside = english_target(pairs) + " " + pairs["target"]
    texts = {"language": pairs["language"], "text": pairs["query"], "english": pairs["query_en"], "beside": beside}
    pairs = pairs.assign(query_en=_read_beside(pd.DataFrame(texts), translator))
    foreign = pairs[pairs["target_en"] != ""]
    languages = language_if_foreign(foreign["target"])
    texts = {"language": languages, "text": foreign["target"], "english": foreign["target_en"]}
    titles = _read_beside(pd.DataFrame({**texts, "beside": english_query(foreign)}), translator)
    english = pairs["target_en"].to_numpy(object, copy=True)
    english[pairs["target_en"] != ""] = titles.to_numpy()
    return pairs.assign(target_en=pd.array(english, dtype="str"))


def _read_beside(texts: pd.DataFrame, translator: Translator) -> pd.Series:
    """`english` of texts (`language, text, english, beside`), with the meanings of which most stands in `beside`."""
    readings = _readings(texts, translator)
    several = pd.MultiIndex.from_frame(texts[READ]).isin(list(readings)) if readings else np.zeros(len(texts), bool)
    asked = texts[several]
    different = asked.drop_duplicates()
    new = [text_of(_named(readings[tuple(read)], beside)) for *read, beside in different.itertuples(index=False)]
    english = texts["english"].to_numpy(object, copy=True)
    english[several] = asked.merge(different.assign(new=new), on=list(asked), how="left")["new"].to_numpy()
    return pd.Series(english, index=texts.index, dtype="str")


def _readings(texts: pd.DataFrame, translator: Translator) -> dict[tuple[str, str, str], list[Piece]]:
    """The pieces of each different text that may mean several things, by `READ`."""
    asked = texts[(texts["english"] != "") & ~texts["language"].isin(["", ENGLISH])]
    different = asked[READ].drop_duplicates()
    bar = progress(
        different.itertuples(index=False), total=len(different), what="words of several meanings", unit="texts"
    )
    found = {}
    for language, text, english in bar:
        pieces = translator.pieces_of_several_meanings(text, language, ENGLISH)
        if pieces is not None and text_of(pieces) == english:
            found[language, text, english] = pieces
    return found


def _named(pieces: list[Piece], beside: str) -> list[Piece]:
    """The pieces, each with the meaning of which most stands in `beside`; of equals the one it had."""
    there = _stems(beside)

    def share(meaning: str) -> float:
        asked = _stems(meaning)
        return len(asked & there) / max(len(asked), 1)

    return [piece._replace(target=max((piece.target, *piece.meanings), key=share)) for piece in pieces]


def _stems(text: str) -> set[str]:
    return {stem(word, ENGLISH) for word in words(fold(text))}
