"""Work on a text column through its different texts: what occurs many times is worked on once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa


def text_array(texts: object) -> pa.Array:
    """Texts as one large_string array; of a column of no rows, pyarrow itself would make a ChunkedArray."""
    array = pa.array(texts, pa.large_string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def over_unique(texts: pd.Series, change: Callable[[pa.Array], pa.Array]) -> pd.Series:
    """Apply `change` (large_string array → array of the same length) to the different texts of a column."""
    codes, unique = pd.factorize(texts)
    changed = change(text_array(unique))
    return pd.Series(changed.to_pandas().array.take(codes), index=texts.index)


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
