"""Columns of texts: work on the different texts only, number equal keys, and the English of a query."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def text_array(texts: object) -> pa.Array:
    """Texts as one large_string array; of a column of no rows, pyarrow itself would make a ChunkedArray."""
    array = pa.array(texts, pa.large_string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def over_unique(texts: pd.Series, change: Callable[[pa.Array], pa.Array]) -> pd.Series:
    """Apply `change` (large_string array → array of the same length) to the different texts of a column."""
    codes, unique = pd.factorize(texts)
    changed = change(text_array(unique))
    return pd.Series(changed.to_pandas().array.take(codes), index=texts.index)


def split_words(texts: pa.Array) -> pa.LargeListArray:
    """The lower-case words of each text, runs of letters, marks and digits; "" where a text begins or ends otherwise.

    Statistics count words this way; a lexicon's look-ups keep decimals and model codes whole (`translation.words`).
    """
    return pc.split_pattern_regex(pc.utf8_lower(texts), r"[^\p{L}\p{M}\p{N}]+")


def words_by_row(texts: pd.Series) -> pd.DataFrame:
    """The different words of each text: `row` (0 to n-1, by position), `word`; no row for a text without words."""
    words = split_words(pa.array(texts, pa.large_string(), from_pandas=True))
    pairs = pd.DataFrame({"row": pc.list_parent_indices(words), "word": pc.list_flatten(words).to_pandas()})
    return pairs[pairs["word"] != ""].drop_duplicates()


def english_query(rows: pd.DataFrame) -> pd.Series:
    """`query_en`, the English of each query; the query itself where there is none ("") or no such column."""
    return _english(rows, "query")


def english_target(rows: pd.DataFrame) -> pd.Series:
    """`target_en`, the English of each title in another language; the target itself where there is none, as above."""
    return _english(rows, "target")


def _english(rows: pd.DataFrame, of: str) -> pd.Series:
    if f"{of}_en" not in rows:
        return rows[of]
    return rows[of].where(rows[f"{of}_en"].fillna("") == "", rows[f"{of}_en"])


def hint(rows: pd.DataFrame) -> pd.Series:
    """`category_hint` of each row, see `category_tree.hints`; "" where there is none or no such column."""
    if "category_hint" not in rows:
        return pd.Series("", index=rows.index, dtype="str")
    return rows["category_hint"].fillna("")


def relations_of(hints: pd.Series) -> pd.Series:
    """All of each hint but the category's name; "" for ""."""
    return hints.str.extract(r"^((?:\d\d )?(?:[a-z]+ )+\d)(?: |$)")[0].fillna("")


def group_codes(*keys: pd.Series) -> tuple[np.ndarray, int]:
    """int64 [n] number of each row's group of equal keys, and how many groups there are.

    Groups are numbered in the sorted order of their keys, so that the numbers do not depend on the order of
    the rows.
    """
    codes = np.zeros(len(keys[0]), dtype=np.int64)
    for key in keys:
        part, values = pd.factorize(key, sort=True)
        codes = codes * (len(values) + 1) + part
        codes = pd.factorize(codes, sort=True)[0].astype(np.int64)
    return codes, int(codes.max(initial=-1)) + 1
