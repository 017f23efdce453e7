"""The package's wheel and its dependencies in one folder, for a machine without internet: Kaggle's.

Everything is pinned and downloaded but what Kaggle's image must keep: torch with what is compiled against it or comes
with CUDA, since a wheel of another build would take gigabytes and may not suit the driver; and what runs the notebook
already. The rest is brought, since the image pins older releases of much of it (scikit-learn 1.2, matplotlib 3.7).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from packaging.utils import parse_wheel_filename

from competition_utils import paths
from competition_utils.errors import UserError
from competition_utils.storage import write_text

RUNS_NOTEBOOKS = ("jupyterlab", "ipykernel", "ipywidgets", "papermill", "nbclient", "nbformat")
OF_TORCH = re.compile(r"torch|torchvision|torchao|torchaudio|triton|xformers|(nvidia|cuda)-.*|setuptools|wheel")
GLIBC = (28, 27, 24, 17, 12, 5)  # the manylinux releases that the image takes
OF_WHEEL = ("competition_utils", "notebooks", "configs", "pyproject.toml", "requirements.txt", "setup.py")
NOT_IN_WHEEL = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")


def fill(folder: Path, python: str) -> list[str]:
    """Build the wheel, download the wheels of its dependencies beside it, and write `requirements.txt`, last.

    Gives the pinned requirements. Wheels of an earlier call that are no longer wanted are removed. Raises UserError
    where the tools are not installed, this is no clone, or the registry does not answer.
    """
    for tool in ("pip", "uv"):
        if find_spec(tool) is None:
            raise UserError(f'kaggle --wheels: expected {tool}, found none. Install it: uv pip install -e ".[kaggle]".')
    folder.mkdir(parents=True, exist_ok=True)
    own = build_wheel(folder)
    pins = brought(resolve((paths.project_root() / "requirements.txt").read_text(encoding="utf-8"), python))
    download(pins, folder, python)
    pins.append(_pin(own))
    for wheel in folder.glob("*.whl"):
        if _pin(wheel) not in pins:
            wheel.unlink()
    write_text(folder / "requirements.txt", "\n".join(pins) + "\n")
    return pins


def build_wheel(folder: Path) -> Path:
    """Build the package's wheel into `folder`, from a copy, so that nothing of an earlier build gets in."""
    root = paths.project_root()
    if not (root / "setup.py").is_file():
        raise UserError(f"kaggle --wheels: expected a clone of the project to build from, found none at {root}.")
    with tempfile.TemporaryDirectory() as place:
        for name in OF_WHEEL:
            source, copy = root / name, Path(place, name)
            if source.is_dir():
                shutil.copytree(source, copy, ignore=NOT_IN_WHEEL)
            else:
                shutil.copyfile(source, copy)
        made = Path(place, "made")
        _call("pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(made), place)
        wheel = next(made.glob("*.whl"))
        return Path(shutil.copy(wheel, folder / wheel.name))


def resolve(requirements: str, python: str) -> list[str]:
    """The requirements and all that they need, as `name==version`, for Linux and that Python; what runs notebooks is
    left out before, so that nothing is brought for it alone."""
    names = [line for line in requirements.splitlines() if _name(line) not in RUNS_NOTEBOOKS]
    with tempfile.TemporaryDirectory() as place:
        asked, pinned = Path(place, "asked.txt"), Path(place, "pinned.txt")
        asked.write_text("\n".join(names), encoding="utf-8")
        target = ["--python-version", python, "--python-platform", f"x86_64-manylinux_2_{GLIBC[0]}"]
        _call("uv", "pip", "compile", str(asked), *target, "--no-header", "--no-annotate", "-q", "-o", str(pinned))
        return pinned.read_text(encoding="utf-8").split("\n")[:-1]


def brought(pins: Sequence[str]) -> list[str]:
    """The pinned requirements without those that stay the image's."""
    return [pin for pin in pins if not OF_TORCH.fullmatch(_name(pin))]


def download(pins: Sequence[str], folder: Path, python: str) -> None:
    """Download the wheels of pinned requirements; no source packages, which Kaggle would unpack on upload."""
    platforms = [part for release in GLIBC for part in ("--platform", f"manylinux_2_{release}_x86_64")]
    target = [*platforms, "--python-version", python, "--implementation", "cp", "--only-binary=:all:"]
    _call("pip", "download", "--no-deps", "--dest", str(folder), *target, *pins)


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0].lower()


def _pin(wheel: Path) -> str:
    name, version, _, _ = parse_wheel_filename(wheel.name)
    return f"{name}=={version}"


def _call(*tool: str) -> None:
    """Run a Python tool, its output on the terminal; UserError where it fails."""
    if subprocess.run([sys.executable, "-m", *tool], stdout=sys.stderr, check=False).returncode:
        raise UserError(
            f"kaggle --wheels: expected {' '.join(tool[:2])} to end well, found the errors above. Call again."
        )
