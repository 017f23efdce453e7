"""What a notebook uses to read what earlier stages left and to leave its own, and how resume judges that.

    stage = open_stage("augmentation", run_dir, globals())
    data_dir = stage.data_folder(data_dir)
    table = stage.read("QC_train", of="eda")
    stage.write("QC_train", augmented)
    stage.save_figure("rows_by_language", figure)
    stage.finish({"rows": len(augmented)})

A stage counts as done when its `manifest.json` is there and what that names (inputs, settings, the notebook's code,
outputs) is still as it was; resume makes it again where the package is another one, too. Times stand in the manifest
only, which no later stage hashes. `sharing.store` judges by the same whether a stage that another run finished will do.
"""

from __future__ import annotations

import platform
import shutil
import time
import warnings
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from competition_utils import paths
from competition_utils.augment.strategies import strategy_file
from competition_utils.errors import DamagedFile, UserError, plain_warning
from competition_utils.runs.config import run_schema
from competition_utils.runs.parameters import code_hash, read_parameters
from competition_utils.runs.sharing.code import changed_code, code_files, loaded_code, working_code
from competition_utils.settings.faults import checked
from competition_utils.settings.own_code import own_files
from competition_utils.settings.schema import KINDS, RunSettings
from competition_utils.storage import (
    atomic_write,
    hash_file,
    hash_json,
    read_json,
    read_parquet,
    read_sealed_json,
    write_json,
    write_parquet,
    write_sealed_json,
)
from competition_utils.synthetic.folder import data_folder as folder_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ABSENT = "absent"
PLACES = ("run_dir",)  # parameters that say where a run lies: they change nothing in what a stage writes
OWN_PACKAGE = "competition-utils"
PACKAGES = (
    OWN_PACKAGE,
    "pandas",
    "numpy",
    "pyarrow",
    "scikit-learn",
    "torch",
    "transformers",
    "peft",
    "trl",
)
FIGURE_DPI = 130


class Stage:
    """The open folder of one stage of one run; made by `open_stage`."""

    def __init__(self, name: str, run: Path, settings: RunSettings, declared: dict[str, Any], source_hash: str):
        self.name = name
        self.run = run
        self.folder = run / name
        self.manifest_path = self.folder / "manifest.json"
        self.settings = settings  # checked; those that this stage does not declare have their defaults
        self.declared = declared
        self.source_hash = source_hash
        self._inputs: dict[str, dict[str, str]] = {"run": {}, "files": {}}
        self._code = code_files()  # before anybody edits what this process has imported
        self._started = time.monotonic()

    # What it reads

    def path(self, name: str, of: str | None = None) -> Path:
        """A file or folder of this stage (its parent is made), or, with `of`, one that an earlier stage left:
        it becomes an input of this stage, and UserError says which stage to run first where it is missing."""
        if of is None:
            own = self.folder / name
            own.parent.mkdir(parents=True, exist_ok=True)
            return own
        if paths.STAGES.index(of) >= paths.STAGES.index(self.name):
            raise UserError(f"{self.name}: expected an earlier stage to read from, found {of!r}.")
        earlier = paths.stage_folder(self.run, of) / name
        if not earlier.exists():
            raise UserError(
                f"{self.name}: expected {paths.shown(earlier)}, which stage {of} writes, found none.\n"
                f"Run stage {of} first: notebooks/{paths.notebook_name(of)}, or the run with --resume."
            )
        self._inputs["run"][f"{of}/{name}"] = hash_of(earlier)
        return earlier

    def read(self, name: str, of: str) -> pd.DataFrame:
        """The table `name` (no suffix) that an earlier stage wrote."""
        return read_parquet(self.path(f"{name}.parquet", of=of))

    def read_json(self, name: str, of: str) -> Any:
        """What an earlier stage saved with `save_json(name, …)`; `"metrics"` is what it finished with."""
        return read_json(self.path(f"{name}.json", of=of))

    def uses(self, path: Path | str) -> Path:
        """Note a file or folder outside the run as an input, whether it is there or not; gives its full path
        (a relative one is meant from the project's root)."""
        full = paths.in_project(path)
        self._inputs["files"][paths.shown(full)] = hash_of(full)
        return full

    def data_folder(self, data_dir: str) -> Path:
        """The data folder that the parameter `data_dir` means ("sample": the built-in one), as an input."""
        return self.uses(folder_of(data_dir))

    # What it leaves

    def write(self, name: str, table: pd.DataFrame) -> None:
        """Write a table as `<stage>/<name>.parquet`, without its index."""
        write_parquet(self.path(f"{name}.parquet"), table)

    def save_json(self, name: str, value: Any) -> None:
        """Write `<stage>/<name>.json`."""
        write_json(self.path(f"{name}.json"), value)

    def save_figure(self, name: str, figure: Figure) -> Figure:
        """Write `<stage>/figures/<name>.png` and `.svg`, and give the figure back, so that the cell shows it."""
        from matplotlib import rc_context

        with atomic_write(self.path(f"figures/{name}.png")) as beside:
            figure.savefig(beside, format="png", dpi=FIGURE_DPI, bbox_inches="tight")
        figure.set_layout_engine("none")  # it is laid out: drawing it again takes a third less time
        with atomic_write(self.path(f"figures/{name}.svg")) as beside, rc_context({"svg.hashsalt": name}):
            figure.savefig(beside, format="svg", bbox_inches="tight", metadata={"Date": None})
        _show_figures_in_notebooks()
        return figure

    def work_folder(self, name: str) -> Path:
        """A folder for checkpoints: kept when the stage is killed and run again, gone at the end."""
        folder = self.folder / ".work" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """Write `metrics.json`, then `manifest.json`, last of all; `metrics` must not hold times."""
        self.save_json("metrics", dict(metrics))
        shutil.rmtree(self.folder / ".work", ignore_errors=True)
        seconds = round(time.monotonic() - self._started, 2)
        outputs = {name: hash_file(self.folder / name) for name in _files_in(self.folder)}
        manifest = {
            "stage": self.name,
            "settings": self.declared,
            "settings_hash": hash_json(self.declared),
            "source_hash": self.source_hash,
            "inputs": {**self._inputs, "code": loaded_code(self._code)},
            "outputs": outputs,
            "seconds": seconds,
            "versions": versions(),
        }
        write_sealed_json(self.manifest_path, manifest)
        print(f"{self.name}: {len(outputs)} files in {paths.shown(self.folder)}, {seconds:.1f} s")


def open_stage(name: str, run_dir: Path | str, settings: Mapping[str, Any]) -> Stage:
    """Open the folder RUN/<stage> for a notebook; a relative `run_dir` is meant from the project's root.

    `settings` is simply the notebook's `globals()`: the names that its parameters cell declares are kept.
    A finished stage that is opened again is no longer done. What another opening left is cleared away, unless
    it was killed and settings, notebook, package and earlier stages are the same, so that checkpoints can be used.
    """
    warnings.formatwarning = plain_warning
    source, run = paths.notebook_path(name), paths.in_project(run_dir)
    stage = Stage(name, run, *stage_settings(name, settings), code_hash(source))
    named = {paths.shown(path): hash_of(stage.uses(path)) for path in _files_of(stage.declared)}
    earlier = paths.STAGES[: paths.STAGES.index(name)]
    identity = {
        "settings": hash_json(read_settings(stage.declared)),
        "source": stage.source_hash,
        "files": named,
        "package": versions().get(OWN_PACKAGE),
        "code": hash_json(working_code()),
        "earlier": {before: _outputs_hash(paths.stage_folder(run, before)) for before in earlier},
    }
    opened = stage.folder / ".opened.json"
    goes_on = not stage.manifest_path.exists() and _content(opened) == identity
    if stage.folder.is_dir() and not goes_on:
        shutil.rmtree(stage.folder)
    write_json(opened, identity)
    for value in stage.declared.values():
        if isinstance(value, str) and _is_file(value):  # a lexicon, a strategy of one's own
            stage.uses(Path(value).absolute())
    return stage


def _files_of(declared: Mapping[str, Any]) -> list[Path]:
    """Files that settings name and whose content a stage depends on: the strategy, and code of the user's own."""
    strategy = [strategy_file(declared["strategy"])] if isinstance(declared.get("strategy"), str) else []
    return [*strategy, *own_files(declared)]


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # longer than a name may be
        return False


def stage_settings(name: str, values: Mapping[str, Any]) -> tuple[RunSettings, dict[str, Any]]:
    """All settings, those that the notebook of a stage declares with the given values; and these as plain values.

    Raises UserError for values that the schema does not admit.
    """
    declared = read_parameters(paths.notebook_path(name))
    given = {key: values.get(key, default) for key, default in declared.items()}
    settings = checked(run_schema(), given, paths.notebook_name(name), "Mend them in its first cell.")
    return settings, settings.model_dump(include=set(declared) - set(PLACES))


def why_not_done(name: str, run: Path, values: Mapping[str, Any]) -> str | None:
    """None if the stage is done with these parameter values; else the reason, in a few words."""
    path = run / name / "manifest.json"
    if not path.is_file():
        return "not finished yet" if path.parent.is_dir() else "not run yet"
    manifest = read_manifest(path)
    if manifest is None:
        return "its manifest is damaged"
    if reason := why_stale(manifest, run, stage_settings(name, values)[1]):
        return reason
    for key, found in manifest["outputs"].items():
        if hash_of(run / name / key) != found:
            return f"its output {key} changed"
    return None


def why_stale(manifest: Mapping[str, Any], run: Path, settings: Mapping[str, Any]) -> str | None:
    """None if what went into a finished stage is what would go into it in `run`, with `settings` as plain values
    (`stage_settings`); else the reason, in a few words."""
    changed = _changed_settings(read_settings(manifest["settings"]), read_settings(settings))
    if changed:
        return f"settings changed ({', '.join(changed)})"
    if manifest["source_hash"] != code_hash(paths.notebook_path(manifest["stage"])):
        return "its notebook changed"
    for key, found in manifest["inputs"]["run"].items():
        of, _, rest = key.partition("/")
        if hash_of(paths.stage_folder(run, of) / rest) != found:
            return f"its input {key} changed"
    for key, found in manifest["inputs"]["files"].items():
        if hash_of(paths.in_project(key)) != found:
            return f"its input {key} changed"
    return None


def why_other_code(manifest: Mapping[str, Any]) -> str | None:
    """None if the package is still what a finished stage ran on, in version and in the files it used; else the reason.

    Apart from `why_not_done`, since a stage whose code is edited while it runs has a result all the same.
    """
    before, now = (one.get(OWN_PACKAGE) for one in (manifest["versions"], versions()))
    if before != now:
        return f"{OWN_PACKAGE} was {before} and is {now}"
    if "code" not in manifest["inputs"]:
        return f"an earlier state of {OWN_PACKAGE} made it"
    changed = changed_code(manifest["inputs"]["code"])
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        return f"the package's {changed[0]}{more} changed"
    return None


def read_manifest(path: Path) -> dict[str, Any] | None:
    """A stage's manifest; None where it is not what `Stage.finish` wrote."""
    try:
        return read_sealed_json(path)
    except (DamagedFile, OSError):
        return None


def _content(path: Path) -> Any:
    """What a JSON file holds; None where there is none, or a damaged one."""
    try:
        return read_json(path)
    except (DamagedFile, OSError):
        return None


def versions() -> dict[str, str]:
    """Python and the packages that decide what a stage writes, as installed here."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def read_settings(declared: Mapping[str, Any]) -> dict[str, Any]:
    """The declared settings that a stage reads: not the sections of models other than its `model`."""
    unread = set(KINDS) - {declared["model"]} if "model" in declared else set()
    return {name: value for name, value in declared.items() if name not in unread}


def _changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = list(dict.fromkeys([*before, *now]))
    return [name for name in names if hash_json(before.get(name)) != hash_json(now.get(name))]


def _files_in(folder: Path) -> list[str]:
    """Files below `folder` that are not hidden, as posix paths, sorted; the manifest is not among them."""
    names = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    visible = (name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts))
    return sorted(name for name in visible if name != "manifest.json")


def hash_of(path: Path) -> str:
    """sha256 of a file, or of all visible files below a folder with their names; "absent" for nothing."""
    if path.is_file():
        return hash_file(path)
    if path.is_dir():
        return hash_json({name: hash_file(path / name) for name in _files_in(path)})
    return ABSENT


def _outputs_hash(folder: Path) -> str:
    manifest = read_manifest(folder / "manifest.json")
    return hash_json(manifest["outputs"]) if manifest else ABSENT


def _show_figures_in_notebooks() -> None:
    """IPython shows figures as pictures only once pyplot is in use, and our figures are made without it."""
    from IPython import get_ipython
    from IPython.core.pylabtools import select_figure_formats

    shell = get_ipython()
    if shell is not None:
        select_figure_formats(shell, {"png"})
