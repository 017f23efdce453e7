"""Finished stages that runs share: what one run computed, another takes instead of executing it.

`papermill_runs/store/` holds every file of a shared stage once, under the sha256 of its bytes, and an entry a stage:
its manifest and executed notebook. An entry stands under a key of the stage, its settings, its notebook and the
versions of the packages; whether its inputs and its code are those of another run `runs.stage` judges, as for resume.
Runs get copies (of shared blocks, where the file system can), never links, so that no run's files are another's; each
copy is checked by its hash.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from competition_utils import paths
from competition_utils.errors import DamagedFile
from competition_utils.runs.kernel import note_executed, read_executed
from competition_utils.runs.parameters import code_hash
from competition_utils.runs.stage import (
    read_manifest,
    read_settings,
    stage_settings,
    versions,
    why_other_code,
    why_stale,
)
from competition_utils.storage import (
    atomic_write,
    hash_file,
    hash_json,
    read_sealed_json,
    write_sealed_json,
    write_text,
)

POLL_SECONDS = 0.5  # between looks at a lock


@dataclass(frozen=True)
class Wanted:
    """A stage that a run wants: with which `settings` that it reads (plain values), into which folder of a run."""

    stage: str
    run: Path
    settings: dict[str, Any]

    @classmethod
    def of(cls, stage: str, run: Path, parameters: Mapping[str, Any]) -> Wanted:
        return cls(stage, run, read_settings(stage_settings(stage, parameters)[1]))

    @property
    def key(self) -> str:
        """What is known of a stage before it is executed, apart from its inputs."""
        source = code_hash(paths.notebook_path(self.stage))
        return hash_json([self.stage, self.settings, source, versions()])

    @property
    def earlier(self) -> list[str]:
        """Hashes of the folders of the stages before."""
        before = paths.STAGES[: paths.STAGES.index(self.stage)]
        return [_outputs(self.run, name) for name in before]


def _outputs(run: Path, stage: str) -> str:
    manifest = read_manifest(run / stage / "manifest.json")
    return hash_json(manifest["outputs"] if manifest else None)


class Store:
    """The stages that runs share, in `folder`."""

    def __init__(self, folder: Path | None = None):
        self.folder = folder or paths.store_folder()

    def take(self, wanted: Wanted) -> str | None:
        """Copy the stage into the run where the store has it; the name of the run that computed it, else None.

        An entry whose files are damaged or gone is removed.
        """
        for path in sorted((self.folder / "stages" / wanted.stage / wanted.key).glob("*.json")):
            entry = _read(path)
            if entry is not None and self._is_stale(entry["manifest"], wanted):
                continue
            if entry is not None and self._copy_into(wanted, entry):
                return entry["run"]
            path.unlink(missing_ok=True)
        return None

    def put(self, wanted: Wanted) -> None:
        """Keep a finished stage of a run that it computed, unless the store has it already."""
        manifest = read_manifest(wanted.run / wanted.stage / "manifest.json")
        noted = read_executed(wanted.run).get(wanted.stage)
        if manifest is None or noted is None:
            return
        path = self.folder / "stages" / wanted.stage / wanted.key / f"{hash_json(manifest['inputs'])}.json"
        if path.is_file():
            return
        notebook = wanted.run / paths.notebook_name(wanted.stage)
        files = {wanted.run / wanted.stage / name: digest for name, digest in manifest["outputs"].items()}
        for source, digest in {**files, notebook: noted["sha256"]}.items():
            if not self._keep(source, digest):
                return  # changed meanwhile: what was written is not there any more
        entry = {"run": noted.get("from", wanted.run.name), "executed": noted, "manifest": manifest}
        write_sealed_json(path, entry)

    @contextmanager
    def one_at_a_time(self, wanted: Wanted, waits: Callable[[], None]) -> Iterator[None]:
        """Hold the stage, so that others that want the same wait for it and then take it; `waits` is called where this
        one has to wait. The system lifts the lock of a process that dies."""
        path = self.folder / "locks" / f"{hash_json([wanted.key, wanted.earlier])}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waits()
            lock.acquire(poll_interval=POLL_SECONDS)
        try:
            yield
        finally:
            lock.release()

    def size(self) -> dict[str, dict[str, int]]:
        """stage → `stages` kept and `bytes` of their files, each file counted with the first stage that has it."""
        counted: set[str] = set()
        sizes = {}
        for stage in paths.STAGES:
            entries = [_read(path) for path in sorted((self.folder / "stages" / stage).rglob("*.json"))]
            digests = {digest for entry in entries if entry for digest in _digests(entry)} - counted
            counted |= digests
            found = [self._place(digest) for digest in digests]
            sizes[stage] = {
                "stages": len(entries),
                "bytes": sum(path.stat().st_size for path in found if path.is_file()),
            }
        return sizes

    def clear(self) -> None:
        """Remove all of it; runs keep what they have. What a run is taking meanwhile it executes instead."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _place(self, digest: str) -> Path:
        return self.folder / "files" / digest[:2] / digest

    def _keep(self, source: Path, digest: str) -> bool:
        place = self._place(digest)
        return (place.is_file() and hash_file(place) == digest) or _copied(source, place, digest)

    def _is_stale(self, manifest: Mapping[str, Any], wanted: Wanted) -> bool:
        return bool(why_stale(manifest, wanted.run, wanted.settings) or why_other_code(manifest))

    def _copy_into(self, wanted: Wanted, entry: Mapping[str, Any]) -> bool:
        """The manifest comes last: without it the stage does not count as done. False where a file is not as it was."""
        target, executed = wanted.run / wanted.stage, wanted.run / paths.notebook_name(wanted.stage)
        shutil.rmtree(target, ignore_errors=True)
        files = {target / name: digest for name, digest in entry["manifest"]["outputs"].items()}
        for place, digest in {**files, executed: entry["executed"]["sha256"]}.items():
            if not _copied(self._place(digest), place, digest):
                self._place(digest).unlink(missing_ok=True)
                shutil.rmtree(target, ignore_errors=True)
                return False
        _move_notebook(executed, paths.shown(wanted.run))
        note_executed(wanted.run, wanted.stage, entry["executed"]["seconds"], source=entry["run"])
        write_sealed_json(target / "manifest.json", entry["manifest"])
        return True


def _digests(entry: Mapping[str, Any]) -> set[str]:
    return {*entry["manifest"]["outputs"].values(), entry["executed"]["sha256"]}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return read_sealed_json(path)
    except (DamagedFile, OSError):
        return None


def _copied(source: Path, place: Path, digest: str) -> bool:
    """Copy a file whole or not at all; False where there is none or its copy has another hash."""
    try:
        with atomic_write(place) as beside:
            _copy(source, beside)
            if hash_file(beside) != digest:
                raise DamagedFile(source, "the content that was kept", "another one", "")
    except (DamagedFile, FileNotFoundError):
        return False
    return True


def _copy(source: Path, target: Path) -> None:
    """Let the system copy, which shares blocks where the file system can (Btrfs, XFS), and copies them where not."""
    with source.open("rb") as read, target.open("wb") as write:
        try:
            while os.copy_file_range(read.fileno(), write.fileno(), 1 << 30):
                pass
        except OSError:  # not on this file system, or not between these two
            shutil.copyfileobj(read, write)


def _move_notebook(executed: Path, run_dir: str) -> None:
    """Let the parameters of an executed notebook name the run that it lies in now, so that opened alone it reads and
    writes there."""
    content = json.loads(executed.read_bytes())
    parameters = content.get("metadata", {}).get("papermill", {}).get("parameters", {})
    before = parameters.get("run_dir")
    if before is None:
        return
    parameters["run_dir"] = run_dir
    for cell in content["cells"]:
        if "injected-parameters" in cell["metadata"].get("tags", []):
            source = "".join(cell["source"])
            cell["source"] = source.replace(f"run_dir = {json.dumps(before)}", f"run_dir = {json.dumps(run_dir)}")
    write_text(executed, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
