"""The words of the sample competition: queries, category paths and marketplace titles out of drawn codes.

A phrase is made once for each different combination of codes and then spread over the rows, so that 300,000 rows
cost little more than their distinct phrases.
"""

from __future__ import annotations

from collections.abc import Callable
from string import capwords

import numpy as np
import pandas as pd

from competition_utils.data.lexicon import BEFORE, FORMS, phrase
from competition_utils.synthetic.catalogue import CHILD, PARENT, Catalogue
from competition_utils.synthetic.noise import make_codes

NONE = -1  # "no such thing" in a column of codes
GENERAL = -2  # in a column of names: the concept's general word
BRANDS_PER_FAMILY = 6
MEASURES = (
    "2024", "2025", "2026", "xxl", "38", "40", "42", "44", "10cm", "20 cm", "30x40", "50cm", "1.5m", "3m",
    "250ml", "500 ml", "1kg", "12v", "2pcs", "5 pcs", "10pcs", "pack 3",
)  # fmt: skip
# Roles of the lexicon's words that leave the thing meant as it is; "accessories" would not.
ROLES = (
    "buy", "cheap", "new", "original", "best", "for_home", "gift", "free_shipping", "sale", "price", "online",
    "quality",
)  # fmt: skip
# Where a role's word stands before the noun; elsewhere it follows.
ROLE_FIRST = {
    "buy": ("en", "es", "fr", "pt", "it", "pl", "th", "ar", "id", "vn"),
    "best": ("en", "es", "fr", "pt", "de", "it", "pl", "tr"),
    **dict.fromkeys(("cheap", "new", "original", "quality"), ("en",)),
}
TITLE_LENGTH = (45, 125)  # characters that a title is filled up to
TITLE_LIMIT = 130
FILLER_ORDERS = 500  # different orders of the sales words, of which each title follows one


def spread(columns: list[np.ndarray], compose: Callable[..., str]) -> np.ndarray:
    """object [n]: `compose` called once for each different row of the columns of codes."""
    codes = pd.MultiIndex.from_arrays(columns)
    places, distinct = pd.factorize(codes)
    return np.array([compose(*row) for row in distinct], dtype=object)[places]


def noun_phrases(
    catalogue: Catalogue, languages: np.ndarray, concept: np.ndarray, name: np.ndarray, attribute: np.ndarray
) -> np.ndarray:
    """object [n]: a name of the concept (`name` counts on from its first, round and round), with the attribute."""

    def compose(language: str, concept: int, name: int, attribute: int) -> str:
        names = [catalogue.general[language][concept]] if name == GENERAL else catalogue.names[language][concept]
        words = [] if attribute == NONE else [catalogue.words[language][attribute]]
        return phrase(names[name % len(names)], words, language)

    return spread([languages, concept, name, attribute], compose)


def attribute_words(catalogue: Catalogue, languages: np.ndarray, attribute: np.ndarray) -> np.ndarray:
    """object [n]: the attribute alone, in its first form; "" for none."""

    def compose(language: str, attribute: int) -> str:
        if attribute == NONE:
            return ""
        return catalogue.words[language][attribute].removeprefix(BEFORE).split(FORMS)[0]

    return spread([languages, attribute], compose)


def role_frames(catalogue: Catalogue, languages: np.ndarray, role: np.ndarray) -> np.ndarray:
    """object [n]: where the role's word goes, as `comprar {}` or `{} satın al`."""

    def compose(language: str, role: int) -> str:
        word = catalogue.lexicon.words.at[ROLES[role], language]
        return f"{word} {{}}" if language in ROLE_FIRST.get(ROLES[role], ()) else f"{{}} {word}"

    return spread([languages, role], compose)


def compose_queries(rng: np.random.Generator, catalogue: Catalogue, drawn: pd.DataFrame) -> np.ndarray:
    """object [n]: clean query texts.

    `drawn` has `text_language, concept, name, attribute, addition` (a key of `synthetic.queries.ADDITIONS`) and the
    words of additions: `brand` and `extra` ("" for none).
    """
    languages, addition = drawn["text_language"].to_numpy(object), drawn["addition"].to_numpy()
    attribute, concept, name = (drawn[column].to_numpy() for column in ("attribute", "concept", "name"))
    mixed = addition == "english"
    core = noun_phrases(catalogue, languages, concept, name, np.where(mixed, NONE, attribute))
    english = attribute_words(catalogue, np.where(mixed, "en", ""), np.where(mixed, attribute, NONE))
    frames = np.full(len(drawn), "{}", dtype=object)
    role = addition == "role"
    frames[role] = role_frames(catalogue, languages[role], rng.integers(len(ROLES), size=int(role.sum())))
    core = np.array([frame.format(text) for frame, text in zip(frames, core, strict=True)], dtype=object)
    before, after = drawn["brand"].to_numpy(object) + " ", " " + drawn["extra"].to_numpy(object)
    core = np.where(np.isin(addition, ["only_brand", "only_code"]), "", core)
    swapped = rng.random(len(drawn)) < 0.35  # the brand last, the size or code first
    texts = np.where(swapped, after + " " + english + " " + core + " " + before, before + english + " " + core + after)
    return np.array([" ".join(text.split()) for text in texts], dtype=object)


def compose_paths(catalogue: Catalogue, concept: np.ndarray, form: np.ndarray, attribute: np.ndarray) -> np.ndarray:
    """object [n]: category paths; `attribute` names the child category (−1: "other …"), unused in the other forms."""
    cells = catalogue.words["en"]

    def compose(concept: int, form: int, attribute: int) -> str:
        levels = catalogue.levels[concept]
        if form == CHILD:
            child = f"other {levels[-1]}" if attribute == NONE else phrase(levels[-1], [cells[attribute]], "en")
            levels = (*levels, child)
        return ",".join(levels[:-1] if form == PARENT else levels)

    return spread([concept, form, np.where(form == CHILD, attribute, NONE)], compose)


def compose_titles(rng: np.random.Generator, catalogue: Catalogue, drawn: pd.DataFrame) -> np.ndarray:
    """object [n]: item titles of 40 to 130 characters.

    `drawn` has `title_language` (en th id fil), `concept, attribute, second` (codes, −1 for no attribute), `brand`
    and `extra` ("" for none). A Filipino title is an English one with Filipino sales words, as on the marketplaces.
    """
    count, fillers = len(drawn), drawn["title_language"].to_numpy(object)
    languages = np.where(fillers == "fil", "en", fillers)
    concept, attribute, second = (drawn[column].to_numpy() for column in ("concept", "attribute", "second"))
    name = rng.integers(6, size=count) * (rng.random(count) < 0.45)
    core = noun_phrases(catalogue, languages, concept, name, attribute)
    again = noun_phrases(catalogue, languages, concept, name + 1, np.full(count, NONE))
    again = np.where(rng.random(count) < 0.3, again, "")
    shelf = _shelves(rng, catalogue, languages, concept)
    rest = [attribute_words(catalogue, languages, second), again, shelf]
    brand, extra = drawn["brand"].to_numpy(object), drawn["extra"].to_numpy(object)
    orders = np.array([[0, 1, 2, 3, 4, 5], [1, 0, 3, 5, 2, 4], [5, 0, 1, 2, 4, 3], [3, 0, 1, 5, 4, 2]])
    pieces = np.stack([brand, core, *rest, extra], axis=1)
    pieces = np.take_along_axis(pieces, orders[rng.integers(len(orders), size=count)], axis=1)
    heads = np.array([" ".join(filter(None, row)) for row in pieces], dtype=object)
    return _in_case(rng, _filled(rng, catalogue, heads, fillers))


def _shelves(rng: np.random.Generator, catalogue: Catalogue, languages: np.ndarray, concept: np.ndarray) -> np.ndarray:
    """object [n]: a level above the concept for a quarter of the English titles, else ""."""
    shown = (rng.random(len(concept)) < 0.25) & (languages == "en")
    depth = rng.integers(6, size=len(concept))

    def compose(concept: int, depth: int) -> str:
        above = catalogue.levels[concept][:-1]
        return above[depth % len(above)] if depth != NONE else ""

    return spread([concept, np.where(shown, depth, NONE)], compose)


def _filled(rng: np.random.Generator, catalogue: Catalogue, heads: np.ndarray, fillers: np.ndarray) -> np.ndarray:
    """Titles with different sales words after the head, up to a length drawn for each."""
    titles = heads.copy()
    wanted = rng.integers(*TITLE_LENGTH, size=len(heads))
    for language, words in catalogue.lexicon.title_words.items():
        rows = np.flatnonzero(fillers == language)
        orders = rng.permuted(np.tile(np.array(words, dtype=object), (FILLER_ORDERS, 1)), axis=1)
        reach = np.cumsum([[len(word) + 1 for word in order] for order in orders], axis=1)
        order = rng.integers(FILLER_ORDERS, size=len(rows))
        missing = wanted[rows] - np.array([len(head) for head in heads[rows]], dtype=int)
        taken = 1 + (reach[order] < missing[:, None]).sum(axis=1)
        some = zip(heads[rows], orders[order], taken, strict=True)
        titles[rows] = [" ".join([head, *words[:count]]) for head, words, count in some]
    return np.array([_cut(title) for title in titles], dtype=object)


def _cut(title: str) -> str:
    return title if len(title) <= TITLE_LIMIT else title[: TITLE_LIMIT + 1].rpartition(" ")[0]


def _in_case(rng: np.random.Generator, titles: np.ndarray) -> np.ndarray:
    dice = rng.random(len(titles))
    titles[dice < 0.7] = [capwords(title) for title in titles[dice < 0.7]]
    titles[dice > 0.95] = [title.upper() for title in titles[dice > 0.95]]
    return titles


def draw_codes_or_measures(rng: np.random.Generator, is_code: np.ndarray) -> np.ndarray:
    """object [n]: a model code where `is_code`, else a year, a size or a pack."""
    measures = np.array(MEASURES, dtype=object)[rng.integers(len(MEASURES), size=len(is_code))]
    return np.where(is_code, make_codes(rng, len(is_code)), measures)
