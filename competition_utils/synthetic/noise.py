"""What makes the sample's queries look typed: typos, lost accents, stray characters, made-up brands and codes.

Texts are object arrays [n]; every function gives a new array and draws only from the generator it is given.
"""

from __future__ import annotations

import unicodedata

import numpy as np

TYPO_SHARE, NO_ACCENT_SHARE, LOWER_SHARE, STRAY_SHARE = 0.05, 0.12, 0.88, 0.012
LATIN = ("en", "es", "fr", "pt", "de", "it", "pl", "id", "vn", "tr")
STRAY = ("%{}", "{} ", "{}.", "*{}", "{}!", "{},", '"{}"', "{} ;", "_{}", "{}?", "{} #")
# Letters that hold their mark inside, so that Unicode does not take it off.
SOLID = str.maketrans("łŁđĐıßøØ", "lLdDisoO")

_STARTS = (
    "b",
    "br",
    "d",
    "dr",
    "f",
    "g",
    "gr",
    "h",
    "k",
    "kr",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "s",
    "t",
    "tr",
    "v",
    "z",
)
_VOWELS = ("a", "e", "i", "o", "u")
_ENDS = ("", "n", "r", "x", "l", "s", "tek", "lux", "vo", "ri", "mi", "zon")


def make_brands(rng: np.random.Generator, count: int) -> np.ndarray:
    """`count` different made-up brand names, lower case."""
    brands: dict[str, None] = {}  # a dict keeps the order that a set would not
    while len(brands) < count:
        first, second = rng.choice(_STARTS, size=2)
        one, two = rng.choice(_VOWELS, size=2)
        brands.setdefault(f"{first}{one}{second}{two}{rng.choice(_ENDS)}")
    return np.array(list(brands), dtype=object)


def make_codes(rng: np.random.Generator, count: int) -> np.ndarray:
    """`count` model codes such as `kx-4821` or `730qd`, lower case; some may be equal."""
    letters = np.array(list("abcdefghjklmnpqrstuvwxz"), dtype=object)
    head = letters[rng.integers(len(letters), size=(count, 2))].sum(axis=1)
    number = rng.integers(100, 9999, size=count).astype(str).astype(object)
    return np.where(rng.random(count) < 0.7, head + "-" + number, number + head)


def spoil(rng: np.random.Generator, texts: np.ndarray, languages: np.ndarray) -> np.ndarray:
    """Queries as people type them: mostly lower case, some without accents, with a typo or a stray character."""
    texts = texts.copy()
    lower = rng.random(len(texts)) < LOWER_SHARE
    texts[lower] = [text.lower() for text in texts[lower]]
    bare = (rng.random(len(texts)) < NO_ACCENT_SHARE) & np.isin(languages, LATIN)
    texts[bare] = [without_accents(text) for text in texts[bare]]
    wrong = rng.random(len(texts)) < TYPO_SHARE
    picks = rng.random((int(wrong.sum()), 2))
    texts[wrong] = [with_typo(text, *pick) for text, pick in zip(texts[wrong], picks.tolist(), strict=True)]
    stray = rng.random(len(texts)) < STRAY_SHARE
    frames = rng.choice(STRAY, size=int(stray.sum()))
    texts[stray] = [frame.format(text) for text, frame in zip(texts[stray], frames, strict=True)]
    return texts


def without_accents(text: str) -> str:
    """Latin text without its marks: `niño` → `nino`, `łódź` → `lodz`."""
    parts = unicodedata.normalize("NFKD", text.translate(SOLID))
    return "".join(part for part in parts if not unicodedata.combining(part))


def with_typo(text: str, where: float, what: float) -> str:
    """One letter swapped with the next, left out or doubled; `where` and `what` are drawn from 0–1.

    The first letter stays, as people seldom miss it; texts under four characters stay as they are.
    """
    if len(text) < 4:
        return text
    at = 1 + int(where * (len(text) - 2))
    if what < 0.4:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if what < 0.75:
        return text[:at] + text[at + 1 :]
    return text[:at] + text[at] + text[at:]
