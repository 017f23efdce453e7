"""Translation with a lexicon: whole phrases first, then the longest pieces; unknown pieces are kept as they are."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from competition_utils.errors import UserError
from competition_utils.progress import progress
from competition_utils.storage import hash_file
from competition_utils.translation.interface import Translation, Translator
from competition_utils.translation.lexicon_file import LONGEST_TEXT, read_lexicon
from competition_utils.translation.lexicon_index import COMPOUNDING, QUALITY, LexiconIndex, Match, split_word
from competition_utils.translation.pieces import Heads, Piece, in_order, text_of
from competition_utils.translation.words import (
    TONAL,
    SpellingIndex,
    fold,
    function_words,
    has_accents,
    may_cut,
    stem,
    unaccent,
    words,
)

LEAST_SURE = 0.6  # below it a language is not recognised by its words
PIECE_COST = 0.1  # in words: of two ways to cover a text the one with fewer pieces wins …
QUALITY_SHARE = 0.2  # … unless its pieces are much less sure
LETTER_PIECE_COST = 0.5  # in characters, for unsegmented scripts
MOST_PARTS = 3
LONGEST_PHRASE = 100  # words, or characters of an unsegmented script, that are looked up as one


class LexiconTranslator(Translator):
    """Translator over `source_lang, source_text, target_lang, target_text` rows; only direct directions are
    used.
    """

    engine: ClassVar[str] = "lexicon"

    def __init__(self, lexicon: pd.DataFrame, model: str = "lexicon"):
        self.model = model
        self._pairs = {
            (str(source), str(target)): list(zip(rows["source_text"], rows["target_text"], strict=True))
            for (source, target), rows in lexicon.groupby(["source_lang", "target_lang"], sort=False)
        }
        self._spellings: dict[str, SpellingIndex] = {}
        self._indexes: dict[tuple[str, str, bool], LexiconIndex] = {}
        self._heads: dict[str, Heads] = {}

    @classmethod
    def from_file(cls, path: Path | str) -> LexiconTranslator:
        """Read a lexicon, tab-separated with a header, gzipped or not; UserError says what is wrong with it."""
        pairs = read_lexicon(Path(path))
        return cls(pairs, model=hash_file(path)[:16])

    def supports(self, source: str, target: str) -> bool:
        return (source, target) in self._pairs

    @property
    def directions(self) -> list[tuple[str, str]]:
        return list(self._pairs)

    def translate(self, texts: Sequence[str], source: str, target: str) -> Translation:
        """See `Translator`; the confidence is the share of a text's letters found, weighted by how they
        were.
        """
        self._check_direction(source, target)
        if long := sum(len(text) > LONGEST_TEXT for text in texts):
            warnings.warn(f"texts of over {LONGEST_TEXT:,} characters, left untranslated: {long:,}", stacklevel=2)
        done: dict[str, tuple[str, float]] = {}
        for text in progress(dict.fromkeys(texts), what=f"lexicon {source}→{target}", unit="texts"):
            pieces = self.explain(text, source, target)
            sure = _confidence(pieces)
            done[text] = (text_of(self._in_order(pieces, source, target)) if sure else text, sure)
        return [done[text][0] for text in texts], np.array([done[text][1] for text in texts], dtype=np.float32)

    def explain(self, text: str, source: str, target: str) -> list[Piece]:
        """The pieces a text is translated by, in the order of the text."""
        return cut_into_pieces(text, self._index(source, target, by_accents=source in TONAL and has_accents(text)))

    def pieces_of_several_meanings(self, text: str, source: str, target: str) -> list[Piece] | None:
        """See `Translator`."""
        if not self.supports(source, target) or len(text) > LONGEST_TEXT:
            return None
        index = self._index(source, target, by_accents=source in TONAL and has_accents(text))
        if not index.may_have_several([fold(word) for word in words(text)]):
            return None
        pieces = cut_into_pieces(text, index)
        return self._in_order(pieces, source, target) if any(piece.meanings for piece in pieces) else None

    def known_pairs(self, target: str) -> pd.DataFrame:
        into = {source: pairs for (source, made), pairs in self._pairs.items() if made == target}
        rows = [(source, *pair) for source, pairs in into.items() for pair in pairs]
        return pd.DataFrame(rows, columns=["source_lang", "source_text", "target_text"], dtype="str")

    def guess_language(self, texts: Sequence[str], target: str) -> list[str]:
        """Per text the language most of its words are in; "" where the words of `target` explain it as
        well.
        """
        guesses = [""] * len(texts)
        best = np.array([self._share_known(text, target) for text in texts], dtype=np.float32)
        best = np.maximum(best, LEAST_SURE)
        for source, made in self._pairs:
            open_ = np.flatnonzero(best < 1)
            if made != target or not len(open_):
                continue
            _, sure = self.translate([texts[i] for i in open_], source, target)
            for place, confidence in zip(open_, sure, strict=True):
                if confidence > best[place]:
                    best[place], guesses[place] = confidence, source
        return guesses

    def _share_known(self, text: str, target: str) -> float:
        """Share of a text's words that are words of `target`; a misspelt one counts, a code does not."""
        if len(text) > LONGEST_TEXT:
            return 1.0
        spelling = self._spelling(target)
        asked = [unaccent(word) for word in words(fold(text)) if not _is_code(word)]
        known = sum(spelling.knows(word) or spelling.correct(word) is not None for word in asked)
        return known / len(asked) if asked else 1.0

    def _in_order(self, pieces: list[Piece], source: str, target: str) -> list[Piece]:
        if target not in self._heads:
            self._heads[target] = Heads(self.known_pairs(target)["target_text"])
        return in_order(pieces, source, target, self._heads[target])

    def _spelling(self, language: str) -> SpellingIndex:
        """All words that the lexicon has in a language, with its function words."""
        if language not in self._spellings:
            texts = {text for (_, made), rows in self._pairs.items() if made == language for _, text in rows}
            counts = Counter(unaccent(word) for text in texts for word in words(fold(text)))
            counts.update(function_words(language))
            self._spellings[language] = SpellingIndex(counts, language)
        return self._spellings[language]

    def _check_direction(self, source: str, target: str) -> None:
        if not self.supports(source, target):
            raise UserError(f"lexicon: expected a direction it holds, found {source}→{target}.")

    def _index(self, source: str, target: str, *, by_accents: bool) -> LexiconIndex:
        self._check_direction(source, target)
        key = source, target, by_accents
        if key not in self._indexes:
            self._indexes[key] = LexiconIndex(source, target, self._pairs[source, target], by_accents=by_accents)
        return self._indexes[key]


def _confidence(pieces: Sequence[Piece]) -> float:
    """Letters found, weighted by how, over letters that should be; numbers, codes and target words ask
    nothing.
    """
    asked = [piece for piece in pieces if piece.how in QUALITY or (piece.how == "kept" and not _is_code(piece.source))]
    letters = sum(len(piece.source) for piece in asked)
    found = sum(len(piece.source) * QUALITY.get(piece.how, 0.0) for piece in asked)
    return found / letters if letters else 0.0


def _is_code(word: str) -> bool:
    return any(letter.isdigit() for letter in word)


def cut_into_pieces(text: str, index: LexiconIndex) -> list[Piece]:
    """The pieces of a text in its order; they cover all its words. A text over LONGEST_TEXT is one piece, kept."""
    if len(text) > LONGEST_TEXT:
        return [Piece(text, text, "kept")]
    given = words(text)
    if not given:
        return []
    if index.unsegmented:
        return _cut_unsegmented(given, index)
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
        Piece(" ".join(given[start:stop]), found.text, found.how, index.meanings(tuple(spelled[start:stop])))
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


def _cut_unsegmented(given: list[str], index: LexiconIndex) -> list[Piece]:
    folded = [fold(word) for word in given]
    if (found := index.look_up_unsegmented("".join(folded))) is not None:
        return [Piece(" ".join(given), found.text, found.how, index.meanings(("".join(folded),)))]
    return [piece for word, chunk in zip(given, folded, strict=True) for piece in _cut_chunk(word, chunk, index)]


def _cut_chunk(given: str, chunk: str, index: LexiconIndex) -> list[Piece]:
    if (found := index.look_up_unsegmented(chunk)) is not None:
        return [Piece(given, found.text, found.how, index.meanings((chunk,)))]
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
            pieces.append(Piece(chunk[start:stop], found.text, found.how, index.meanings((chunk[start:stop],))))
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
