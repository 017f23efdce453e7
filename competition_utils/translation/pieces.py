"""The pieces that a text is translated by, and the order in which the target language has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from competition_utils.translation.words import fold, words

# The noun comes before what describes it ("silla roja"), so a translation made of pieces is turned round …
HEAD_FIRST = frozenset({"ar", "es", "fr", "id", "it", "pl", "pt", "th", "vn"})
# … but what describes it may as well come before: "czarny pojemnik", "pojemnik czarny".
EITHER_ORDER = frozenset({"pl"})


class Piece(NamedTuple):
    """A stretch of a text and what became of it.

    `how`: a key of `lexicon_index.QUALITY`; "kept" (unknown: a brand, a code, a gap of the lexicon); "known" (already a
    word of the target language); "dropped" (a function word between pieces). `meanings`: `target` and what else the
    source may mean; () where that is all.
    """

    source: str
    target: str
    how: str
    meanings: tuple[str, ...] = ()


class Heads:
    """How often a word is the last one of a language's phrases, where English, German or Korean have their noun."""

    def __init__(self, phrases: Iterable[str]):
        split = [found for phrase in dict.fromkeys(phrases) if len(found := words(fold(phrase))) > 1]
        self._last = Counter(found[-1] for found in split)
        self._all = Counter(word for found in split for word in found)

    def share(self, text: str) -> float:
        """Of the text's last word, 0–1; a half for a word that no phrase has."""
        found = words(fold(text))
        return (self._last[found[-1]] + 0.5) / (self._all[found[-1]] + 1) if found else 0.0


def in_order(pieces: Sequence[Piece], source: str, target: str, heads: Heads) -> list[Piece]:
    """The pieces in the order of the target language, dropped ones left out; neighbours that were kept stay in their
    order ("edge 40 pro") when the rest is turned round. `heads` are the target language's."""
    groups: list[list[Piece]] = []
    last = ""
    for piece in pieces:
        if piece.how == "dropped":
            continue
        if piece.how == last == "kept":
            groups[-1].append(piece)
        else:
            groups.append([piece])
        last = piece.how
    turned = (source in HEAD_FIRST) != (target in HEAD_FIRST)
    if turned and source in EITHER_ORDER and groups:
        turned = heads.share(groups[0][-1].target) >= heads.share(groups[-1][-1].target)
    return [piece for group in (reversed(groups) if turned else groups) for piece in group]


def text_of(pieces: Iterable[Piece]) -> str:
    """The translation that pieces make up, in their order."""
    return " ".join(piece.target for piece in pieces)
