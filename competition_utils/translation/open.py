"""The translator that a setting means."""

from __future__ import annotations

from pathlib import Path

from competition_utils.data.files import find_lexicon
from competition_utils.data.lexicon import load_lexicon
from competition_utils.settings.own_code import is_own, own_code
from competition_utils.translation.cache import TranslationCache
from competition_utils.translation.interface import Translator
from competition_utils.translation.lexicon import LexiconTranslator
from competition_utils.translation.lexicon_file import COLUMNS
from competition_utils.translation.neural import FAMILIES, FOUR_BIT, InstructTranslator, Seq2SeqTranslator

AUTO, NONE, BUILT_IN = "auto", "none", "built_in"
CACHE_FILE = "translations.sqlite"


def open_translator(choice: str, data_dir: Path | str, cache_dir: Path | str | None = None) -> Translator | None:
    """The translator that a setting means.

    "auto": the data folder's `lexicon.tsv[.gz]`, none where there is none; "built_in": the words of the built-in
    sample; "none"; "FAMILY:MODEL" with one of `neural.FAMILIES`, or "instruct:MODEL", "instruct_4bit:MODEL" and
    "instruct_16bit:MODEL" for language models, whose translations are kept in `cache_dir`; "python:MODULE:CLASS", a
    `Translator` of your own that is made without arguments; else the path of a lexicon.
    """
    if choice == NONE:
        return None
    if choice == AUTO:
        path = find_lexicon(data_dir)
        return None if path is None else LexiconTranslator.from_file(path)
    if choice == BUILT_IN:
        return LexiconTranslator(load_lexicon().pairs()[COLUMNS], model=BUILT_IN)
    if is_own(choice):
        return own_code(choice, Translator)()
    family, colon, model = choice.partition(":")
    if not colon or family not in (*FAMILIES, *FOUR_BIT):
        return LexiconTranslator.from_file(choice)
    cache = None if cache_dir is None else TranslationCache(Path(cache_dir) / CACHE_FILE)
    if family in FOUR_BIT:
        return InstructTranslator(model, cache, four_bit=FOUR_BIT[family])
    return Seq2SeqTranslator(model, family, cache)
