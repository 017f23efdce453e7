"""Where things lie: the project, its notebooks and configs, the folder of a run and what it exports."""

from __future__ import annotations

import os
from pathlib import Path

from competition_utils.errors import UserError

STAGES = ("eda", "augmentation", "finetune", "threshold_tuning", "submission")
ROOT_VARIABLE = "COMPETITION_UTILS_ROOT"
BUILT_IN_SAMPLE = "sample"


def project_root() -> Path:
    """The folder that holds `notebooks/` and `configs/`: the one that COMPETITION_UTILS_ROOT names, else the
    clone that this package lies in."""
    named = os.environ.get(ROOT_VARIABLE)
    return Path(named).resolve() if named else Path(__file__).resolve().parents[1]


def in_project(path: Path | str) -> Path:
    """A path as a user writes it, absolute: `~` opened, a relative one meant from the project's root."""
    return (project_root() / Path(path).expanduser()).resolve()


def shown(path: Path | str) -> str:
    """A path for messages: relative to the project where it lies inside, else absolute."""
    path, root = Path(path).resolve(), project_root()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def notebook_name(stage: str) -> str:
    """`01_eda.ipynb` and so on."""
    if stage not in STAGES:
        raise UserError(f"stage: expected one of {', '.join(STAGES)}, found {stage!r}.")
    return f"{STAGES.index(stage) + 1:02d}_{stage}.ipynb"


def notebook_path(stage: str) -> Path:
    """The notebook of a stage in `notebooks/`."""
    return project_root() / "notebooks" / notebook_name(stage)


def run_folder(name: str) -> Path:
    return project_root() / "papermill_runs" / name


def store_folder() -> Path:
    """Where finished stages lie that runs share."""
    return run_folder("store")


def submission_folder(name: str) -> Path:
    return project_root() / "submissions" / name


def ledger_path() -> Path:
    return project_root() / "papermill_runs" / "ledger.jsonl"
