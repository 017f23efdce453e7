"""English for item titles in other languages, as queries have theirs."""

from __future__ import annotations

import pandas as pd

from competition_utils.data.languages import UNDETERMINED, detect
from competition_utils.tasks import QI
from competition_utils.translation.interface import Translator, translate_rows

ENGLISH = "en"
SURE_OF_LANGUAGE = 0.7  # probability from which a title counts as one of another language


def language_if_foreign(titles: pd.Series) -> pd.Series:
    """Per title the language of its words where that is surely not English, else ""; same index."""
    found = detect(titles)
    sure = ~found["text_language"].isin([ENGLISH, UNDETERMINED]) & (found["language_confidence"] >= SURE_OF_LANGUAGE)
    return found["text_language"].where(sure, "")


def english_titles(table: pd.DataFrame, translator: Translator | None) -> pd.Series:
    """The column `target_en` of a table with `task, target`: the English of each QI title in another language.

    "" for a category path, for a title that is English or may be, and where there is no translation. A title's
    language is that of its own words: the tag of a row is that of its query.
    """
    titles = table["target"].fillna("").where(table["task"] == QI.name, "")
    different = pd.DataFrame({"target": titles[titles != ""].unique()})
    if translator is None or different.empty:
        return pd.Series("", index=table.index, dtype="str", name="target_en")
    different["text_language"] = language_if_foreign(different["target"])
    foreign = different[different["text_language"] != ""].assign(language=ENGLISH)
    english = translate_rows(foreign, translator, column="target")["translated"].set_axis(foreign["target"])
    return titles.map(english.to_dict()).astype("str").fillna("").rename("target_en")
