"""Words of queries in fourteen languages: folding, splitting, light stems, spelling, function words.

It serves look-ups in a lexicon, where a wrong stem costs a missed phrase and nothing else. Stems follow the idea of
J. Savoy's light stemmers (2006), number, gender and case endings only: Snowball's stems merge more words, and found
fewer of the held-out phrases' words (docs/LOG.md).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from functools import lru_cache

from rapidfuzz import process
from rapidfuzz.distance import OSA

# Languages whose script does not separate words: phrases are matched over characters there.
UNSEGMENTED = frozenset({"ja", "th", "zh", "lo", "km", "my"})
# Languages where another accent makes another word: what is written with accents is looked up by them.
TONAL = frozenset({"vn"})
SHORTEST_CORRECTED = 6  # letters: one edit in a shorter word too often gives another word
LONGEST_CORRECTED = 24

# Decimals ("1.5m") and model codes ("AX-66") are one word each.
CODE = r"\d+(?:[.,]\d+)+{unit}*|(?<!{unit})[a-zA-Z]{{1,3}}-\d{{2,}}{unit}*"
WORD = re.compile(CODE.format(unit=r"[^\W_]") + r"|[^\W_]+(?:['’][^\W_]+)*")
# Letters that Unicode does not take apart into a base letter and an accent.
_UNDIVIDED = str.maketrans(
    {
        "ł": "l",
        "đ": "d",
        "ß": "ss",
        "ø": "o",
        "æ": "ae",
        "œ": "oe",
        "ı": "i",
        "’": "'",
        "أ": "ا",
        "إ": "ا",
        "آ": "ا",
    }
)
# What may not begin a Thai piece: vowels and tone marks that belong to the consonant before them …
_THAI_BOUND = frozenset("ะาำๅๆฯ")
# … and vowels written before their consonant, which may not end one.
_THAI_OPEN = frozenset("เแโใไ")

_FUNCTION_WORDS = {
    "ar": "في من على مع الى إلى عن لل و أو",
    "de": "und oder für mit von zum zur aus in im am der die das den dem des ein eine einen einer auf an",
    "en": "and or for with of the a an in on to from by",
    "es": "y e o u de del la el los las para con por en un una al sin",
    "fr": "et ou de du des la le les l d pour avec en au aux un une à sur",
    "id": "dan atau untuk dengan dari di ke yang",
    "it": "e ed o di del della dello dei degli delle la il lo i gli le l per con da in un una a al alla d",
    "ja": "の と や 用 および ・ で に を",
    "ko": "및 과 와 의 또는 용",
    "pl": "i oraz lub do dla z ze na w we od po o",
    "pt": "e ou de do da dos das para com em no na o a os as um uma por sem",
    "ru": "и или для с со из в на от по",
    "th": "และ หรือ สำหรับ ของ ที่ กับ",
    "tr": "ve veya için ile",
    "vn": "và hoặc cho của với bằng có các",
}

# Endings, longest first; a stem keeps at least three letters.
_ENDINGS = {
    "de": "ern en er es em e n s",
    "en": "ies es s",
    "es": "iones ciones ces es as os s a o e",
    "fr": "eaux aux elles ennes ives euses ives es elle enne euse s x e",
    "id": "nya",
    "it": "chi che ghi ghe ie i e o a",
    "ko": "들",
    "pl": "owych owymi owego owej owym owa owe owy ami ach ych ymi ego iej ej ym im ów om ie ą ę y i e a o u",
    "pt": "ões ães ais éis eis oes aes es as os ns s a o e",
    "ru": "ами ями ого его ому ему ыми ими ах ях ов ев ей ой ый ий ая яя ое ее ые ие ы и а я о е у ю ь",
    "tr": "ları leri lar ler ı i u ü",
}
# Endings that change rather than go: plural → the letters a singular's own ending leaves behind.
_REPLACED = {
    "en": {"ies": "y"},
    "es": {"ces": "z"},
    "fr": {"eaux": "eau", "aux": "al", "elles": "el", "elle": "el", "ennes": "en", "enne": "en"},
    "it": {"chi": "c", "che": "c", "ghi": "g", "ghe": "g"},
    "pt": {
        "ões": "ão",
        "oes": "ao",
        "ães": "ão",
        "aes": "ao",
        "ais": "al",
        "éis": "el",
        "eis": "el",
        "ns": "m",
    },
}


def fold(text: str) -> str:
    """Compatibility forms made plain and case folded: what two spellings must share to be "the same"."""
    return unicodedata.normalize("NFKC", text).casefold().translate({0x2019: "'"})


@lru_cache(maxsize=1 << 18)
def unaccent(text: str) -> str:
    """Folded text without accents; letters of scripts whose marks are no accents (Thai, kana, Hangul)
    stay.
    """
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFD", text)
    kept = "".join(mark for mark in apart if not ("\u0300" <= mark <= "\u036f" or "\u064b" <= mark <= "\u0652"))
    return unicodedata.normalize("NFC", kept).translate(_UNDIVIDED)


def has_accents(text: str) -> bool:
    """Whether a text has a letter that `unaccent` changes."""
    folded = fold(text)
    return unaccent(folded) != folded


def words(text: str) -> list[str]:
    """The runs of letters and digits of a text, in order, as they stand (combining marks kept with their
    letter).
    """
    if text.isascii():
        return WORD.findall(text)
    return [piece for piece in _word_pattern().findall(text) if piece]


@lru_cache(maxsize=1)
def _word_pattern() -> re.Pattern[str]:
    # Marks are no \w, yet Thai vowels and tone marks are part of their word.
    marks = r"\u0300-\u036f\u0610-\u061a\u064b-\u065f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u3099\u309a"
    unit = rf"(?:[^\W_]|[{marks}])"
    return re.compile(CODE.format(unit=unit) + rf"|{unit}+(?:['’]{unit}+)*")


@lru_cache(maxsize=1 << 18)
def stem(word: str, language: str) -> str:
    """Folded word → its unaccented stem; words of three letters and fewer, or with a digit, are only
    unaccented.
    """
    if len(word) > 3 and not any(letter.isdigit() for letter in word):
        for ending in _endings(language):
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                word = word[: -len(ending)] + _REPLACED.get(language, {}).get(ending, "")
                break
    return unaccent(word)


@lru_cache(maxsize=64)
def _endings(language: str) -> tuple[str, ...]:
    return tuple(sorted(set(_ENDINGS.get(language, "").split()), key=len, reverse=True))


@lru_cache(maxsize=64)
def function_words(language: str) -> frozenset[str]:
    """Articles, prepositions and conjunctions, with and without accents; shoppers drop them at will."""
    listed = _FUNCTION_WORDS.get(language, "").split()
    return frozenset(listed) | frozenset(unaccent(word) for word in listed)


def may_cut(text: str, place: int) -> bool:
    """Whether a piece of a text in an unsegmented script may begin at `place` (never inside a written syllable)."""
    if place in (0, len(text)):
        return True
    before, after = text[place - 1], text[place]
    if before.isascii() and after.isascii() and before.isalnum() and after.isalnum():
        return False
    return not (unicodedata.combining(after) or unicodedata.category(after) == "Mn" or after in _THAI_BOUND) and (
        before not in _THAI_OPEN and after not in "ーっゃゅょァィゥェォッャュョ"
    )


class SpellingIndex:
    """Known words within one edit of a word (insertion, deletion, replacement, swap of neighbours)."""

    def __init__(self, counts: Counter[str], language: str):
        self._counts = counts
        self._language = language
        self._stems = {stem(word, language) for word in counts}
        self._by_first_letter: dict[str, list[str]] = defaultdict(list)
        for word in counts:
            if SHORTEST_CORRECTED - 1 <= len(word) <= LONGEST_CORRECTED:
                self._by_first_letter[word[0]].append(word)

    def knows(self, word: str) -> bool:
        """Whether a word is known, whatever its ending."""
        return stem(word, self._language) in self._stems

    def correct(self, word: str) -> str | None:
        """The most frequent known word at most one edit away that begins with the same letter."""
        if not SHORTEST_CORRECTED <= len(word) <= LONGEST_CORRECTED or any(letter.isdigit() for letter in word):
            return None
        known = self._by_first_letter.get(word[0], ())
        found = process.extract(word, known, scorer=OSA.distance, score_cutoff=1, limit=None)
        return max((near for near, *_ in found), key=lambda near: (self._counts[near], near), default=None)
