"""Folders that Kaggle's own command uploads: one a notebook, and a dataset of wheels to install from without internet.

kaggle datasets create -p OUT/dataset
kaggle kernels push -p OUT/kernels/01_eda
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from competition_utils import paths
from competition_utils.errors import UserError
from competition_utils.storage import read_json, write_json, write_text

DATASET, DATASET_TITLE = "competition-utils-wheels", "competition-utils wheels"
OWNER = re.compile(r"[a-z0-9][a-z0-9-]*")
INSTALL = """\
# Install without internet from the dataset of wheels; torch and what runs notebooks stay those of Kaggle's image.
from pathlib import Path

wheels = next(Path("/kaggle/input").glob("**/competition_utils-*.whl")).parent
%pip install --quiet --no-index --no-deps --find-links {wheels} --requirement {wheels}/requirements.txt"""


@dataclass(frozen=True)
class Kernel:
    """One notebook on Kaggle: its file, its title, and whether it wants a GPU."""

    notebook: str
    title: str
    gpu: bool = False

    @property
    def slug(self) -> str:
        """Kaggle makes it of the title: lower case, blanks as dashes."""
        return self.title.lower().replace(" ", "-")


START = Kernel("00_start.ipynb", "Relevance 00 Start")
STAGES = (
    Kernel("01_eda.ipynb", "Relevance 01 EDA"),
    Kernel("02_augmentation.ipynb", "Relevance 02 Augmentation"),
    Kernel("03_finetune.ipynb", "Relevance 03 Finetune", gpu=True),
    Kernel("04_threshold_tuning.ipynb", "Relevance 04 Threshold Tuning"),
    Kernel("05_submission.ipynb", "Relevance 05 Submission"),
)


def write_kernels(out: Path, owner: str, data: str | None = None) -> list[Path]:
    """Write `out/kernels/NOTEBOOK/` for each notebook: `kernel-metadata.json` and the notebook, which installs first.

    `owner` is a user's name on Kaggle, `data` the dataset with the official files as OWNER/SLUG, none for the built-in
    sample. Gives the folders. Raises UserError for names that Kaggle does not have.
    """
    check_owner(owner)
    if data is not None and not re.fullmatch(rf"{OWNER.pattern}/{OWNER.pattern}", data):
        raise UserError(f"--data: expected OWNER/DATASET as in the dataset's address on Kaggle, found {data!r}.")
    folders = []
    for kernel in (START, *STAGES):
        folder = out / "kernels" / Path(kernel.notebook).stem
        write_json(folder / "kernel-metadata.json", kernel_metadata(kernel, owner, data))
        write_text(folder / kernel.notebook, _installing(paths.project_root() / "notebooks" / kernel.notebook))
        folders.append(folder)
    return folders


def kernel_metadata(kernel: Kernel, owner: str, data: str | None) -> dict[str, Any]:
    """`kernel-metadata.json` of a notebook; the outputs of the stages before it are among its inputs."""
    before = STAGES[: STAGES.index(kernel)] if kernel in STAGES else ()
    return {
        "id": f"{owner}/{kernel.slug}",
        "title": kernel.title,
        "code_file": kernel.notebook,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": "true",
        "enable_gpu": "true" if kernel.gpu else "false",
        "enable_internet": "false",
        "dataset_sources": [f"{owner}/{DATASET}", *([data] if data else [])],
        "competition_sources": [],
        "kernel_sources": [f"{owner}/{earlier.slug}" for earlier in before],
        "model_sources": [],
    }


def write_dataset_metadata(out: Path, owner: str) -> Path:
    """Write `out/dataset/dataset-metadata.json`; gives the folder, which `wheels.fill` fills."""
    check_owner(owner)
    metadata = {
        "title": DATASET_TITLE,
        "id": f"{owner}/{DATASET}",
        "subtitle": "The relevance suite and what it needs, to install offline",
        "description": "Wheels of competition-utils and its dependencies; each has its own licence inside.",
        "licenses": [{"name": "other"}],
    }
    write_json(out / "dataset" / "dataset-metadata.json", metadata)
    return out / "dataset"


def check_owner(owner: str) -> None:
    """Raise UserError for what cannot be a user's name in an address of Kaggle."""
    if not OWNER.fullmatch(owner):
        raise UserError(f"--user: expected your name as in kaggle.com/NAME, lower case, found {owner!r}.")


def _installing(notebook: Path) -> str:
    """The notebook with a cell below its title that installs the package."""
    content = read_json(notebook, need=["cells"])
    cell = {"cell_type": "code", "id": "install", "metadata": {}, "execution_count": None, "outputs": []}
    content["cells"].insert(1, {**cell, "source": INSTALL.splitlines(keepends=True)})
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
