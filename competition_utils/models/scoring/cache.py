"""Scores kept by content: a pair that the same model has scored before costs a look-up.

It is also what makes long scoring resumable and divisible: finished shards are in the cache, so a run that was killed
goes on behind them, and several processes put their shards into the same folder.
"""

from __future__ import annotations

import hashlib
import io
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from competition_utils import distributed
from competition_utils.models.base import RelevanceModel
from competition_utils.progress import progress
from competition_utils.storage import atomic_write, hash_file, hash_json, read_json, write_json

KEY = np.dtype([("high", "<u8"), ("low", "<u8")])
ENTRY = np.dtype([("key", KEY), ("score", "<f4")])
HASH_KEYS = ("relevance-scores", "scores-relevance")  # 16 characters each: two independent 64-bit hashes
CHUNK_ROWS = 50_000
RECEIPT_SECONDS = 60.0
INPUT = ["task", "language", "query", "query_en", "target", "target_en", "category_hint"]


def pair_keys(pairs: pd.DataFrame) -> np.ndarray:
    """A 128-bit key a pair [n], from all columns that a model may read."""
    keys = np.empty(len(pairs), dtype=KEY)
    columns = [name for name in INPUT if name in pairs]
    # In chunks: hashing makes a Python object of each text.
    for start in range(0, len(pairs), CHUNK_ROWS):
        chunk = slice(start, start + CHUNK_ROWS)
        for field, hash_key in zip(KEY.names, HASH_KEYS, strict=True):
            hashes = pd.util.hash_pandas_object(pairs[columns].iloc[chunk], index=False, hash_key=hash_key)
            keys[field][chunk] = hashes.to_numpy()
    return keys


def first_of_each(keys: np.ndarray) -> np.ndarray:
    """The numbers of the rows that hold the first of each different key, by ascending key."""
    order = np.lexsort((keys["low"], keys["high"]))  # NumPy's own np.unique compares records one by one
    in_order = keys[order]
    new = np.ones(len(keys), dtype=bool)
    new[1:] = (in_order["high"][1:] != in_order["high"][:-1]) | (in_order["low"][1:] != in_order["low"][:-1])
    return order[new]


def model_hash(folder: Path, overrides: Mapping[str, Any] | None = None) -> str:
    """What names a fitted model in the cache: the hash of all files of its folder but its own report, and of the
    settings that are used instead of the saved ones."""
    files = (path for path in Path(folder).rglob("*") if path.is_file() and path.suffix != ".parquet")
    hashes = {str(path.relative_to(folder)): hash_file(path) for path in files}
    return hash_json([hashes, dict(overrides)] if overrides else hashes)[:24]


class ScoreCache:
    """Scores of one model in a folder of its own; parts are written atomically, so that several processes may write."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self._parts: set[str] = set()
        self._entries = np.empty(0, dtype=ENTRY)

    def get(self, keys: np.ndarray) -> np.ndarray:
        """float32 [n], nan for what is not known, including what other processes have added by now."""
        self._read_new_parts()
        known, high = self._entries["key"], np.ascontiguousarray(self._entries["key"]["high"])
        place = np.searchsorted(high, keys["high"])
        scores = np.full(len(keys), np.nan, dtype=np.float32)
        rows = np.arange(len(keys))
        while len(rows):  # once, but for keys that share their high half with another one
            rows = rows[place[rows] < len(high)]
            rows = rows[high[place[rows]] == keys["high"][rows]]
            found = known["low"][place[rows]] == keys["low"][rows]
            scores[rows[found]] = self._entries["score"][place[rows[found]]]
            rows = rows[~found]
            place[rows] += 1
        return scores

    def add(self, keys: np.ndarray, scores: np.ndarray) -> None:
        entries = np.empty(len(keys), dtype=ENTRY)
        entries["key"], entries["score"] = keys, scores
        part = io.BytesIO()
        np.save(part, entries, allow_pickle=False)
        with atomic_write(self.folder / f"{hashlib.sha256(part.getbuffer()).hexdigest()}.npy") as beside:
            beside.write_bytes(part.getbuffer())

    def _read_new_parts(self) -> None:
        new = {path.name for path in self.folder.glob("*.npy") if not path.name.startswith(".")} - self._parts
        if new:
            entries = np.concatenate([self._entries, *(self._read_part(self.folder / name) for name in sorted(new))])
            self._entries = entries[first_of_each(entries["key"])]
            self._parts |= new

    @staticmethod
    def _read_part(path: Path) -> np.ndarray:
        """The entries of a part; none where its bytes do not have the hash in its name: they are scored again."""
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() == path.stem:
            return np.load(io.BytesIO(content), allow_pickle=False)
        path.unlink(missing_ok=True)
        print(f"{path}: a damaged part of the score cache, removed; its pairs are scored again", file=sys.stderr)
        return np.empty(0, dtype=ENTRY)


def score_cached(
    model: RelevanceModel,
    pairs: pd.DataFrame,
    cache: ScoreCache,
    *,
    shard_rows: int = 50_000,
    report: Callable[[str], None] = print,
) -> np.ndarray:
    """float32 [n] scores in the order of `pairs`, from the cache where it has them.

    The rest is scored in shards of `shard_rows` different pairs, each kept as soon as it is done. Under `accelerate
    launch` process k of n takes the shards k, k+n, …; all return all scores, and the first one reports how many pairs
    each had. Raises RuntimeError where the processes together had not every pair, or one of them twice.
    """
    keys = pair_keys(pairs)
    first = np.sort(first_of_each(keys))
    shards = [first[start : start + shard_rows] for start in range(0, len(first), shard_rows)]
    rank, processes = distributed.rank(), distributed.world_size()
    own = shards[rank::processes]
    unknown = np.isnan(cache.get(keys))
    missing = [shard[unknown[shard]] for shard in own]
    with progress(total=sum(map(len, missing)), what="pairs", unit="pairs") as bar:
        for rows in filter(len, missing):
            cache.add(keys[rows], model.score(pairs.iloc[rows]))
            bar.update(len(rows))
    if processes > 1:
        _leave_receipt(cache, keys[first], keys[np.concatenate([*own, first[:0]])], sum(map(len, missing)))
    scores = _when_complete(cache, keys, alone=processes == 1)
    if processes > 1 and rank == 0:
        report(_checked_shares(cache, keys[first]))
    return scores


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


def _sums(keys: np.ndarray) -> list[int]:
    """How many keys, and their sums modulo 2**64: which distinguish two sets of keys, whatever their order."""
    return [len(keys), int(keys["high"].sum()), int(keys["low"].sum())]


def _receipt_of(cache: ScoreCache, keys: np.ndarray, rank: int) -> Path:
    return cache.folder / "processes" / f"{hash_json(_sums(keys))[:16]}-{rank}-of-{distributed.world_size()}.json"


def _leave_receipt(cache: ScoreCache, keys: np.ndarray, own: np.ndarray, scored: int) -> None:
    """Write down for the first process what this one had."""
    write_json(_receipt_of(cache, keys, distributed.rank()), {"sums": _sums(own), "scored": scored})


def _checked_shares(cache: ScoreCache, keys: np.ndarray) -> str:
    """One line on the pairs of each process; RuntimeError if together they are not each of `keys` once."""
    paths = [_receipt_of(cache, keys, rank) for rank in range(distributed.world_size())]
    until = time.monotonic() + RECEIPT_SECONDS  # a process writes it right behind its last scores
    while not all(path.is_file() for path in paths) and time.monotonic() < until:
        time.sleep(0.1)
    receipts = [read_json(path) for path in paths if path.is_file()]
    rows = " + ".join(f"{receipt['sums'][0]:,}" for receipt in receipts)
    total = [sum(part) % 2**64 for part in zip(*(receipt["sums"] for receipt in receipts), strict=True)]
    if total != _sums(keys):
        raise RuntimeError(f"{len(paths)} processes had {rows} pairs, which are not the {len(keys):,} different ones")
    for path in paths:
        path.unlink()
    scored = sum(receipt["scored"] for receipt in receipts)
    return f"{len(paths)} processes: {rows} = {len(keys):,} different pairs, each once ({scored:,} scored anew)"
