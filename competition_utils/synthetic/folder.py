"""The folder that the setting `data_dir` means: given, found on Kaggle or Colab, or the built-in sample, which is
generated on first use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from competition_utils import hosted
from competition_utils.errors import UserError
from competition_utils.paths import AUTO, BUILT_IN_SAMPLE, in_project
from competition_utils.settings.schema import RunSettings
from competition_utils.storage import hash_json
from competition_utils.synthetic.competition import fingerprint, make_sample


def data_folder(data_dir: str, sample_size: Mapping[str, int] | None = None) -> Path:
    """The data folder that a setting means.

    `"sample"` is the built-in competition, generated into `.cache/`; `"auto"` the one folder with official files on
    Kaggle or Colab, else the sample, and a line is printed that says which. `sample_size`: `rows, dev_rows, test_rows,
    seed`; the defaults of the settings where None. Raises UserError where there is no such folder, or several.
    """
    if data_dir == AUTO:
        if found := hosted.one_of(hosted.official_folders(), "data_dir"):
            print(f"data_dir auto: {found}")
            return found
        looked = ", ".join(map(str, hosted.places()))
        print(f"data_dir auto: the built-in sample{f', no official files in {looked}' if looked else ''}")
    if data_dir in (AUTO, BUILT_IN_SAMPLE):
        return _built_in_sample(dict(sample_size or RunSettings().sample_size))
    folder = in_project(data_dir)
    if not folder.is_dir():
        raise UserError(
            f"data_dir: expected a folder with train_QC.txt and the other official files, found none at {folder}.\n"
            f"Give --data-dir DIR, or data_dir: {BUILT_IN_SAMPLE} for the built-in sample."
        )
    return folder


def _built_in_sample(size: dict[str, int]) -> Path:
    name = "sample-" + hash_json({**size, "made_by": fingerprint()})[:12]
    folder = in_project(".cache") / name
    if not folder.is_dir():
        beside = folder.with_name(f".{name}.{os.getpid()}")
        make_sample(beside, **size)
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
