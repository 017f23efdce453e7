"""The competition's languages: codes, names, scripts, reading direction.

The official files write Vietnamese as `vn` (ISO 639-1 says `vi`); every other code is the ISO one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """One language: `code` as in the files, `iso` as in ISO 639-1, `scripts` as named in SCRIPTS."""

    code: str
    name: str
    native_name: str
    scripts: tuple[str, ...]
    iso: str
    direction: str = "ltr"


_LATIN = ("latin",)
LANGUAGES: dict[str, Language] = {
    language.code: language
    for language in (
        Language("en", "English", "English", _LATIN, "en"),
        Language("es", "Spanish", "español", _LATIN, "es"),
        Language("fr", "French", "français", _LATIN, "fr"),
        Language("ja", "Japanese", "日本語", ("kana", "han"), "ja"),
        Language("ko", "Korean", "한국어", ("hangul",), "ko"),
        Language("pt", "Portuguese", "português", _LATIN, "pt"),
        Language("th", "Thai", "ไทย", ("thai",), "th"),
        Language("ar", "Arabic", "العربية", ("arabic",), "ar", direction="rtl"),
        Language("de", "German", "Deutsch", _LATIN, "de"),
        Language("it", "Italian", "italiano", _LATIN, "it"),
        Language("pl", "Polish", "polski", _LATIN, "pl"),
        Language("id", "Indonesian", "Bahasa Indonesia", _LATIN, "id"),
        Language("vn", "Vietnamese", "Tiếng Việt", _LATIN, "vi"),
        Language("tr", "Turkish", "Türkçe", _LATIN, "tr"),
        Language("ru", "Russian", "русский", ("cyrillic",), "ru"),
    )
}


def language_name(code: str) -> str:
    """English name of a language code; a code that nobody knows stands for itself."""
    return LANGUAGES[code].name if code in LANGUAGES else code
