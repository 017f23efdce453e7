"""Negatives by meaning: targets in a band of similarity to the query, below a limit.

Natural negatives of these tasks are near misses; what is nearest of all, though, is often relevant and merely
unlabelled. So a band is chosen (easy, medium, hard) and what lies above `max_similarity` is left alone, as the report
of team Tredence_AICOE (CIKM 2025 AnalytiCup) advises; nearest neighbours come from FAISS.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from competition_utils.augment.known_pairs import RELATIONS
from competition_utils.augment.mining import Limits, Miner
from competition_utils.augment.rows import add_rows, originals, sample_stratified
from competition_utils.augment.tools import Tools
from competition_utils.settings.strategy import SemanticNegatives
from competition_utils.tasks import QC

BANDS = ("easy", "medium", "hard")


def semantic_negatives(table: pd.DataFrame, tools: Tools, settings: SemanticNegatives) -> pd.DataFrame:
    """Append negatives: positive rows of the files with another target and label 0; languages keep their shares.

    Targets come from the row's own fold, so that no fold learns another's targets; from the same script as the
    row's own target; never from a known pair of the query or of a near-duplicate of it, whatever its label; for QC
    never up or down the row's own branch.
    """
    band = settings.band
    ends = [-1.0, *settings.edges, settings.max_similarity]
    low, high = ends[BANDS.index(band)], ends[BANDS.index(band) + 1]
    in_tree = settings.tree is not None and tools.task.name == QC.name
    relations = tuple(map(RELATIONS.index, settings.tree)) if in_tree else None
    limits = Limits(low, high, settings.max_query_similarity, relations, settings.pool)
    rng = tools.rng(f"negatives {band}")
    first = originals(table)
    seekers = first[(first["label"] == 1) & (first["target"] != "")]
    seekers = sample_stratified(seekers, int(settings.ratio * len(seekers)), ["language"], rng)
    miner = Miner(table, limits, tools)
    folds = seekers.get("fold", pd.Series(0, index=seekers.index))
    made = [seekers.iloc[:0].assign(similarity=np.float32(0))]
    for fold, part in seekers.groupby(folds, sort=True):
        offered = first[first["fold"] == fold] if "fold" in first else first
        made.append(miner.mine(part, offered, rng))
    created = pd.concat(made)
    none = pd.Series("no target in the band", index=seekers.index.difference(created.index), dtype="str")
    tools.rejections.add("semantic_negatives", none, seekers.loc[none.index], before="query", after="target")
    tools.similarities.append(pd.DataFrame({"kind": band, "similarity": created["similarity"].to_numpy()}))
    tools.max_similarity = settings.max_similarity
    gate = pd.array([f"{band} {value:.2f}" for value in created["similarity"]], dtype="str")
    created = created.assign(gate=gate, weight=np.float32(settings.weight))
    created["label"] = pd.array(np.zeros(len(created)), dtype=table["label"].dtype)
    return add_rows(table, created.drop(columns="similarity"), source="negative", step="semantic_negatives")
