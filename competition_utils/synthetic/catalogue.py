"""The lexicon as arrays: which concepts are kin, which attributes go with them, which contradict each other."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from competition_utils.data.lexicon import LANGUAGES, MARK, NAMES, Lexicon

SELF, PARENT, CHILD = 0, 1, 2  # the forms of a category path, seen from its concept
HELD_OUT_SHARE = 0.15
LEVEL_END = ",(?! )"  # a comma with a space after it belongs to a level's name
# Kinds of attribute that a category of its own is made of: "leather boots" is one, "red boots" is not.
CATEGORY_KINDS = ("material", "audience", "style", "season", "feature")

# Where the head of a name of several words stands; the other languages' names do not split that simply.
HEAD_FIRST, HEAD_LAST = ("es", "fr", "pt", "it", "pl", "id", "ar"), ("en", "de", "ko", "tr")


@dataclass(frozen=True)
class Choices:
    """For each of n things some of m choices: `picks` [n, widest] codes, of which the first `counts` [n] count."""

    picks: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, lists: Iterable[Iterable[int]]) -> Choices:
        lists = [list(codes) for codes in lists]
        picks = np.zeros((len(lists), max(1, *map(len, lists))), dtype=np.int32)
        for row, codes in zip(picks, lists, strict=True):
            row[: len(codes)] = codes
        return cls(picks, np.array([len(codes) for codes in lists]))

    def draw(self, rng: np.random.Generator, things: np.ndarray) -> np.ndarray:
        """int [n]: one of each thing's choices, all equally likely; −1 for a thing that has none, or is −1 itself."""
        place = (rng.random(len(things)) * self.counts[things]).astype(np.int64)
        has = (things >= 0) & (self.counts[things] > 0)
        return np.where(has, self.picks[things, place], -1)

    def holds(self, things: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """bool [n]: is `codes[i]` among the choices of `things[i]`?"""
        counted = np.arange(self.picks.shape[1]) < self.counts[things][:, None]
        return ((self.picks[things] == codes[:, None]) & counted).any(axis=1)


@dataclass(frozen=True)
class Catalogue:
    """Concepts are codes 0 … n−1 in the lexicon's order, attributes codes 0 … m−1.

    `names[language][concept]` are the concept's names with their marks, `general[language][concept]` the word that a
    shopper says for it and its like ("dress"; "" where there is none), `words[language][attribute]` the attribute's
    cell: plain lists, since frames take long to look up single cells.
    `family` and `top` [n] number the path above a concept and its first level. `related[general, form, asked, offered]`
    is True where the offered concept's path in that form fits, or might, what a query for the asked concept says by
    its name (0) or by its general word (1). `attributes` go with a concept, `child_attributes` name categories below
    it, `contrary` contradict an attribute; `group` [m] numbers the sets of which a thing has one, −1 for no set.
    """

    lexicon: Lexicon
    names: dict[str, list[list[str]]]
    general: dict[str, list[str]]
    words: dict[str, list[str]]
    levels: list[tuple[str, ...]]
    family: np.ndarray
    top: np.ndarray
    related: np.ndarray
    attributes: Choices
    child_attributes: Choices
    contrary: Choices
    group: np.ndarray

    @classmethod
    def of(cls, lexicon: Lexicon) -> Catalogue:
        concepts, attributes = lexicon.concepts, lexicon.attributes
        levels = [tuple(re.split(LEVEL_END, path)) for path in concepts["path"]]
        family = pd.factorize(pd.Series([",".join(path[:-1]) for path in levels]))[0]
        codes = {kind: rows.index.tolist() for kind, rows in attributes.groupby("kind", sort=False)}
        of_kinds = [[code for kind in some.split() for code in codes.get(kind, ())] for some in concepts["kinds"]]
        category = set(attributes.index[attributes["kind"].isin(CATEGORY_KINDS)])
        names = {language: concepts[language].str.split(NAMES).tolist() for language in LANGUAGES}
        general = {language: _general_words(language, some, family) for language, some in names.items()}
        related = _related(levels, _same_or_kind_of(names))
        return cls(
            lexicon=lexicon,
            names=names,
            general=general,
            words={language: attributes[language].tolist() for language in LANGUAGES},
            levels=levels,
            family=family,
            top=pd.factorize(pd.Series([path[0] for path in levels]))[0],
            related=np.stack([related, related | _said_in_general(names, general)]),
            attributes=Choices.of(of_kinds),
            child_attributes=Choices.of([[code for code in some if code in category] for some in of_kinds]),
            contrary=Choices.of(_contrary(attributes)),
            group=pd.factorize(attributes["group"].replace("", None))[0],
        )

    def held_out(self, rng: np.random.Generator) -> np.ndarray:
        """bool [n]: whole families, about 15% of the concepts, each from a top level that has other families."""
        held = np.zeros(len(self.levels), dtype=bool)
        for family in rng.permutation(self.family.max() + 1):
            members = self.family == family
            of_top = self.top == self.top[members][0]
            fits = held.sum() + members.sum() <= HELD_OUT_SHARE * len(held) + 1
            if fits and (of_top & ~held & ~members).any():
                held |= members
        return held


def bare(name: str) -> str:
    """A name without its mark, lower case."""
    return name.partition(MARK)[0].lower()


def _general_words(language: str, names: list[list[str]], family: np.ndarray) -> list[str]:
    """For each concept the head word (with its mark) of its first name, where another of its family has it too."""
    place = 0 if language in HEAD_FIRST else -1
    parts = [first[0].partition(MARK) for first in names]
    heads = [name.split()[place] if " " in name and language in HEAD_FIRST + HEAD_LAST else "" for name, _, _ in parts]
    counts = Counter(zip(family.tolist(), heads, strict=True))
    shared = [bool(head) and counts[own, head] > 1 for own, head in zip(family.tolist(), heads, strict=True)]
    return [head + bar + mark if use else "" for use, head, (_, bar, mark) in zip(shared, heads, parts, strict=True)]


def _said_in_general(names: dict[str, list[list[str]]], general: dict[str, list[str]]) -> np.ndarray:
    """bool [asked, offered]: the offered concept has the general word of the asked one, in any language."""
    said = np.zeros((len(names["en"]),) * 2, dtype=bool)
    for language, cells in names.items():
        having: dict[str, list[int]] = defaultdict(list)
        for code, some in enumerate(cells):
            for word in {word for name in some for word in bare(name).split()}:
                having[word].append(code)
        for code, word in enumerate(general[language]):
            said[code, having.get(bare(word), [])] = True
    return said


def _prefixes(levels: tuple[str, ...]) -> set[tuple[str, ...]]:
    return {levels[:depth] for depth in range(1, len(levels) + 1)}


def _related(levels: list[tuple[str, ...]], kindred: np.ndarray) -> np.ndarray:
    """bool [form, asked, offered]: is one path a prefix of the other, for the concept or for a kindred one?"""
    ways = [_prefixes(path) for path in levels]

    def kin(offered: list[tuple[str, ...]]) -> np.ndarray:
        theirs = [_prefixes(path) for path in offered]
        pairs = list(zip(offered, theirs, strict=True))
        return np.array(
            [[path in way or asked in their for path, their in pairs] for asked, way in zip(levels, ways, strict=True)]
        )

    own, parent = kin(levels), kin([path[:-1] for path in levels])
    own, parent = kindred @ own, kindred @ parent
    return np.stack([own, parent, own])  # a child path goes on where the concept's own ends


def _same_or_kind_of(names: dict[str, list[list[str]]]) -> np.ndarray:
    """bool [n, n]: the two share a name in some language, or in English one is a kind of the other.

    A kind of: "coffee table" ends in "table". A common beginning is none ("phone", "phone case").
    """
    sharing: dict[tuple[str, str], set[int]] = defaultdict(set)
    for language, cells in names.items():
        for code, some in enumerate(cells):
            for name in some:
                sharing[language, bare(name)].add(code)
    for code, some in enumerate(names["en"]):
        for words in (bare(name).split() for name in some):
            for ending in (" ".join(words[start:]) for start in range(1, len(words))):
                if ("en", ending) in sharing:
                    sharing["en", ending].add(code)
    kindred = np.eye(len(names["en"]), dtype=bool)
    for codes in sharing.values():
        kindred[np.ix_(list(codes), list(codes))] = True
    return kindred


def _contrary(attributes: pd.DataFrame) -> list[list[int]]:
    """For each attribute the rest of its group, but not "navy blue" for "blue"."""
    words = [set(cell.strip("<").split()) for cell in attributes["en"]]
    groups = attributes["group"]
    members = {name: rows.index.tolist() for name, rows in attributes.groupby("group", sort=False) if name}
    return [
        [other for other in members.get(groups[code], ()) if not (own <= words[other] or words[other] <= own)]
        for code, own in enumerate(words)
    ]
