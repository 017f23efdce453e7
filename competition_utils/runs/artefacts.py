"""What finished runs left, for the subcommands that look at runs from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from competition_utils import paths
from competition_utils.errors import DamagedFile, UserError
from competition_utils.runs.stage import ABSENT, hash_of
from competition_utils.storage import read_parquet, read_sealed_json


def find_run(name: str) -> Path:
    """The folder of a run, given its name or its folder; raises UserError that lists the runs there are.

    A run is a folder with a `run.yaml`, or with the folder of a stage where its notebooks were executed by hand.
    """
    for folder in (paths.run_folder(name), Path(name).expanduser().resolve()):
        if _is_run(folder):
            return folder
    runs = paths.run_folder(".")
    known = sorted(each.name for each in runs.iterdir() if _is_run(each)) if runs.is_dir() else []
    raise UserError(
        f"run: expected a run's name in {paths.shown(runs)} or its folder, found {name!r}.\n"
        f"There are: {', '.join(known) or 'none yet'}."
    )


def _is_run(folder: Path) -> bool:
    return (folder / "run.yaml").is_file() or any((folder / stage).is_dir() for stage in paths.STAGES)


def artefact_reader(run: Path) -> Callable[..., pd.DataFrame]:
    """A function `read(name, of=stage)` that gives a table of the run, as `Stage.read` does within a stage."""

    def read(name: str, of: str) -> pd.DataFrame:
        path = run / of / f"{name}.parquet"
        if not path.is_file():
            place = f"{paths.shown(run)}/{of}/{name}.parquet"  # not shown(path), which would follow a link
            raise UserError(f"expected {place}, found no such file. Run stage {of} of that run first.")
        check_as_written(run, of, [path.name])
        return read_parquet(path)

    return read


def check_as_written(run: Path, stage: str, names: Iterable[str] | None = None) -> None:
    """Raise DamagedFile where a file of a finished stage is not what the stage wrote, by the hashes in its manifest.

    `names` are below the stage's folder, default: all that it wrote. What has no manifest, as the scores of a blend,
    has no hashes to be checked by.
    """
    if not (run / stage / "manifest.json").is_file():
        return
    written = read_sealed_json(run / stage / "manifest.json")["outputs"]
    for name in written if names is None else names:
        found = hash_of(run / stage / name)
        if found != written.get(name, ABSENT):
            state = "none" if found == ABSENT else "another content"
            todo = "Run it again with --resume, which makes again what is not as it was."
            raise DamagedFile(run / stage / name, f"the file that stage {stage} wrote", state, todo)
