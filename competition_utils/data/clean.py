"""Cleaning, declared: every rule has a name, is counted, can be switched off; originals stay as they were."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from competition_utils.data.columns import over_unique

# A comma with a blank behind it belongs to the level's name ("automobiles, parts & accessories").
_INNER_COMMA = "\ue000"


def _hide_inner_commas(paths: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(paths, r",([\s\p{Z}])", _INNER_COMMA + r"\1")


def split_levels(paths: pd.Series) -> pd.Series:
    """Category paths → tuples of level names, from the top down; "" has no level.

    Levels are joined by a bare comma; a comma followed by a blank is part of a level's name. Joining the
    levels with "," gives the path again.
    """
    codes, unique = pd.factorize(paths)
    split = pc.split_pattern(_hide_inner_commas(pa.array(unique, pa.large_string())), ",")
    levels = np.empty(len(unique), dtype=object)
    for place, names in enumerate(split.to_pylist()):
        levels[place] = tuple(name.replace(_INNER_COMMA, ",") for name in names) if names != [""] else ()
    return pd.Series(levels[codes], index=paths.index)


def category_prefix(paths: pd.Series, depth: int) -> pd.Series:
    """The first `depth` levels of each path, joined by commas; a shorter path stays whole."""
    pattern = rf"(?s)^((?:[^,]*,){{{depth - 1}}}[^,]*),.*$"

    def cut(unique: pa.Array) -> pa.Array:
        prefix = pc.replace_substring_regex(_hide_inner_commas(unique), pattern, r"\1")
        return pc.replace_substring(prefix, _INNER_COMMA, ",")

    return over_unique(paths, cut)
