"""The augmented table: original rows with the columns that make every later row traceable.

Columns beyond the clean table: `query_en, source, origin_id, step, gate, weight`, and at last `target_en` and
`category_hint`, see docs/ARCHITECTURE.md.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

ORIGINAL = "original"


def start_table(clean: pd.DataFrame, query_en: pd.Series) -> pd.DataFrame:
    """A clean table as an augmented one: every row `original`, its own origin, of weight 1."""
    return clean.assign(
        query_en=query_en.astype("str"),
        source=pd.Series(ORIGINAL, index=clean.index, dtype="str"),
        origin_id=clean["id"].astype("int64"),
        step=pd.Series("", index=clean.index, dtype="str"),
        gate=pd.Series("", index=clean.index, dtype="str"),
        weight=np.ones(len(clean), dtype=np.float32),
    )


def add_rows(table: pd.DataFrame, created: pd.DataFrame, *, source: str, step: str) -> pd.DataFrame:
    """Append created rows: copies of their origins' rows in which the step has changed texts or label.

    `created` has the table's columns; its `id` is the id of the row that each was made from. Pairs of query
    and target that the table already has are left out, whatever their label: a copy teaches nothing, a
    contradiction harm. New ids follow the largest one; fold and task come from the origin; `gate` is kept
    where given.
    """
    if created.empty:
        return table
    known = pd.MultiIndex.from_frame(table[["query", "target"]])
    pairs = pd.MultiIndex.from_frame(created[["query", "target"]])
    created = created[~pairs.isin(known) & ~pairs.duplicated()]
    first = int(table["id"].max()) + 1
    created = created.assign(
        origin_id=created["origin_id"].astype("int64"),
        id=np.arange(first, first + len(created)),
        source=pd.Series(source, index=created.index, dtype="str"),
        step=pd.Series(step, index=created.index, dtype="str"),
        origin_query=created["query"],
        origin_target=created["target"],
    )
    return pd.concat([table, created[table.columns].astype(table.dtypes.to_dict())], ignore_index=True)


def originals(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that came from the files."""
    return table[table["source"] == ORIGINAL]


def sample_stratified(table: pd.DataFrame, rows: int, strata: list[str], rng: np.random.Generator) -> pd.DataFrame:
    """`rows` rows of a table whose strata keep their shares (largest remainders), in the table's order."""
    if rows >= len(table):
        return table
    shuffled = pd.Series(rng.permutation(len(table)), index=table.index)
    sizes = table.groupby(strata, sort=True).ngroup()
    wanted = sizes.value_counts(sort=False).sort_index() * (rows / len(table))
    quota = np.floor(wanted).astype(int)
    largest = (wanted - quota).sort_values(ascending=False, kind="stable").index[: rows - int(quota.sum())]
    quota[largest] += 1
    rank = shuffled.groupby(sizes.to_numpy()).rank(method="first")
    return table[rank.to_numpy() <= quota.reindex(sizes).to_numpy()]
