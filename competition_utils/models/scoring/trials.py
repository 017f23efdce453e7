"""What was found by trying (a micro-batch, a number format, whether a prefix pays), kept so that it is tried once a
machine; and how ways are timed against each other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from competition_utils.errors import DamagedFile
from competition_utils.storage import hash_json, read_sealed_json, write_sealed_json

TRIES = 3
Way = TypeVar("Way")


def median_seconds(
    ways: Mapping[Way, Callable[[], Any]], clock: Callable[[], float] = time.perf_counter
) -> dict[Way, float]:
    """Median seconds of each way by `clock`, one after the other in turn, after a call of each to warm up."""
    seconds: dict[Way, list[float]] = {way: [] for way in ways}
    for _ in range(TRIES + 1):
        for way, work in ways.items():
            start = clock()
            work()
            seconds[way].append(clock() - start)
    return {way: median(taken[1:]) for way, taken in seconds.items()}


def cached_trial(facts: dict[str, Any], find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was found before for the same facts (model, lengths, GPU, …), else `find()`, noted for next time."""
    notes = _notes_file()
    known = _read_notes(notes)
    key = hash_json(facts)
    if key not in known:
        known[key] = find()
        write_sealed_json(notes, known)
    return known[key]


def _read_notes(notes: Path) -> dict[str, Any]:
    """Empty where there is no file, or a damaged one: what it held is found again."""
    try:
        return read_sealed_json(notes)
    except (DamagedFile, FileNotFoundError):
        return {}


def _notes_file() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "competition_utils" / "found_by_trying.json"
