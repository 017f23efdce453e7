"""What every translator is, and how the queries of a table get their English.

A translator takes texts of one language and gives texts of another, with a confidence a text where it has
one.
The rows of a table are translated by their unique texts only, each in the language its words are really in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pandas as pd

from competition_utils.data.languages import UNDETERMINED
from competition_utils.translation.pieces import Piece
from competition_utils.translation.words import fold

Translation = tuple[list[str], np.ndarray | None]


def no_pairs() -> pd.DataFrame:
    """What a translator that keeps no phrases knows: `source_lang, source_text, target_text`, without rows."""
    return pd.DataFrame({"source_lang": [], "source_text": [], "target_text": []}, dtype="str")


class Translator(ABC):
    """One way to translate; `engine` and `model` name it in caches and reports."""

    engine: ClassVar[str]
    model: str

    @abstractmethod
    def supports(self, source: str, target: str) -> bool:
        """Whether this translator knows the direction (our language codes: `vn` is Vietnamese)."""

    @abstractmethod
    def translate(self, texts: Sequence[str], source: str, target: str) -> Translation:
        """Texts in the order given, and float32 confidences in 0–1 or None where the engine has none.

        A text it can do nothing with comes back as it is, with confidence 0.
        """

    def guess_language(self, texts: Sequence[str], target: str) -> list[str]:
        """Per text the language its words are in, "" where this translator does not know."""
        return [""] * len(texts)

    def pieces_of_several_meanings(self, text: str, source: str, target: str) -> list[Piece] | None:
        """The pieces of a text's translation, in its order, where one or more may mean several things; None where each
        means one thing, and from engines that give one translation of a text."""
        return None

    def known_pairs(self, target: str) -> pd.DataFrame:
        """`source_lang, source_text, target_text`: the phrases that this translator knows; none for most."""
        return no_pairs()


def translate_table(
    table: pd.DataFrame, translator: Translator, *, column: str = "query", target: str = "en"
) -> pd.Series:
    """A table's texts in `target`: the column `query_en` of an augmented table.

    See `translate_rows`; "" where there is no translation or it would repeat the text.
    """
    return translate_rows(table, translator, column=column, target=target)["translated"].rename("query_en")


def translate_rows(
    table: pd.DataFrame, translator: Translator, *, column: str = "query", target: str = "en"
) -> pd.DataFrame:
    """`translated` (str) and `confidence` (0–1; nan where the engine has none) of each row, same index.

    A row is read in the language of its tag. Where `text_language` differs from the tag (a mis-tagged row),
    or the tag is `target` and the translator recognises another language, the reading with the higher
    confidence wins. An engine without confidences follows `text_language` on rows tagged `target` only:
    short queries are often taken for a sister language, while foreign queries tagged `en` are a known fault
    of the data.

    `table` needs `language` and `column`, and may have `text_language` ("" or "und": not known).
    """
    tag = table["language"]
    detected = table.get("text_language", tag)
    other = detected.where(detected.notna() & ~detected.isin(["", UNDETERMINED]), tag)
    rows = pd.DataFrame({"text": table[column].fillna("").array, "tag": tag.array, "other": other.array}, dtype="str")
    place = rows.groupby(["text", "tag", "other"], sort=False).ngroup().to_numpy()
    unique = rows.drop_duplicates(ignore_index=True)
    translated, confidence = _translate_unique(unique, translator, target)
    return pd.DataFrame(
        {"translated": pd.array(translated[place], dtype="str"), "confidence": confidence[place]},
        index=table.index,
    )


def _translate_unique(unique: pd.DataFrame, translator: Translator, target: str) -> tuple[np.ndarray, np.ndarray]:
    tagged_target = (unique["tag"] == target).to_numpy()
    by_tag, sure_by_tag = _read_as(unique["text"], unique["tag"], translator, target)
    unsure = tagged_target & (unique["other"] == unique["tag"]).to_numpy()
    other = unique["other"].copy()
    other[unsure] = translator.guess_language(unique.loc[unsure, "text"].tolist(), target)
    differs = other.where(other != unique["tag"], "")
    by_other, sure_by_other = _read_as(unique["text"], differs, translator, target)
    # nan: the engine has no confidences (and a reading that was not made has −1).
    better = np.where(np.isnan(sure_by_other), tagged_target, sure_by_other > np.maximum(sure_by_tag, 0))
    translated = np.where(better, by_other, by_tag)
    confidence = np.maximum(np.where(better, sure_by_other, sure_by_tag), 0)
    folded = zip(map(fold, translated), map(fold, unique["text"]), strict=True)
    useless = np.array([new in ("", old) for new, old in folded], dtype=bool)
    return np.where(useless, "", translated), np.where(useless, 0, confidence)


def _read_as(
    texts: pd.Series, languages: pd.Series, translator: Translator, target: str
) -> tuple[np.ndarray, np.ndarray]:
    """Translate each text from its language; "" and −1 where the direction is unknown, nan without
    confidences.
    """
    translated = np.full(len(texts), "", dtype=object)
    confidence = np.full(len(texts), -1.0, dtype=np.float32)
    for language, places in texts.groupby(languages.to_numpy()).indices.items():
        if language not in ("", target) and translator.supports(str(language), target):
            new, sure = translator.translate(texts.iloc[places].tolist(), str(language), target)
            translated[places] = new
            confidence[places] = np.nan if sure is None else sure
    return translated, confidence
