"""Balancing, the "aggressive" way: as many rows of each language and label as wanted, by leaving out and repeating.

An option to be measured against controlled expansion; the reports of CIKM 2025 found covering languages to help more.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from competition_utils.augment.rows import ORIGINAL
from competition_utils.augment.tools import Tools
from competition_utils.settings.strategy import Balance


def balance(table: pd.DataFrame, tools: Tools, settings: Balance) -> pd.DataFrame:
    """Bring every language to one size and every label to one share, by weights of whole rows.

    Leaving out is done by sampling, created rows before rows of the files; repeating by weight, since a copy of a
    row and a row of weight 2 are the same to a fit, and a copy would be in the same fold anyway.
    """
    positive_rate = settings.positive_rate
    sizes = table["language"].value_counts()
    wanted = settings.rows_per_language or int(sizes.median())
    own_rate = table.groupby("language")["label"].mean().astype("float64")
    rate = own_rate if positive_rate is None else own_rate * 0 + positive_rate
    share = table["language"].map(rate).to_numpy(dtype=np.float64)
    quota = wanted * np.where(table["label"] == 1, share, 1 - share)
    cells = table.groupby(["language", "label"], sort=True).ngroup()
    order = pd.DataFrame({"created": table["source"] != ORIGINAL, "draw": tools.rng("balance").random(len(table))})
    rank = order.sort_values(["created", "draw"], kind="stable").groupby(cells).cumcount().sort_index()
    kept = rank.to_numpy() < np.round(quota)
    factor = np.clip(quota / cells.map(cells.value_counts()).to_numpy(), 1, settings.most_repeats)
    _note_left_out(table, kept, tools)
    weight = (table["weight"].to_numpy() * factor).astype(np.float32)
    step = table["step"].where(factor <= 1, table["step"].where(table["step"] != "", "balance"))
    return table.assign(weight=weight, step=step)[kept].reset_index(drop=True)


def _note_left_out(table: pd.DataFrame, kept: np.ndarray, tools: Tools) -> None:
    reasons = pd.Series(np.where(kept, "", "over the language's quota"), index=table.index, dtype="str")
    tools.rejections.add("balance", reasons, table, before="query", after="target")
