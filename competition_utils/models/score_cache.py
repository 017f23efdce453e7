"""Scores kept by content: a pair that the same model has scored before costs a look-up.

It is also what makes long scoring resumable and divisible: finished shards are in the cache, so a run that was killed
goes on behind them, and several processes put their shards into the same folder.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from competition_utils.models.base import RelevanceModel
from competition_utils.progress import progress
from competition_utils.storage import appears_whole, hash_file, hash_json

KEY = np.dtype([("high", "<u8"), ("low", "<u8")])
ENTRY = np.dtype([("key", KEY), ("score", "<f4")])
HASH_KEYS = ("relevance-scores", "scores-relevance")  # 16 characters each: two independent 64-bit hashes
INPUT = ["task", "language", "query", "query_en", "target"]


def pair_keys(pairs: pd.DataFrame) -> np.ndarray:
    """A 128-bit key a pair [n], from all columns that a model may read."""
    keys = np.empty(len(pairs), dtype=KEY)
    for field, hash_key in zip(KEY.names, HASH_KEYS, strict=True):
        keys[field] = pd.util.hash_pandas_object(pairs[INPUT], index=False, hash_key=hash_key).to_numpy()
    return keys


def model_hash(folder: Path) -> str:
    """What names a fitted model in the cache: the hash of all files of its folder but its own report."""
    files = (path for path in Path(folder).iterdir() if path.is_file() and path.suffix != ".parquet")
    return hash_json({path.name: hash_file(path) for path in files})[:24]


class ScoreCache:
    """Scores of one model in a folder of its own; parts appear whole, so that several processes may write."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self._parts: set[str] = set()
        self._entries = np.empty(0, dtype=ENTRY)

    def get(self, keys: np.ndarray) -> np.ndarray:
        """float32 [n], nan for what is not known, including what other processes have added by now."""
        self._read_new_parts()
        place = np.searchsorted(self._entries["key"], keys)
        found = np.zeros(len(keys), dtype=bool)
        inside = place < len(self._entries)
        found[inside] = self._entries["key"][place[inside]] == keys[inside]
        scores = np.full(len(keys), np.nan, dtype=np.float32)
        scores[found] = self._entries["score"][place[found]]
        return scores

    def add(self, keys: np.ndarray, scores: np.ndarray) -> None:
        entries = np.empty(len(keys), dtype=ENTRY)
        entries["key"], entries["score"] = keys, scores
        with appears_whole(self.folder / f"{time.time_ns()}-{os.getpid()}.npy") as beside, beside.open("wb") as stream:
            np.save(stream, entries, allow_pickle=False)

    def _read_new_parts(self) -> None:
        new = {path.name for path in self.folder.glob("*.npy") if not path.name.startswith(".")} - self._parts
        if new:
            loaded = [np.load(self.folder / name, allow_pickle=False) for name in sorted(new)]
            entries = np.concatenate([self._entries, *loaded])
            self._entries = entries[np.unique(entries["key"], return_index=True)[1]]
            self._parts |= new


def own_share() -> tuple[int, int]:
    """(number of this process, number of processes) under `accelerate launch`; (0, 1) without it."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def score_cached(
    model: RelevanceModel, pairs: pd.DataFrame, cache: ScoreCache, *, shard_rows: int = 50_000
) -> np.ndarray:
    """float32 [n] scores in the order of `pairs`, from the cache where it has them.

    The rest is scored in shards of `shard_rows` different pairs, each kept as soon as it is done. Under `accelerate
    launch` process k of n takes the shards k, k+n, …; all return all scores.
    """
    keys = pair_keys(pairs)
    first = np.sort(np.unique(keys, return_index=True)[1])
    shards = [first[start : start + shard_rows] for start in range(0, len(first), shard_rows)]
    rank, processes = own_share()
    with progress(total=len(first), what="pairs", unit="pairs") as bar:
        for shard in shards[rank::processes]:
            missing = shard[np.isnan(cache.get(keys[shard]))]
            if len(missing):
                cache.add(keys[missing], model.score(pairs.iloc[missing]))
            bar.update(len(shard))
    return _when_complete(cache, keys, alone=processes == 1)


def _when_complete(cache: ScoreCache, keys: np.ndarray, *, alone: bool) -> np.ndarray:
    """All scores; other processes' shards are waited for (the launcher ends this process if one of them fails)."""
    while True:
        scores = cache.get(keys)
        missing = int(np.isnan(scores).sum())
        if not missing:
            return scores
        if alone:
            raise RuntimeError(f"{missing:,} of {len(keys):,} pairs are not in the cache {cache.folder}")
        time.sleep(0.5)
