"""Where things lie: the project, its notebooks and configs, the folder of a run and what it exports."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from competition_utils.errors import UserError

STAGES = ("eda", "augmentation", "finetune", "threshold_tuning", "submission")
ROOT_VARIABLE = "COMPETITION_UTILS_ROOT"
BUILT_IN_SAMPLE = "sample"
DEFAULT_SAMPLE = {"rows": 6000, "dev_rows": 2000, "test_rows": 2000, "seed": 0}


def project_root() -> Path:
    """The folder that holds `notebooks/` and `configs/`: the one that COMPETITION_UTILS_ROOT names, else the
    clone that this package lies in."""
    named = os.environ.get(ROOT_VARIABLE)
    return Path(named).resolve() if named else Path(__file__).resolve().parents[2]


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


def submission_folder(name: str) -> Path:
    return project_root() / "submissions" / name


def ledger_path() -> Path:
    return project_root() / "papermill_runs" / "ledger.jsonl"


def data_folder(data_dir: str, sample: dict[str, int] | None = None) -> Path:
    """The data folder that a setting means. `"sample"` is the built-in competition, generated into
    `.cache/` on first use (`sample`: `rows, dev_rows, test_rows, seed`; the default size where None)."""
    if data_dir == BUILT_IN_SAMPLE:
        return _built_in_sample({**DEFAULT_SAMPLE, **(sample or {})})
    folder = in_project(data_dir)
    if not folder.is_dir():
        raise UserError(
            f"data_dir: expected a folder with train_QC.txt and the other official files, "
            f"found none at {folder}.\n"
            f"Give --data-dir DIR, or data_dir: {BUILT_IN_SAMPLE} for the built-in sample."
        )
    return folder


def _built_in_sample(size: dict[str, int]) -> Path:
    from competition_utils.storage import hash_json
    from competition_utils.synthetic import competition as built_in

    name = "sample-" + hash_json({**size, "made_by": built_in.fingerprint()})[:12]
    folder = project_root() / ".cache" / name
    if not folder.is_dir():
        beside = folder.with_name(f".{name}.{os.getpid()}")
        built_in.make_sample(beside, **size)
        _rename_unless_there(beside, folder)
    return folder


def _rename_unless_there(beside: Path, folder: Path) -> None:
    """Another run may have made the same sample meanwhile; its bytes are the same, so either copy will do."""
    try:
        beside.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(beside)
