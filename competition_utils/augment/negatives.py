"""Negatives by meaning: targets that a query's words come near to, in a band of similarity, below a guard.

Natural negatives of these tasks are near misses; what is nearest of all, though, is often relevant and merely
unlabelled. So a band is chosen (easy, medium, hard) and the top above the guard is left alone, as the report of
team Tredence_AICOE (CIKM 2025 AnalytiCup) advises; nearest neighbours come from FAISS.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from competition_utils.augment.known_pairs import RELATIONS
from competition_utils.augment.mining import Limits, Miner
from competition_utils.augment.rows import add_rows, originals, sample_stratified
from competition_utils.augment.tools import Tools
from competition_utils.errors import UserError
from competition_utils.tasks import QC

BANDS = ("easy", "medium", "hard")


def semantic_negatives(
    table: pd.DataFrame,
    tools: Tools,
    *,
    band: str = "medium",
    ratio: float = 0.2,
    edges: list[float] | None = None,
    guard: float = 0.6,
    query_guard: float = 0.8,
    tree: list[str] | None = None,
    pool: int = 60_000,
    weight: float = 1.0,
) -> pd.DataFrame:
    """Append negatives: positive rows of the files with another target and label 0.

    Parameters
    ----------
    band : "easy" (similarity below `edges[0]`), "medium" (up to `edges[1]`) or "hard" (from there to `guard`).
    ratio : created rows as a share of the positive rows, sampled so that languages keep their shares.
    edges : the two edges between the bands, cosines; None means 0.2 and 0.4, which suit MiniLM.
    guard : no target as similar as this or more is taken.
    query_guard : nor one that is right for another query as similar to this one as that.
    tree : QC only; where a target must lie, seen from the row's category: "sibling", "cousin" (same
        grandparent), "vertical" (same department), "far". None: anywhere, but never up or down its own branch.
    pool : most different targets of a fold that are looked at.

    Targets come from the row's own fold, so that no fold learns another's targets; from the same script as the
    row's own target; never from a known pair of the query or of a near-duplicate of it, whatever its label.
    """
    low, high = _band(band, edges, guard)
    relations = None if tree is None or tools.task.name != QC.name else _relations(tree)
    limits = Limits(low, high, query_guard, relations, pool)
    rng = tools.rng(f"negatives {band}")
    first = originals(table)
    seekers = first[(first["label"] == 1) & (first["target"] != "")]
    seekers = sample_stratified(seekers, int(ratio * len(seekers)), ["language"], rng)
    miner = Miner(table, limits, tools)
    folds = seekers.get("fold", pd.Series(0, index=seekers.index))
    made = [seekers.iloc[:0].assign(similarity=np.float32(0))]
    for fold, part in seekers.groupby(folds, sort=True):
        offered = first[first["fold"] == fold] if "fold" in first else first
        made.append(miner.mine(part, offered, rng))
    created = pd.concat(made)
    none = pd.Series("no target in the band", index=seekers.index.difference(created.index), dtype="str")
    tools.refusals.add("semantic_negatives", none, seekers.loc[none.index], before="query", after="target")
    tools.similarities.append(pd.DataFrame({"kind": band, "similarity": created["similarity"].to_numpy()}))
    tools.guard = guard
    gate = pd.array([f"{band} {value:.2f}" for value in created["similarity"]], dtype="str")
    created = created.assign(gate=gate, weight=np.float32(weight))
    created["label"] = pd.array(np.zeros(len(created)), dtype=table["label"].dtype)
    return add_rows(table, created.drop(columns="similarity"), source="negative", step="semantic_negatives")


def _band(band: str, edges: list[float] | None, guard: float) -> tuple[float, float]:
    if band not in BANDS:
        raise UserError(f"semantic_negatives.band: expected one of {', '.join(BANDS)}, found {band!r}.")
    ends = [-1.0, *(edges or (0.2, 0.4)), guard]
    if len(ends) != 4 or sorted(ends) != ends:
        raise UserError(f"semantic_negatives: expected two rising edges below the guard, found {edges}, {guard}.")
    return ends[BANDS.index(band)], ends[BANDS.index(band) + 1]


def _relations(tree: list[str]) -> tuple[int, ...]:
    if unknown := [name for name in tree if name not in RELATIONS[1:]]:
        raise UserError(f"semantic_negatives.tree: expected some of {RELATIONS[1:]}, found {unknown}.")
    return tuple(RELATIONS.index(name) for name in tree)
