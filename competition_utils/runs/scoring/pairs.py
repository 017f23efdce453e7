"""Rows with the plain columns `query` and `target`, and rows of either kind as the pairs that a model reads."""

from __future__ import annotations

import pandas as pd

from competition_utils.category_tree.hints import HintWriter
from competition_utils.data.clean import clean_table
from competition_utils.data.languages import UNDETERMINED
from competition_utils.tasks import Task
from competition_utils.translation.interface import Translator, translate_table
from competition_utils.translation.meanings import disambiguate
from competition_utils.translation.titles import english_titles

PLAIN_FIELDS = {"query", "target"}
CHUNK_ROWS = 50_000


def plain_rows(given: pd.DataFrame) -> pd.DataFrame:
    """`id, language, origin_query, origin_target` of rows with `query, target`; texts stay as they are.

    `id` is null where the rows have none, and `language` "und".
    """
    given = given.reindex(columns=["id", "language", "query", "target"])
    return pd.DataFrame(
        {
            "id": given["id"],
            "language": given["language"].astype("str").fillna(UNDETERMINED),
            "origin_query": given["query"].fillna("").astype("str"),
            "origin_target": given["target"].astype("str").where(given["target"].notna()),
        }
    )


def clean_pairs(table: pd.DataFrame, task: Task) -> pd.DataFrame:
    """A table as a model reads it, still without translations; the texts as given are left behind."""
    return clean_table(table, task)[0].drop(columns=["origin_query", "origin_target"])


def model_input(pairs: pd.DataFrame, translator: Translator | None, writer: HintWriter | None) -> pd.DataFrame:
    """The pairs with `query_en` and `target_en`, "" where there is no translation, and `category_hint`, "" where the
    model was fitted without hints."""
    query_en = "" if translator is None else translate_table(pairs, translator)
    pairs = pairs.assign(query_en=query_en, target_en=english_titles(pairs, translator))
    pairs = disambiguate(pairs, translator)
    return pairs.assign(category_hint="" if writer is None else writer.hints(pairs))
