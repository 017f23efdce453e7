"""Runs the five notebooks of one config into one folder: what is done stays, what is stale is done again."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from competition_utils import paths
from competition_utils.errors import Fault, UserError
from competition_utils.runs import ledger
from competition_utils.runs.artefacts import check_as_written
from competition_utils.runs.config import Config
from competition_utils.runs.kernel import StageFailed, clock, execute, note_executed, read_executed
from competition_utils.runs.report.page import write_report
from competition_utils.runs.sharing.store import Store, Wanted
from competition_utils.runs.stage import read_manifest, stage_settings, versions, why_not_done, why_other_code
from competition_utils.storage import (
    hash_file,
    hash_json,
    read_json,
    read_sealed_json,
    remove_stale_parts,
    write_json,
    write_text,
)
from competition_utils.submit import check_submission, export_submission, source_file
from competition_utils.synthetic.folder import data_folder
from competition_utils.tasks import select_tasks

# Held by tests/runs/test_determinism.py.
NOT_DETERMINISTIC = (
    "times: seconds in manifest.json, metrics.json and report.html, executed notebooks",
    "last digits of weights and scores on another machine, device, number of threads or processes, or other versions; "
    "unless `num_threads` and `dtype` say it, a trial on the machine chooses threads and number format of a fit and of "
    "scoring on a CPU, and a fit beside other load may change its threads",
)


@dataclass
class Run:
    """One run: a name, a folder, and the checked settings it is made from."""

    name: str
    config: Config
    folder: Path = field(init=False)
    values: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise UserError(f"--name: expected letters, digits, dots, dashes or underscores, found {self.name!r}.")
        self.folder = paths.run_folder(self.name)
        if self.folder == paths.store_folder():
            raise UserError(
                f"--name: expected another name than {self.name}, where finished stages lie that runs share."
            )
        data = data_folder(self.config.settings.data_dir, self.config.settings.sample_size)
        self.values = {"run_dir": paths.shown(self.folder), "data_dir": paths.shown(data)}

    def parameters(self, stage: str) -> dict[str, Any]:
        return self.config.for_stage(stage, self.values)

    def resolved(self) -> dict[str, dict[str, Any]]:
        """Every setting of every stage, defaults of the notebooks included."""
        return {stage: stage_settings(stage, self.parameters(stage))[1] for stage in paths.STAGES}

    @property
    def settings_hash(self) -> str:
        return hash_json(self.resolved())

    def why_not_done(self, stage: str) -> str | None:
        reason = why_not_done(stage, self.folder, self.parameters(stage))
        return reason or self._why_notebook_is_not_kept(stage)

    def why_again(self, stage: str) -> str | None:
        """None if resume keeps the stage; else why it is executed: it is not done, or the package is another one."""
        reason = self.why_not_done(stage)
        return reason or why_other_code(read_manifest(self.folder / stage / "manifest.json"))

    def _why_notebook_is_not_kept(self, stage: str) -> str | None:
        """None where the executed notebook is the one that the runner wrote, or the stage was run by hand."""
        written = read_executed(self.folder).get(stage, {}).get("sha256")
        executed = self.folder / paths.notebook_name(stage)
        if written is None or (executed.is_file() and hash_file(executed) == written):
            return None
        return (
            f"its notebook {executed.name} changed" if executed.is_file() else f"its notebook {executed.name} is gone"
        )

    def seconds(self) -> dict[str, float]:
        """Seconds of each finished stage."""
        return {stage: _seconds(self.folder, stage) for stage in paths.STAGES}


def _seconds(run: Path, stage: str) -> float:
    """The start of the kernel included; of a stage run by hand, as its manifest says."""
    by_runner = read_executed(run).get(stage, {}).get("seconds")
    return by_runner or round(read_manifest(run / stage / "manifest.json")["seconds"], 2)


@dataclass(frozen=True)
class Outcome:
    """What a run ended with. `metrics` is None where --to stopped it early; `faults` are the submission's."""

    metrics: dict[str, Any] | None
    faults: list[Fault]


def execute_run(
    run: Run,
    *,
    resume: bool = False,
    first: str | None = None,
    last: str | None = None,
    store: Store | None = None,
) -> Outcome:
    """Execute the stages that are not done, in order, and assemble metrics, report and submission.

    `first`: begin there, even where that stage is done; the ones before must be. `last`: stop after it. `store`: take
    stages that another run computed from there, and leave this run's there.
    Raises UserError for wrong input and StageFailed where a notebook failed.
    """
    _refuse_unless_new(run, resume or first is not None)
    with only_runner(run.folder):
        _write_run_file(run)
        chosen = _stages_from_to(run, first, last)
        worked = _execute_stages(run, chosen, first, store)
        if any(run.why_not_done(stage) if stage in chosen else run.why_again(stage) for stage in paths.STAGES):
            return Outcome(None, [])
        metrics = _assemble_metrics(run)
        faults = export_run(run.folder)
        write_report(run.folder, metrics, run.resolved())
        if worked:
            ledger.append(paths.ledger_path(), ledger.entry(run.folder))
        return Outcome(metrics, faults)


def _refuse_unless_new(run: Run, may_exist: bool) -> None:
    if not may_exist and (run.folder / "run.yaml").exists():
        raise UserError(
            f"run: expected a new folder, but {paths.shown(run.folder)} holds a run already.\n"
            f"Add --resume to go on with it, or --name NAME for another one."
        )


@contextmanager
def only_runner(folder: Path) -> Iterator[None]:
    """Hold the run's folder for this process; UserError where another one holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"run: {paths.shown(folder)} is being written by another process.\n"
                f"Wait until that ends, or take another --name."
            ) from None
        for place in (folder, paths.submission_folder(folder.name)):
            remove_stale_parts(place)
        yield


def _stages_from_to(run: Run, first: str | None, last: str | None) -> tuple[str, ...]:
    start = paths.STAGES.index(first) if first else 0
    end = paths.STAGES.index(last) + 1 if last else len(paths.STAGES)
    if start >= end:
        raise UserError(f"--from {first} comes after --to {last}: there is nothing to run.")
    for stage in paths.STAGES[:start]:
        if reason := run.why_again(stage):
            raise UserError(f"--from {first}: stage {stage} is not done ({reason}). Use --resume without --from.")
    return paths.STAGES[start:end]


def _execute_stages(run: Run, chosen: tuple[str, ...], forced: str | None, store: Store | None) -> bool:
    """Execute what is not done; True if anything was. Prints one line a stage."""
    began, worked = time.monotonic(), False
    expected = ledger.expected_seconds(ledger.read(paths.ledger_path()), run.config.name, run.settings_hash)
    for number, stage in enumerate(chosen):
        reason = "asked for by --from" if stage == forced else run.why_again(stage)
        if reason not in (None, "not run yet", "asked for by --from"):
            print(f"{stage:<17} run again: {reason}", flush=True)
        worked |= reason is not None
        if reason is None:
            outcome = "done before"
            if store is not None:
                store.put(Wanted.of(stage, run.folder, run.parameters(stage)))
        elif store is None or stage == forced:
            outcome = _execute_stage(run, stage, expected.get(stage))
        else:
            outcome = _share_stage(run, stage, expected.get(stage), store)
        left = _time_left(expected, chosen[number + 1 :]) if reason else ""
        so_far = f"   {clock(time.monotonic() - began):>7} so far{left}" if reason else ""
        print(f"{stage:<17} {outcome:>7}{so_far}", flush=True)
    return worked


def _share_stage(run: Run, stage: str, expected: float | None, store: Store) -> str:
    """Take a stage from the store, or execute it and leave it there, while others that want the same wait."""
    wanted = Wanted.of(stage, run.folder, run.parameters(stage))
    waits = partial(print, f"{stage:<17} waits for another run that computes the same", flush=True)
    with store.one_at_a_time(wanted, waits):
        computed_by = store.take(wanted)
        if computed_by is not None:
            return f"from the store, computed by {computed_by}"
        outcome = _execute_stage(run, stage, expected)
        store.put(wanted)
        return outcome


def _execute_stage(run: Run, stage: str, expected: float | None) -> str:
    """Execute the notebook of a stage; the time that it took."""
    started = time.monotonic()  # not papermill's times, which a clock that is set may make negative
    execute(stage, run.folder, run.parameters(stage), expected)
    seconds = time.monotonic() - started
    note_executed(run.folder, stage, seconds)
    _refuse_unfinished(run, stage)
    return clock(seconds)


def _refuse_unfinished(run: Run, stage: str) -> None:
    if reason := run.why_not_done(stage):
        raise StageFailed(
            f"Stage {stage} ran to its end, but is not done: {reason}.\n"
            f"The last cell of notebooks/{paths.notebook_name(stage)} must call stage.finish(…)."
        )


def _time_left(expected: dict[str, float], stages: tuple[str, ...]) -> str:
    if not stages or not all(stage in expected for stage in stages):
        return ""
    return f"   about {clock(sum(expected[stage] for stage in stages))} left"


def _write_run_file(run: Run) -> None:
    """`run.yaml`: what was run, with what, where."""
    content = {
        "name": run.name,
        "config": run.config.name,
        "given": run.config.given,
        "settings": run.resolved(),
        "settings_hash": run.settings_hash,
        "git_commit": _git_commit(),
        "device": _device(),
        "versions": versions(),
        "not_deterministic": list(NOT_DETERMINISTIC),
    }
    write_text(run.folder / "run.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _git_commit() -> str | None:
    command = ["git", "-C", str(paths.project_root()), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _device() -> str:
    """The GPUs as the driver names them (without importing torch), else the number of CPUs."""
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
        found = subprocess.run(query, capture_output=True, text=True, check=False)
        if found.returncode == 0 and found.stdout.strip():
            return "; ".join(found.stdout.strip().splitlines())
    return f"{len(os.sched_getaffinity(0))} CPUs"


def _assemble_metrics(run: Run) -> dict[str, Any]:
    metrics = {**read_json(run.folder / "threshold_tuning" / "metrics.json"), "seconds": run.seconds()}
    write_json(run.folder / "metrics.json", metrics)
    return metrics


def export_run(folder: Path) -> list[Fault]:
    """Copy the submission of a run out of its folder, and check the copy against the source files."""
    manifest = folder / "submission" / "manifest.json"
    if not manifest.is_file():
        raise UserError(f"submit: expected a finished run, found none in {paths.shown(folder)}. Run it to the end.")
    check_as_written(folder, "submission")
    settings = read_sealed_json(manifest)["settings"]
    data, exported = paths.in_project(settings["data_dir"]), paths.submission_folder(folder.name)
    export_submission(manifest.parent, exported)
    tasks = select_tasks(settings["task"])
    sources = {task.name: source_file(task, data, settings["submit_split"]) for task in tasks}
    return check_submission(exported, sources)
