"""One direction of a lexicon, indexed: phrases at four degrees of likeness, and words with one slip of the
finger.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from competition_utils.translation.phrase_parts import learn_parts
from competition_utils.translation.spelling import SpellingIndex
from competition_utils.translation.word_alignment import align_words
from competition_utils.translation.words import BLANKLESS, fold, function_words, stem, unaccent, words

# How far a match found in a way may be trusted; the order is the order of the look-ups.
QUALITY = {
    "exact": 1.0,
    "unaccented": 0.98,
    "stem": 0.95,
    "set": 0.9,
    "part": 0.85,
    "typo": 0.8,
    "compound": 0.75,
    "aligned": 0.6,
}


class Match(NamedTuple):
    """A translation and the way it was found (a key of `QUALITY`)."""

    text: str
    how: str


class LexiconIndex:
    """Look-up of phrases of `source`, made from the lexicon's pairs of one direction."""

    def __init__(self, source: str, target: str, pairs: Sequence[tuple[str, str]]):
        self.source = source
        self.target = target
        self.blankless = source in BLANKLESS
        self._function = function_words(source)
        phrases = [(self.units(fold(phrase)), " ".join(fold(text).split())) for phrase, text in pairs]
        phrases = [(units, text) for units, text in phrases if units and text]
        self._tables = self._index(phrases) | {"part": {}}
        self.longest = max((len(units[0]) if self.blankless else len(units) for units, _ in phrases), default=1)
        self.target_words = {stem(word, target) for _, text in phrases for word in words(text)}
        counts = Counter(word if self.blankless else unaccent(word) for units, _ in phrases for word in units)
        self._spelling = SpellingIndex(counts, source)
        self._learn(phrases)

    def _learn(self, phrases: Sequence[tuple[tuple[str, ...], str]]) -> None:
        """Learn from the phrases what their parts and words mean."""

        def look_up(units: tuple[str, ...]) -> str | None:
            found = self.look_up(units)
            return None if found is None else found.text

        for learnt in learn_parts(phrases, self.source, self.target, look_up, self._stems):
            self._tables["part"].update(learnt)
        content = [
            ([stem(word, self.source) for word in self.content(units)], text)
            for units, text in phrases
            if not self.blankless
        ]
        self._tables["aligned"] = align_words(content, self.target)

    def units(self, folded: str) -> tuple[str, ...]:
        """The words of a phrase; in a script without blanks, the phrase in one."""
        found = words(folded)
        return ("".join(found),) if self.blankless and found else tuple(found)

    def content(self, units: Iterable[str]) -> tuple[str, ...]:
        """The words that carry meaning: function words left out."""
        return tuple(word for word in units if word not in self._function)

    def knows(self, word: str) -> bool:
        """Whether a folded word occurs in any phrase of the source language, whatever its ending."""
        return self._spelling.knows(word)

    def correct(self, word: str) -> str | None:
        """The known word that a folded word is one slip away from, if it is not known itself."""
        return self._spelling.correct(unaccent(word))

    def look_up(self, units: tuple[str, ...]) -> Match | None:
        """The translation of a phrase as a whole, found in the most trusted way there is."""
        for how, key in self._keys(units):
            if (text := self._tables[how].get(key)) is not None:
                return Match(text, how)
        text = self._tables["part"].get(self._stems(units))
        return None if text is None else Match(text, "part")

    def look_up_blankless(self, phrase: str) -> Match | None:
        """The translation of a phrase without blanks, as it stands or one slip away."""
        if (found := self.look_up((phrase,))) is not None:
            return found
        known = self._spelling.correct(phrase)
        return None if known is None else Match(self.look_up((known,)).text, "typo")

    def look_up_word(self, word: str) -> Match | None:
        """The translation of one word that is no phrase of its own, learnt from the phrases it occurs in."""
        text = self._tables["aligned"].get(stem(word, self.source))
        return None if text is None else Match(text, "aligned")

    def _stems(self, units: tuple[str, ...]) -> tuple[str, ...]:
        return units if self.blankless else tuple(stem(word, self.source) for word in units)

    def _keys(self, units: tuple[str, ...]) -> Iterator[tuple[str, object]]:
        yield "exact", units
        if self.blankless:
            return
        yield "unaccented", tuple(map(unaccent, units))
        yield "stem", self._stems(units)
        if content := self.content(units):
            yield "set", frozenset(stem(word, self.source) for word in content)

    def _index(self, phrases: Sequence[tuple[tuple[str, ...], str]]) -> dict[str, dict]:
        counted: dict[str, dict] = {how: defaultdict(Counter) for how in ("exact", "unaccented", "stem", "set")}
        for units, text in phrases:
            for how, key in self._keys(units):
                counted[how][key][text] += 1
        return {how: {key: max(seen, key=seen.get) for key, seen in table.items()} for how, table in counted.items()}
