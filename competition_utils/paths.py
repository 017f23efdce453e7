"""Where things lie: the project with notebooks and configs, which is only read, and the runs and what they export."""

from __future__ import annotations

import os
from pathlib import Path

from competition_utils import hosted
from competition_utils.errors import UserError

STAGES = ("eda", "augmentation", "finetune", "threshold_tuning", "submission")
ROOT_VARIABLE, WORK_VARIABLE = "COMPETITION_UTILS_ROOT", "COMPETITION_UTILS_WORK"
BUILT_IN_SAMPLE, AUTO = "sample", "auto"
INSTALLED = Path(__file__).resolve().parent / "project"  # where a wheel has notebooks and configs, see setup.py


def project_root() -> Path:
    """The folder that holds `notebooks/` and `configs/`: the one that COMPETITION_UTILS_ROOT names, else the
    clone that this package lies in, else the package's own copy."""
    if named := os.environ.get(ROOT_VARIABLE):
        return Path(named).resolve()
    return INSTALLED if INSTALLED.is_dir() else Path(__file__).resolve().parents[1]


def work_root() -> Path:
    """The folder that runs, submissions and caches are written to: the one that COMPETITION_UTILS_WORK names, else the
    project's. Where that is an input of Kaggle, or lies in an installed package, it is Kaggle's `/kaggle/working`, or
    the working directory where there is none."""
    if named := os.environ.get(WORK_VARIABLE):
        return Path(named).resolve()
    root = project_root()
    if root == INSTALLED or hosted.is_kaggle_input(root):
        return hosted.kaggle_working() or Path.cwd()
    return root


def in_project(path: Path | str) -> Path:
    """A path as a user writes it, absolute: `~` opened, a relative one meant from `work_root()`."""
    return (work_root() / Path(path).expanduser()).resolve()


def shown(path: Path | str) -> str:
    """A path for messages: relative to `work_root()` where it lies inside, else absolute."""
    path, root = Path(path).resolve(), work_root()
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
    return work_root() / "papermill_runs" / name


def stage_folder(run: Path, stage: str) -> Path:
    """What a stage of a run left: below the run's folder, or in the output of an earlier Kaggle notebook."""
    own = run / stage
    if own.exists() or hosted.kaggle_working() is None:
        return own
    return hosted.earlier_output(run.name, stage) or own


def store_folder() -> Path:
    """Where finished stages lie that runs share."""
    return run_folder("store")


def submission_folder(name: str) -> Path:
    return work_root() / "submissions" / name


def ledger_path() -> Path:
    return work_root() / "papermill_runs" / "ledger.jsonl"
