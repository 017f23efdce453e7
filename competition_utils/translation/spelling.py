"""Misspelt words: the known word within one edit."""

from __future__ import annotations

from collections import Counter, defaultdict

from competition_utils.translation.words import stem

SHORTEST_FUZZY = 6  # letters: one edit in a shorter word too often gives another word
LONGEST_FUZZY = 24


class SpellingIndex:
    """Known words within one edit of a word, by the symmetric-delete method (W. Garbe, SymSpell, 2012)."""

    def __init__(self, counts: Counter[str], language: str):
        self._counts = counts
        self._language = language
        self._stems = {stem(word, language) for word in counts}
        self._deleted: dict[str, list[str]] = defaultdict(list)
        for word in counts:
            if SHORTEST_FUZZY - 1 <= len(word) <= LONGEST_FUZZY:
                for shorter in self._shortened(word):
                    self._deleted[shorter].append(word)

    @staticmethod
    def _shortened(word: str) -> set[str]:
        return {word[:place] + word[place + 1 :] for place in range(len(word))} | {word}

    def knows(self, word: str) -> bool:
        """Whether a word is known, whatever its ending."""
        return stem(word, self._language) in self._stems

    def correct(self, word: str) -> str | None:
        """The most frequent known word one edit away (insert, delete, replace, swap), the first letter
        kept.
        """
        if not SHORTEST_FUZZY <= len(word) <= LONGEST_FUZZY or any(letter.isdigit() for letter in word):
            return None
        found = {
            known
            for shorter in self._shortened(word)
            for known in self._deleted.get(shorter, ())
            if known[0] == word[0] and _one_edit(word, known)
        }
        return max(found, key=lambda known: (self._counts[known], known), default=None)


def _one_edit(one: str, other: str) -> bool:
    """Whether two different words differ by one insertion, deletion, replacement or swap of neighbours."""
    if abs(len(one) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
