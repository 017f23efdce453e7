"""Kaggle and Colab: where they put what one reads, and where a notebook may write.

All places are looked for below "/"; the environment variable COMPETITION_UTILS_HOST_ROOT names another folder, to try
it out elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from competition_utils.errors import UserError
from competition_utils.tasks import TASKS

ROOT_VARIABLE = "COMPETITION_UTILS_HOST_ROOT"
KAGGLE_INPUT, KAGGLE_WORKING = "kaggle/input", "kaggle/working"
# Place → folders below it that are looked into: a mounted Drive answers slowly.
DEPTHS = {KAGGLE_INPUT: 5, "content": 2, "content/drive/MyDrive": 2}
LEFT_OUT = {"papermill_runs", "submissions", "drive", "sample_data", "node_modules"}


def _place(name: str) -> Path:
    return Path(os.environ.get(ROOT_VARIABLE) or "/").resolve() / name


def kaggle_working() -> Path | None:
    """The folder that a Kaggle notebook may write to; None elsewhere."""
    folder = _place(KAGGLE_WORKING)
    return folder if folder.is_dir() else None


def is_kaggle_input(path: Path) -> bool:
    """Whether a path lies where Kaggle mounts what a notebook may only read."""
    return path.is_relative_to(_place(KAGGLE_INPUT))


def places() -> list[Path]:
    """The places of Kaggle and Colab that are there."""
    return [folder for folder in map(_place, DEPTHS) if folder.is_dir()]


def official_folders() -> list[Path]:
    """Every folder in these places with an official train file of a task, sorted."""
    names = {task.file_name("train") + suffix for task in TASKS.values() for suffix in ("", ".gz")}
    return sorted({folder for folder, files in _folders() if names & files})


def earlier_output(run: str, stage: str) -> Path | None:
    """The folder of a finished stage in the output of an earlier Kaggle notebook; None where there is none.

    Raises UserError where several notebooks' outputs hold it.
    """
    inside = Path("papermill_runs", run, stage)
    found = [folder / inside for folder, _ in _folders() if (folder / inside / "manifest.json").is_file()]
    if len(found) > 1:
        raise UserError(
            f"stage {stage}: expected one notebook's output with it, found {_lines(found)}\n"
            "Remove all but one of these inputs from the notebook."
        )
    return found[0] if found else None


def one_of(folders: list[Path], setting: str) -> Path | None:
    """The only folder of a list, None of an empty one; raises UserError for several."""
    if len(folders) > 1:
        raise UserError(
            f"{setting}: expected one folder with official files, found {_lines(folders)}\n"
            f"Set {setting} to the one that is meant, or remove the others."
        )
    return folders[0] if folders else None


def _lines(folders: list[Path]) -> str:
    return "".join(f"\n  {folder}" for folder in folders)


def _folders() -> Iterator[tuple[Path, set[str]]]:
    """Folders of all places, as deep as DEPTHS says, with the names of their files; hidden ones are left out."""
    for name, depth in DEPTHS.items():
        top = _place(name)
        for folder, below, files in os.walk(top):
            deep = len(Path(folder).relative_to(top).parts)
            below[:] = [each for each in below if deep < depth and each[0] != "." and each not in LEFT_OUT]
            yield Path(folder), set(files)
