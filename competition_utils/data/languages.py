"""The language that a text is written in, and whether its tag fits.

Detection combines three kinds of evidence and one prior. The script decides what it can (kana, hangul, Thai,
Arabic, Cyrillic). Between languages in Latin letters, the table's own words speak first (`word_evidence`),
then lingua, limited to these languages. The tag is the prior: most rows are tagged rightly, so it takes
evidence to call a tag wrong.
"""

from __future__ import annotations

import hashlib
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from competition_utils.data.columns import text_array
from competition_utils.data.lexicon import load_lexicon
from competition_utils.data.word_evidence import word_evidence
from competition_utils.errors import DamagedFile
from competition_utils.progress import progress
from competition_utils.storage import read_parquet, write_parquet
from competition_utils.tasks import LANGUAGES, LATIN

UNDETERMINED = "und"

SCRIPTS: dict[str, str] = {
    "latin": r"\p{Latin}",
    "kana": r"[\p{Hiragana}\p{Katakana}ー]",
    "han": r"\p{Han}",
    "hangul": r"\p{Hangul}",
    "thai": r"\p{Thai}",
    "arabic": r"\p{Arabic}",
    "cyrillic": r"\p{Cyrillic}",
}
_LANGUAGE_OF_SCRIPT = {
    "kana": "ja",
    "han": "ja",
    "hangul": "ko",
    "thai": "th",
    "arabic": "ar",
    "cyrillic": "ru",
}
_LATIN_CODES = [language.code for language in LANGUAGES.values() if language.scripts == LATIN]

# The weights were chosen on taxobench dev, whose true languages are known; see docs/LOG.md.
_LINGUA_WEIGHT = 1.5
_WORD_WEIGHT = 0.5
_TAG_TRUST = 0.95
_ENGLISH_TAG_TRUST = 0.86  # about 14% of the rows tagged en hold another language
_BRAND_UNLESS = 0.9  # Latin letters under a tag of another script are a brand, unless a language is that sure
_WORDS_DECIDE = np.log(100.0)  # odds of the best language against the next; lingua is not asked beyond
_VERSION = 3  # a part of the cache's key: raise it when the evidence changes


def language_name(code: str) -> str:
    """English name of a language code; an unknown code stands for itself."""
    return LANGUAGES[code].name if code in LANGUAGES else code


def scripts_of(texts: pd.Series) -> pd.DataFrame:
    """Letters of each script in each text: int columns as in SCRIPTS, the index of `texts`."""
    codes, unique = pd.factorize(texts)
    counts = _count_scripts(text_array(unique))
    return pd.DataFrame(counts[codes], columns=list(SCRIPTS), index=texts.index)


def _count_scripts(texts: pa.Array) -> np.ndarray:
    """int64 [texts, scripts]"""
    return np.stack([pc.count_substring_regex(texts, letter).to_numpy() for letter in SCRIPTS.values()], axis=1)


def detect(
    texts: pd.Series,
    tags: pd.Series | None = None,
    *,
    tag_prior: bool = True,
    cache_dir: Path | str | None = None,
) -> pd.DataFrame:
    """The language that each text is written in, beside the tag that it carries.

    Gives `text_language` (a code, or "und" where codes and brands are all there is) and `language_confidence`
    (0–1, the probability of that language; 0 for "und"), with the index of `texts`. With `tags`, the words of
    the other texts under each tag are evidence; with `tag_prior` the row's own tag counts too, which answers
    "does the tag fit the text?". Give all splits of a task at once: more words make better evidence. Results
    are cached in `cache_dir` under the hash of what they were made from.
    """
    tag_column = pd.Series("", index=texts.index, dtype="str") if tags is None else tags
    pairs = pd.DataFrame({"text": texts.array, "tag": tag_column.array})
    different = pairs.drop_duplicates().sort_values(["text", "tag"], ignore_index=True)
    cached = Path(cache_dir) / f"languages_{_content_hash(different, tag_prior)}.parquet" if cache_dir else None
    found = None if cached is None else _read_cached(cached)
    if found is None:
        found = _detect_different(different, tag_prior=tag_prior)
        if cached is not None:
            write_parquet(cached, found)
    result = pairs.merge(different.join(found), on=["text", "tag"], how="left", validate="many_to_one")
    return result[["text_language", "language_confidence"]].set_index(texts.index)


def _read_cached(path: Path) -> pd.DataFrame | None:
    """An earlier result; None where there is none, or (with a warning) where its file is damaged."""
    try:
        return read_parquet(path, need=["text_language", "language_confidence"]) if path.is_file() else None
    except DamagedFile as error:
        warnings.warn(f"language detection runs again: {error}", stacklevel=3)
        return None


def mis_tagged(table: pd.DataFrame) -> pd.Series:
    """bool: the text is more likely than not in another language than `language` says.

    "und" and unknown tags are never mis-tagged.
    """
    sure = (table["language_confidence"] > 0.5) & (table["text_language"] != UNDETERMINED)
    return sure & (table["text_language"] != table["language"]) & table["language"].isin(list(LANGUAGES))


def _content_hash(pairs: pd.DataFrame, tag_prior: bool) -> str:
    digest = hashlib.sha256(f"{_VERSION} {tag_prior}".encode())
    for column in pairs:
        digest.update("\0".join(pairs[column]).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


def _detect_different(pairs: pd.DataFrame, *, tag_prior: bool) -> pd.DataFrame:
    """`text_language, language_confidence` of different pairs of `text, tag`."""
    place, unique = pd.factorize(pairs["text"])
    texts = text_array(unique)
    tagged = np.zeros((len(unique), len(LANGUAGES)))
    tag_code = pd.Index(list(LANGUAGES)).get_indexer(pairs["tag"])
    tagged[place[tag_code >= 0], tag_code[tag_code >= 0]] = 1
    log_odds, wordless = _latin_evidence(texts, tagged)
    by_script, script_share = _decide_by_script(_count_scripts(texts))

    log_odds = log_odds[place] + (_log_prior(pairs["tag"]) if tag_prior else 0)
    odds = np.exp(log_odds - log_odds.max(axis=1, keepdims=True))
    language = np.array(_LATIN_CODES)[odds.argmax(axis=1)]
    confidence = odds.max(axis=1) / odds.sum(axis=1)
    unsure = wordless[place] | (
        _is_foreign_to_latin(pairs["tag"]) & (confidence < _BRAND_UNLESS) if tag_prior else False
    )
    language = np.where(unsure, UNDETERMINED, language)
    confidence = np.where(unsure, 0, confidence)
    decided = by_script[place] != ""
    language = np.where(decided, by_script[place], language)
    confidence = np.where(decided, script_share[place], confidence)
    found = {"text_language": pd.Series(language, dtype="str"), "language_confidence": confidence}
    return pd.DataFrame(found).astype({"language_confidence": "float32"})


def _decide_by_script(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The language that the letters outside Latin belong to, "" without any, and its share of these.

    Queries mix in Latin brands and codes (`gopro12 フィルム`), so any letter of another script decides.
    """
    codes = list(dict.fromkeys(_LANGUAGE_OF_SCRIPT.values()))
    letters = np.zeros((len(counts), len(codes)))
    for script, code in _LANGUAGE_OF_SCRIPT.items():
        letters[:, codes.index(code)] += counts[:, list(SCRIPTS).index(script)]
    total = letters.sum(axis=1)
    language = np.where(total > 0, np.array(codes)[letters.argmax(axis=1)], "")
    return language, letters.max(axis=1) / np.maximum(total, 1)


def _latin_evidence(texts: pa.Array, tagged: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log odds [texts, Latin languages] from words and lingua, and which texts have no word to judge by."""
    latin = [list(LANGUAGES).index(code) for code in _LATIN_CODES]
    known, known_tagged = _lexicon_texts()
    words = word_evidence(pa.concat_arrays([texts, known]), np.vstack([tagged, known_tagged])).head(len(texts))
    by_words = words.log_likelihood[:, latin].astype(np.float64)
    best_two = np.sort(by_words, axis=1)[:, -2:]
    has_latin = pc.match_substring_regex(texts, SCRIPTS["latin"]).to_numpy(zero_copy_only=False)
    asked = np.flatnonzero(has_latin & ~words.wordless & (best_two[:, 1] - best_two[:, 0] < _WORDS_DECIDE))
    by_lingua = np.zeros_like(by_words)
    by_lingua[asked] = np.log(_ask_lingua(texts.take(pa.array(asked)).to_pylist()) + 1e-4)
    return _WORD_WEIGHT * by_words + _LINGUA_WEIGHT * by_lingua, words.wordless


@cache
def _lexicon_texts() -> tuple[pa.Array, np.ndarray]:
    """The built-in lexicon's phrases as tagged texts: words of each language that any data may be judged by."""
    pairs = load_lexicon().pairs()
    foreign = pairs.loc[pairs["target_lang"] == "en", ["source_text", "source_lang"]].set_axis(["text", "tag"], axis=1)
    english = pd.DataFrame({"text": pairs.loc[pairs["source_lang"] == "en", "source_text"].unique(), "tag": "en"})
    phrases = pd.concat([foreign, english])
    tagged = phrases["tag"].to_numpy()[:, None] == np.array(list(LANGUAGES))[None, :]
    return text_array(phrases["text"]), tagged.astype(np.float64)


def _log_prior(tags: pd.Series) -> np.ndarray:
    """[rows, Latin languages]: the tag is right with its trust, the rest is shared by the other languages."""
    trust = np.where(tags == "en", _ENGLISH_TAG_TRUST, _TAG_TRUST)
    others = (1 - trust) / (len(_LATIN_CODES) - 1)
    own = tags.to_numpy()[:, None] == np.array(_LATIN_CODES)[None, :]
    return np.log(np.where(own, trust[:, None], np.where(own.any(axis=1), others, 1.0)[:, None]))


def _is_foreign_to_latin(tags: pd.Series) -> np.ndarray:
    """bool: the tag's language is not written in Latin letters."""
    return tags.isin([code for code in LANGUAGES if code not in _LATIN_CODES]).to_numpy()


@cache
def _lingua():
    # Imported only when wanted: the extension and its models take half a gigabyte.
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    codes = [getattr(IsoCode639_1, LANGUAGES[code].iso.upper()) for code in _LATIN_CODES]
    return LanguageDetectorBuilder.from_iso_codes_639_1(*codes).build()


def _ask_lingua(texts: list[str], chunk: int = 20_000) -> np.ndarray:
    """Confidence [texts, Latin languages], each row sums to 1."""
    iso = [LANGUAGES[code].iso for code in _LATIN_CODES]
    confidence = np.zeros((len(texts), len(iso)))
    with progress(total=len(texts), what="detecting languages", unit="queries") as bar:
        for start in range(0, len(texts), chunk):
            rows = _lingua().compute_language_confidence_values_in_parallel(texts[start : start + chunk])
            places = {value.language: iso.index(value.language.iso_code_639_1.name.lower()) for value in rows[0]}
            columns = [[places[value.language] for value in row] for row in rows]
            values = [[value.value for value in row] for row in rows]
            np.put_along_axis(confidence[start : start + chunk], np.array(columns), np.array(values), axis=1)
            bar.update(len(rows))
    return confidence
