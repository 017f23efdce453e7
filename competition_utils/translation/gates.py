"""Gates decide which translations enter: each looks at one way in which machine translation goes wrong.

All work on columns of different texts; a gate says for each row whether it rejects it. A row that no gate
rejects enters, and names in its column `gate` those that it passed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

import numpy as np
import pandas as pd

from competition_utils.data.languages import LANGUAGES, UNDETERMINED, detect, scripts_of
from competition_utils.translation.interface import Translator
from competition_utils.translation.words import fold, function_words, stem, unaccent, words

LOOP = re.compile(r"(\b\w+\b)(?:\W+\1\b){2,}|(\b\w+\W+\w+\b)(?:\W+\2\b){2,}|(.{2,12}?)\3{3,}", re.IGNORECASE)
CODE = re.compile(r"(?=[a-z0-9]*[0-9])(?=[a-z0-9]*[a-z])[a-z0-9]{2,}", re.IGNORECASE)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# Letters that a text of the language takes for one of English, of titles in fourteen languages.
LENGTH_OF = {"ja": 0.5, "ko": 0.5, "zh": 0.4, "th": 0.95, "ar": 0.9}
LENGTHS = (0.35, 3.0)  # times the expected length
LEAST_OWN_SCRIPT = 0.3  # of the letters; the rest are brands and codes
LEAST_SURE_OF_LANGUAGE = 0.9  # to reject a text as one of another language
MOST_COPIED = 0.75  # of the words; brands are often half of a query

Gate = Callable[[pd.DataFrame], np.ndarray]


def wrong_script(pairs: pd.DataFrame) -> np.ndarray:
    """Too few of the letters are in the language's own script."""
    counts = scripts_of(pairs["after"])
    own = np.zeros(len(pairs))
    for language, places in pairs.groupby("language").indices.items():
        scripts = LANGUAGES[language].scripts if language in LANGUAGES else tuple(counts)
        own[places] = counts.iloc[places][list(scripts)].sum(axis=1)
    return own < LEAST_OWN_SCRIPT * counts.sum(axis=1).to_numpy()


def wrong_language(pairs: pd.DataFrame) -> np.ndarray:
    """The words are surely those of another language; the language that was asked for is the prior."""
    found = detect(pairs["after"], pairs["language"])
    other = ~found["text_language"].isin([UNDETERMINED]) & (found["text_language"] != pairs["language"])
    return (other & (found["language_confidence"] >= LEAST_SURE_OF_LANGUAGE)).to_numpy()


def untranslated_copy(pairs: pd.DataFrame) -> np.ndarray:
    """The text came back as it was, or most of its words did (brands and codes are not counted as words)."""
    return _over_rows(pairs, _copied)


def _copied(before: str, after: str, source: str, language: str) -> bool:
    if fold(before) == fold(after):
        return True
    kept = [word for word in words(fold(before)) if len(word) > 1 and not any(c.isdigit() for c in word)]
    there = set(words(fold(after)))
    return bool(kept) and sum(word in there for word in kept) > MOST_COPIED * len(kept)


def odd_length(pairs: pd.DataFrame) -> np.ndarray:
    """Much shorter or longer than a translation into this language usually is."""
    expected = pairs["language"].map(LENGTH_OF).fillna(1.1) / pairs["source"].map(LENGTH_OF).fillna(1.1)
    ratio = pairs["after"].str.len() / (pairs["before"].str.len().clip(lower=1) * expected)
    return ~ratio.between(*LENGTHS).to_numpy()


def changed_number(pairs: pd.DataFrame) -> np.ndarray:
    """A number or a code of letters and digits was lost, changed or made up."""
    return _over_rows(pairs, lambda before, after, *_: _codes(before) != _codes(after))


def _codes(text: str) -> list[str]:
    plain = "".join(str(unicodedata.digit(c)) if c.isdigit() and not c.isascii() else c for c in fold(text))
    return sorted([*CODE.findall(plain), *NUMBER.findall(CODE.sub(" ", plain))])


def repeated_loop(pairs: pd.DataFrame) -> np.ndarray:
    """The decoder repeated itself: a word or a pair of words three times in a row, or letters four times."""
    return _over_rows(pairs, lambda before, after, *_: bool(LOOP.search(after)) and not LOOP.search(before))


def low_confidence(least: float) -> Gate:
    """The engine itself is not sure enough; engines without confidences pass."""
    return lambda pairs: (pairs["confidence"] < least).to_numpy()


def lost_in_round_trip(translator: Translator, least: float) -> Gate:
    """Translated back, too little of the text's meaning is left; see `round_trip`."""

    def gate(pairs: pd.DataFrame) -> np.ndarray:
        return (round_trip(pairs, translator) < least).to_numpy()

    return gate


def round_trip(pairs: pd.DataFrame, translator: Translator) -> pd.Series:
    """Share of the word stems that a text and its translation, translated back, have in common (Dice, 0–1).

    Directions that the translator does not know count as 1: nothing speaks against the row.
    """
    shared = pd.Series(1.0, index=pairs.index)
    for (source, language), part in pairs.groupby(["source", "language"]):
        if translator.supports(str(language), str(source)):
            back, _ = translator.translate(part["after"].tolist(), str(language), str(source))
            both = zip(part["before"], back, strict=True)
            shared[part.index] = [dice(one, other, str(source)) for one, other in both]
    return shared


def dice(one: str, other: str, language: str) -> float:
    """2·|A∩B| / (|A|+|B|) of the sets of word stems without function words; 0 where one of them has none."""
    a, b = _stems(one, language), _stems(other, language)
    return 2 * len(a & b) / (len(a) + len(b)) if a and b else 0.0


def _stems(text: str, language: str) -> set[str]:
    dropped = function_words(language)
    return {stem(word, language) for word in map(unaccent, words(fold(text))) if word not in dropped}


GATES: dict[str, Gate] = {
    "wrong script": wrong_script,
    "wrong language": wrong_language,
    "untranslated copy": untranslated_copy,
    "odd length": odd_length,
    "changed number": changed_number,
    "repeated loop": repeated_loop,
}


def reject(pairs: pd.DataFrame, gates: dict[str, Gate]) -> pd.Series:
    """The name of the first gate that rejects each row, "" where all accept it.

    `pairs`: `before, after` (texts), `source, language` (their languages) and, for `low_confidence`,
    `confidence`.
    A text without any translation is rejected as "no translation" before all gates.
    """
    reasons = pd.Series(np.where(pairs["after"] == "", "no translation", ""), index=pairs.index, dtype="str")
    for name, gate in gates.items():
        still = pairs[reasons == ""]
        if len(still):
            reasons.loc[still.index[gate(still)]] = name
    return reasons


def _over_rows(pairs: pd.DataFrame, rejects: Callable[[str, str, str, str], bool]) -> np.ndarray:
    columns = (pairs[name] for name in ("before", "after", "source", "language"))
    return np.fromiter((rejects(*row) for row in zip(*columns, strict=True)), dtype=bool, count=len(pairs))
