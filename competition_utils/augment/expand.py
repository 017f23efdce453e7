"""Rows in the languages that dev and test have and train lacks, in a controlled number.

A row of train is translated: its query for both tasks, its title too for a share of QI. Label, target and
fold stay.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from competition_utils.augment.rows import add_rows, originals, sample_stratified
from competition_utils.augment.tools import Tools
from competition_utils.data.clean import split_levels
from competition_utils.settings.strategy import ExpandLanguages, TranslateTitles
from competition_utils.tasks import QC
from competition_utils.translation.gates import Gate, changed_number, lost_in_round_trip, low_confidence, reject
from competition_utils.translation.interface import translate_rows
from competition_utils.translation.titles import language_if_foreign

PIVOT = "en"
TRIED = 1.6  # rows translated for one wanted, since gates reject some


def expand_languages(table: pd.DataFrame, tools: Tools, settings: ExpandLanguages) -> pd.DataFrame:
    """Translate queries of train into other languages and append the rows.

    Rows are sampled so that labels, top categories (QC) and source languages keep their shares. A row whose
    language the translator cannot turn into the wanted one goes over English. Its `query_en` is the new query
    translated back, as a shopper's query in that language will be.
    """
    wanted = list(tools.new_languages) if settings.languages is None else settings.languages
    translator = tools.translator
    if translator is None or not wanted:
        why = "there is no translator" if translator is None else "dev and test have no language that train lacks"
        tools.notes.append(f"expand_languages made no rows: {why}")
        return table
    first = originals(table)
    rows = _rows_per_language(first, len(wanted), settings)
    readable = _with_english(first, tools, settings.min_confidence)
    strata = _strata(readable, tools)
    gates = {
        **tools.gates,
        "low confidence": low_confidence(settings.min_confidence),
        "lost in round trip": lost_in_round_trip(translator, settings.min_round_trip),
    }
    for language in wanted:
        if not translator.supports(PIVOT, language):
            tools.notes.append(f"expand_languages: the translator does not know {PIVOT}→{language}")
            continue
        rng = tools.rng(f"expand {language}")
        tried = sample_stratified(readable.join(strata), int(rows * TRIED), list(strata), rng)
        made = _translate_queries(tried, language, gates, tools)
        made = sample_stratified(made, rows, list(strata), rng).drop(columns=list(strata))
        made = made.assign(weight=np.float32(settings.weight))
        table = add_rows(table, made, source="translated", step="expand_languages")
    return table


def translate_titles(table: pd.DataFrame, tools: Tools, settings: TranslateTitles) -> pd.DataFrame:
    """For QI: rows whose English title is put into the language of the query, labels in their proportion.

    Most of a title's keywords must be known, hence the gate on confidence; brands and codes stay.
    """
    translator = tools.translator
    if translator is None or tools.task.name == QC.name:
        return table
    for language in sorted(set(table["language"]) - {PIVOT}):
        rows = table[(table["language"] == language) & _in_english(table["target"])]
        wanted = int(len(rows) * settings.share)
        if not wanted or not translator.supports(PIVOT, language):
            continue
        rng = tools.rng(f"titles {language}")
        tried = sample_stratified(rows, int(wanted * TRIED * 2), ["label"], rng)
        tried = tried[language_if_foreign(tried["target"]) == ""]  # Indonesian has plain letters
        texts, confidence = translator.translate(tried["target"].tolist(), PIVOT, language)
        made = tried.assign(before=tried["target"], target=pd.array(texts, dtype="str"))
        gates = {**tools.gates, "low confidence": low_confidence(settings.min_confidence)}
        made = _accepted(made, "target", confidence, PIVOT, gates, tools, "translate_titles")
        made = sample_stratified(made, wanted, ["label"], rng)
        made = made.assign(weight=np.float32(settings.weight))
        table = add_rows(table, made, source="translated_title", step="translate_titles")
    return table


def _in_english(titles: pd.Series) -> pd.Series:
    """bool: whether a title may be English, as far as its letters show (Latin, no letter with an accent)."""
    return titles.str.contains("[A-Za-z]", regex=True) & ~titles.str.contains(r"[^\x00-\x7F]", regex=True)


def _rows_per_language(first: pd.DataFrame, languages: int, settings: ExpandLanguages) -> int:
    usual = settings.rows_per_language or len(first) // max(first["language"].nunique(), 1)
    return min(usual, int(settings.cap * len(first)) // languages)


def _with_english(first: pd.DataFrame, tools: Tools, min_confidence: float) -> pd.DataFrame:
    """Rows that can be read in English: `pivot` is their sure translation, or the query where it is
    English.
    """
    done = _read_in_english(first, tools)
    pairs = pd.DataFrame({"before": first["query"], "after": done["translated"]}).assign(source="", language=PIVOT)
    sure = ~(done["confidence"] < min_confidence) & (done["translated"] != "") & ~changed_number(pairs)
    english = (first["language"] == PIVOT) & (done["translated"] == "")
    pivot = first["query"].where(english, done["translated"].where(sure, ""))
    return first.assign(pivot=pivot)[lambda rows: rows["pivot"] != ""]


def _read_in_english(first: pd.DataFrame, tools: Tools) -> pd.DataFrame:
    """`translate_rows` into English, which has been done for the column `query_en` of the rows of the files."""
    if tools.english is None:
        return translate_rows(first, tools.translator, target=PIVOT)
    return tools.english.loc[first["id"]].set_index(first.index)


def _strata(rows: pd.DataFrame, tools: Tools) -> pd.DataFrame:
    strata = pd.DataFrame({"of_label": rows["label"], "of_language": rows["language"]}, index=rows.index)
    if tools.task.name == QC.name:
        strata["of_category"] = split_levels(rows["target"]).str[0].fillna("")
    return strata


def _translate_queries(rows: pd.DataFrame, language: str, gates: dict[str, Gate], tools: Tools) -> pd.DataFrame:
    """Translated copies of `rows`, those that pass the gates."""
    translator = tools.translator
    direct = np.array([translator.supports(source, language) for source in rows["language"]], dtype=bool)
    before = rows["query"].where(direct, rows["pivot"])
    spoken = rows["language"].where(direct, PIVOT)
    texts = pd.DataFrame({"query": before, "language": spoken}).assign(text_language=spoken)
    done = translate_rows(texts, translator, target=language)
    made = rows.assign(before=before, query=done["translated"])
    made["confidence"] = done["confidence"].to_numpy()
    made = _accepted(
        made.assign(language=language), "query", made["confidence"], spoken, gates, tools, "expand_languages"
    )
    back = translate_rows(made[["query", "language"]], translator, target=PIVOT)["translated"]
    made = made.assign(query_en=back)
    if "text_language" in made:
        made = made.assign(text_language=language, language_confidence=1.0)
    return made.drop(columns="pivot")


def _accepted(
    made: pd.DataFrame,
    column: str,
    confidence: np.ndarray | pd.Series | None,
    spoken: pd.Series | str,
    gates: dict[str, Gate],
    tools: Tools,
    step: str,
) -> pd.DataFrame:
    """The rows that all gates accept, `gate` naming them; the others go into the rejection log."""
    pairs = made[["before", "language"]].assign(
        after=made[column], source=spoken, confidence=1.0 if confidence is None else np.nan_to_num(confidence, nan=1.0)
    )
    different = pairs.drop_duplicates(["before", "after", "source", "language"])
    reason = different.assign(reason=reject(different, gates))
    reasons = pairs.merge(reason, on=["before", "after", "source", "language"], how="left")["reason"].to_numpy()
    reasons = pd.Series(reasons, index=made.index, dtype="str")
    tools.rejections.add(step, reasons, made, before="before", after=column)
    kept = made[reasons == ""]
    return kept.assign(gate=", ".join(gates)).drop(columns=["before", "confidence"], errors="ignore")
