"""One direction of a lexicon, indexed: phrases at four degrees of likeness, and what is learnt from them.

Parts are learnt by subtraction: a phrase less a part whose translation is known leaves a translated rest.
"Lippenstift-Pinsel → lip brushes" and "Pinsel → brushes" give "Lippenstift → lip". It works on words, inside
compounds and in unsegmented scripts, where no list of words exists.

Words are learnt by IBM Model 1 (Brown et al., 1993, "The mathematics of statistical machine translation"), fitted both
ways on the phrase pairs; a pair of words is kept where both directions believe in it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from competition_utils.translation.words import (
    UNSEGMENTED,
    SpellingIndex,
    fold,
    function_words,
    may_cut,
    stem,
    unaccent,
    words,
)

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
COMPOUNDING = frozenset({"de", "ko"})  # languages with spaces that yet write several words as one
LINKS = {"de": ("", "s", "n", "en", "es"), "ko": ("",)}  # letters between the parts of a compound
SHORTEST_PART = {"de": 4, "ko": 2, "th": 3}  # letters; 2 where no other number is given
LEAST_AGREEMENT = 0.5  # of the phrases that vote on a part
PART_ROUNDS = 2
Units = tuple[str, ...]
ALIGNMENT_ROUNDS = 8
LEAST_BELIEF = 0.2  # in each direction
TOGETHER = 0.6  # of the phrases of a source word, where it stands for two words


class Match(NamedTuple):
    """A translation and the way it was found (a key of `QUALITY`)."""

    text: str
    how: str


class LexiconIndex:
    """Look-up of phrases of `source`, made from the lexicon's pairs of one direction.

    With `by_accents` a word with another accent, or without one, is another word.
    """

    def __init__(self, source: str, target: str, pairs: Sequence[tuple[str, str]], *, by_accents: bool = False):
        self.source = source
        self.target = target
        self.by_accents = by_accents
        self.unsegmented = source in UNSEGMENTED
        self._function = function_words(source)
        phrases = [(self.units(fold(phrase)), " ".join(fold(text).split())) for phrase, text in pairs]
        phrases = [(units, text) for units, text in phrases if units and text]
        counted = self._counted(phrases)
        self._tables = {how: {key: max(seen, key=seen.get) for key, seen in of.items()} for how, of in counted.items()}
        self._tables["part"] = {}
        self._several = {
            how: {key: tuple(sorted(seen, key=seen.get, reverse=True)) for key, seen in of.items() if len(seen) > 1}
            for how, of in counted.items()
        }
        self._in_several = {self._stem(word) for units in self._several["exact"] for word in units}
        self.longest = max((len(units[0]) if self.unsegmented else len(units) for units, _ in phrases), default=1)
        self.target_words = {stem(word, target) for _, text in phrases for word in words(text)}
        counts = Counter(word if self.unsegmented else self._plain(word) for units, _ in phrases for word in units)
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
            ([self._stem(word) for word in self.content(units)], text)
            for units, text in phrases
            if not self.unsegmented
        ]
        self._tables["aligned"] = align_words(content, self.target)

    def units(self, folded: str) -> tuple[str, ...]:
        """The words of a phrase; in an unsegmented script, the phrase as one."""
        found = words(folded)
        return ("".join(found),) if self.unsegmented and found else tuple(found)

    def content(self, units: Iterable[str]) -> tuple[str, ...]:
        """The words that carry meaning: function words left out."""
        return tuple(word for word in units if word not in self._function)

    def knows(self, word: str) -> bool:
        """Whether a folded word occurs in any phrase of the source language, whatever its ending."""
        return self._spelling.knows(word)

    def correct(self, word: str) -> str | None:
        """The known word that a folded word is one edit away from, if it is not known itself."""
        return self._spelling.correct(self._plain(word))

    def look_up(self, units: tuple[str, ...]) -> Match | None:
        """The translation of a phrase as a whole, found in the most trusted way there is."""
        for how, key in self._keys(units):
            if (text := self._tables[how].get(key)) is not None:
                return Match(text, how)
        text = self._tables["part"].get(self._stems(units))
        return None if text is None else Match(text, "part")

    def meanings(self, units: tuple[str, ...]) -> tuple[str, ...]:
        """All translations of a phrase in the most trusted way there is, `look_up`'s first; () of one or none."""
        for how, key in self._keys(units):
            if key in self._tables[how]:
                return self._several[how].get(key, ())
        return ()

    def may_have_several(self, folded: Sequence[str]) -> bool:
        """Whether a text of these words may hold a phrase of several meanings; a quick look that finds most."""
        if self.unsegmented:
            text = "".join(folded)
            return any(word in text for word in self._in_several)
        return any(self._stem(word) in self._in_several for word in folded)

    def look_up_unsegmented(self, phrase: str) -> Match | None:
        """The translation of a phrase in an unsegmented script, as it stands or one edit away."""
        if (found := self.look_up((phrase,))) is not None:
            return found
        known = self._spelling.correct(phrase)
        return None if known is None else Match(self.look_up((known,)).text, "typo")

    def look_up_word(self, word: str) -> Match | None:
        """The translation of one word that is no phrase of its own, learnt from the phrases it occurs in."""
        text = self._tables["aligned"].get(self._stem(word))
        return None if text is None else Match(text, "aligned")

    def _stems(self, units: tuple[str, ...]) -> tuple[str, ...]:
        return units if self.unsegmented else tuple(map(self._stem, units))

    def _stem(self, word: str) -> str:
        return word if self.by_accents else stem(word, self.source)

    def _plain(self, word: str) -> str:
        return word if self.by_accents else unaccent(word)

    def _keys(self, units: tuple[str, ...]) -> Iterator[tuple[str, object]]:
        yield "exact", units
        if self.unsegmented:
            return
        yield "unaccented", tuple(map(self._plain, units))
        yield "stem", self._stems(units)
        if content := self.content(units):
            yield "set", frozenset(map(self._stem, content))

    def _counted(self, phrases: Sequence[tuple[tuple[str, ...], str]]) -> dict[str, dict]:
        """How often each key of each way was translated how."""
        counted: dict[str, dict] = {how: defaultdict(Counter) for how in ("exact", "unaccented", "stem", "set")}
        for units, text in phrases:
            for how, key in self._keys(units):
                counted[how][key][text] += 1
        return counted


def learn_parts(
    phrases: Sequence[tuple[Units, str]],
    source: str,
    target: str,
    look_up: Callable[[Units], str | None],
    key: Callable[[Units], Units],
) -> Iterator[dict[Units, str]]:
    """Vote over all phrases on what their parts mean; give what is new after each round, by `key` of the
    part.

    What was given shall be found by `look_up` from then on: it serves the next round.
    """
    for _ in range(PART_ROUNDS):
        votes: dict[Units, Counter[str]] = defaultdict(Counter)
        for units, text in phrases:
            for part, rest in _splits(units, source):
                known = look_up(part)
                left = None if known is None else _subtract(text, known, target)
                if left:
                    votes[key(rest)][left] += 1
        best = {rest: max(seen, key=seen.get) for rest, seen in votes.items()}
        yield {
            rest: text
            for rest, text in best.items()
            if votes[rest][text] >= LEAST_AGREEMENT * votes[rest].total() and look_up(rest) is None
        }


def _subtract(text: str, known: str, target: str) -> str | None:
    """The words of `text` without those of `known`; None where `known` is no part of it or nothing is
    left.
    """
    dropped = function_words(target)
    stems = {stem(word, target) for word in words(known) if word not in dropped}
    content = [(word, stem(word, target)) for word in words(text) if word not in dropped]
    if not stems or not stems <= {stemmed for _, stemmed in content}:
        return None
    return " ".join(word for word, stemmed in content if stemmed not in stems) or None


def _splits(units: Units, source: str) -> Iterator[tuple[Units, Units]]:
    """Ways to take a phrase apart in two, as (part, rest) and the other way round."""
    function = function_words(source)
    for place in range(1, len(units)):
        head, tail = _bare(units[:place], function), _bare(units[place:], function)
        if head and tail:
            yield head, tail
            yield tail, head
    if len(units) == 1 and (source in UNSEGMENTED or source in COMPOUNDING):
        for one, other in split_word(units[0], source):
            yield (one,), (other,)
            yield (other,), (one,)


def split_word(word: str, source: str) -> Iterator[tuple[str, str]]:
    """Ways to take a compound apart in two, the longest head first; linking letters belong to neither
    part.
    """
    shortest = SHORTEST_PART.get(source, 2)
    for place in range(len(word) - shortest, shortest - 1, -1):
        if source in UNSEGMENTED and not may_cut(word, place):
            continue
        for link in LINKS.get(source, ("",)):
            if word.startswith(link, place) and len(word) - place - len(link) >= shortest:
                yield word[:place], word[place + len(link) :]


def _bare(units: Units, function: frozenset[str]) -> Units:
    """A stretch of words without the function words at its ends."""
    start, stop = 0, len(units)
    while start < stop and units[start] in function:
        start += 1
    while stop > start and units[stop - 1] in function:
        stop -= 1
    return units[start:stop]


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
            (number, source, stem(word, target), word, place)
            for source in dict.fromkeys(source_words)
            for place, word in made
        ]
    return pd.DataFrame(rows, columns=["phrase", "source", "target", "word", "place"])


def _model_1(links: pd.DataFrame, *, given: str, made: str) -> np.ndarray:
    """t(made | given) of each link, after a few rounds of expectation–maximisation."""
    pair = links.groupby([given, made], sort=False).ngroup().to_numpy()
    condition = links.groupby(given, sort=False).ngroup().to_numpy()
    token = links.groupby(["phrase", made], sort=False).ngroup().to_numpy()
    belief = np.ones(len(links))
    for _ in range(ALIGNMENT_ROUNDS):
        share = belief / np.bincount(token, belief)[token]
        belief = np.bincount(pair, share)[pair] / np.bincount(condition, share)[condition]
    return belief
