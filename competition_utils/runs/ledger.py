"""`papermill_runs/ledger.jsonl`: a line a finished run, only ever appended to; the source of estimates."""

from __future__ import annotations

import fcntl
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from competition_utils.storage import read_json


def entry(run: Path) -> dict[str, Any]:
    """What the ledger holds of a finished run, from its run.yaml and metrics.json: figures, cost, origin, settings.

    `finished` is the time at which the last stage was; what a file lacks, or the run has no file for, is None.
    """
    path = run / "run.yaml"
    written = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}
    metrics = read_json(run / "metrics.json") if (run / "metrics.json").is_file() else {}
    tasks = metrics.get("tasks", {})
    last = run / "submission" / "manifest.json"
    ended = datetime.fromtimestamp(last.stat().st_mtime, UTC) if last.is_file() else None
    return {
        "name": run.name,
        "config": written.get("config"),
        "settings_hash": written.get("settings_hash"),
        "finished": ended and ended.isoformat(timespec="seconds"),
        "f1_mean": metrics.get("f1_mean"),
        "f1": {task: figures["f1"] for task, figures in tasks.items()},
        "unseen_f1": {task: figures.get("unseen_language_f1") for task, figures in tasks.items()},
        "seconds": metrics.get("seconds", {}),
        "device": written.get("device"),
        "git_commit": written.get("git_commit"),
        "versions": written.get("versions"),
        "settings": written.get("settings"),
    }


def append(path: Path, entry: dict[str, Any]) -> None:
    """Add one line; several runs may do so at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(entry, ensure_ascii=False) + "\n"
    with path.open("a+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        if not _ends_a_line(stream):
            stream.write(b"\n")  # a writer was killed in the middle of its line
        stream.write(line.encode("utf-8"))


def _ends_a_line(stream: Any) -> bool:
    size = stream.seek(0, 2)
    if size == 0:
        return True
    stream.seek(size - 1)
    return stream.read(1) == b"\n"


def read(path: Path) -> list[dict[str, Any]]:
    """All entries, oldest first; a line cut off by a kill, or damaged, is left out."""
    if not path.is_file():
        return []
    entries = []
    for line in path.read_bytes().splitlines():
        with suppress(ValueError, RecursionError):
            entries.append(json.loads(line))
    return [entry for entry in entries if isinstance(entry, dict)]


def expected_seconds(entries: list[dict[str, Any]], config: str, settings_hash: str) -> dict[str, float]:
    """Seconds by stage of the newest run with these settings, else of the newest of the config."""
    for key, value in (("settings_hash", settings_hash), ("config", config)):
        same = [entry.get("seconds") for entry in entries if entry.get(key) == value]
        if same and isinstance(same[-1], dict):
            return {stage: seconds for stage, seconds in same[-1].items() if isinstance(seconds, int | float)}
    return {}
