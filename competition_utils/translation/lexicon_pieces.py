"""Cutting a text into pieces that a lexicon knows: the cut that covers most with the fewest pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from competition_utils.translation.lexicon_index import QUALITY, LexiconIndex, Match
from competition_utils.translation.phrase_parts import COMPOUNDING, split_word
from competition_utils.translation.words import fold, function_words, may_cut, stem, words

PIECE_COST = 0.1  # in words: of two ways to cover a text the one with fewer pieces wins …
QUALITY_SHARE = 0.2  # … unless its pieces are much less sure
LETTER_PIECE_COST = 0.5  # in characters, for scripts without blanks
MOST_PARTS = 3
LONGEST_TEXT = 2_000  # characters; a longer one is no query or title, and stays as it is
LONGEST_PHRASE = 100  # words, or characters of a script without blanks, that are looked up as one


class Piece(NamedTuple):
    """A stretch of a text and what became of it.

    `how`: a key of `QUALITY`; "kept" (unknown: a brand, a code, a gap of the lexicon); "known" (already a
    word of the target language); "dropped" (a function word between pieces).
    """

    source: str
    target: str
    how: str


def cut_into_pieces(text: str, index: LexiconIndex) -> list[Piece]:
    """The pieces of a text in its order; they cover all its words. A text over LONGEST_TEXT is one piece, kept."""
    if len(text) > LONGEST_TEXT:
        return [Piece(text, text, "kept")]
    given = words(text)
    if not given:
        return []
    if index.blankless:
        return _cut_blankless(given, index)
    return _cut_words(given, index)


def _cut_words(given: list[str], index: LexiconIndex) -> list[Piece]:
    folded = [fold(word) for word in given]
    spelled = [_respell(word, index) for word in folded]

    def match(start: int, stop: int) -> Match | None:
        if not index.content(folded[start:stop]):
            return None
        found = index.look_up(tuple(spelled[start:stop]))
        if found is None and stop - start == 1:
            found = _match_word(spelled[start], index)
        if found is not None and spelled[start:stop] != folded[start:stop]:
            return Match(found.text, "typo" if QUALITY[found.how] > QUALITY["typo"] else found.how)
        return found

    def worth(start: int, stop: int, found: Match) -> float:
        sure = 1 - QUALITY_SHARE * (1 - QUALITY[found.how])
        return sure * len(index.content(folded[start:stop])) - PIECE_COST

    spans = _best_cut(len(given), min(index.longest, LONGEST_PHRASE), match, worth)
    return [
        Piece(" ".join(given[start:stop]), found.text, found.how)
        if found
        else _unmatched(given[start], folded[start], index)
        for start, stop, found in spans
    ]


def _respell(word: str, index: LexiconIndex) -> str:
    if index.knows(word) or stem(word, index.target) in index.target_words:
        return word
    if index.source in COMPOUNDING and _match_compound(word, index):
        return word
    return index.correct(word) or word


def _unmatched(given: str, folded: str, index: LexiconIndex) -> Piece:
    if folded in function_words(index.source):
        return Piece(given, "", "dropped")
    known = stem(folded, index.target) in index.target_words
    return Piece(given, given, "known" if known and not index.knows(folded) else "kept")


def _match_word(word: str, index: LexiconIndex) -> Match | None:
    if (found := index.look_up_word(word)) is not None:
        return found
    return _match_compound(word, index) if index.source in COMPOUNDING else None


def _match_compound(word: str, index: LexiconIndex) -> Match | None:
    """A compound whose parts are all known words ("drucker" + "trommeln")."""
    parts = _parts(word, index, MOST_PARTS)
    return Match(" ".join(parts), "compound") if parts and len(parts) > 1 else None


def _parts(word: str, index: LexiconIndex, most: int) -> list[str] | None:
    if (found := index.look_up((word,)) or index.look_up_word(word)) is not None:
        return [found.text]
    if most == 1:
        return None
    for one, other in split_word(word, index.source):
        head = index.look_up((one,)) or index.look_up_word(one)
        if head and (rest := _parts(other, index, most - 1)):
            return [head.text, *rest]
    return None


def _cut_blankless(given: list[str], index: LexiconIndex) -> list[Piece]:
    folded = [fold(word) for word in given]
    if (found := index.look_up_blankless("".join(folded))) is not None:
        return [Piece(" ".join(given), found.text, found.how)]
    return [piece for word, chunk in zip(given, folded, strict=True) for piece in _cut_chunk(word, chunk, index)]


def _cut_chunk(given: str, chunk: str, index: LexiconIndex) -> list[Piece]:
    if (found := index.look_up_blankless(chunk)) is not None:
        return [Piece(given, found.text, found.how)]
    cuts = [may_cut(chunk, place) for place in range(len(chunk) + 1)]

    def match(start: int, stop: int) -> Match | None:
        if not (cuts[start] and cuts[stop]):
            return None
        part = chunk[start:stop]
        if part in function_words(index.source):
            return Match("", "dropped")
        return index.look_up((part,))

    def worth(start: int, stop: int, found: Match) -> float:
        return QUALITY.get(found.how, 0.1) * (stop - start) - LETTER_PIECE_COST * (found.how != "dropped")

    pieces: list[Piece] = []
    for start, stop, found in _best_cut(len(chunk), min(index.longest, LONGEST_PHRASE), match, worth):
        if found:
            pieces.append(Piece(chunk[start:stop], found.text, found.how))
        elif pieces and pieces[-1].how == "kept":
            pieces[-1] = Piece(*(2 * (pieces[-1].source + chunk[start:stop],)), "kept")
        else:
            pieces.append(Piece(chunk[start:stop], chunk[start:stop], "kept"))
    return pieces


def _best_cut(
    length: int,
    longest: int,
    match: Callable[[int, int], Match | None],
    worth: Callable[[int, int, Match], float],
) -> list[tuple[int, int, Match | None]]:
    """Dynamic programming over cuts of `length` units: spans with their match, None for single unmatched
    units.
    """
    best: list[tuple[float, int, Match | None]] = [(0.0, 0, None)] * (length + 1)
    for start in range(length - 1, -1, -1):
        best[start] = (best[start + 1][0], start + 1, None)
        for stop in range(start + 1, min(length, start + longest) + 1):
            found = match(start, stop)
            if found is not None and (gain := worth(start, stop, found) + best[stop][0]) > best[start][0]:
                best[start] = (gain, stop, found)
    spans = []
    start = 0
    while start < length:
        _, stop, found = best[start]
        spans.append((start, stop, found))
        start = stop
    return spans
