"""Parts learnt by subtraction: a phrase less a part whose translation is known leaves a translated rest.

"Lippenstift-Pinsel → lip brushes" and "Pinsel → brushes" give "Lippenstift → lip". It works on words, inside
compounds and in scripts without blanks, where no list of words exists.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

from competition_utils.translation.words import BLANKLESS, function_words, may_cut, stem, words

COMPOUNDING = frozenset({"de", "ko"})  # languages with blanks that yet write several words as one
LINKS = {"de": ("", "s", "n", "en", "es"), "ko": ("",)}  # letters between the parts of a compound
SHORTEST_PART = {"de": 4, "ko": 2, "th": 3}  # letters; 2 where no other number is given
LEAST_AGREEMENT = 0.5  # of the phrases that vote on a part
ROUNDS = 2

Units = tuple[str, ...]


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
    for _ in range(ROUNDS):
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
    if len(units) == 1 and (source in BLANKLESS or source in COMPOUNDING):
        for one, other in split_word(units[0], source):
            yield (one,), (other,)
            yield (other,), (one,)


def split_word(word: str, source: str) -> Iterator[tuple[str, str]]:
    """Ways to take a compound apart in two, the longest head first; linking letters belong to neither
    part.
    """
    shortest = SHORTEST_PART.get(source, 2)
    for place in range(len(word) - shortest, shortest - 1, -1):
        if source in BLANKLESS and not may_cut(word, place):
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
