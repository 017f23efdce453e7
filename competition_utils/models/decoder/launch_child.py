"""A child's part of a launch: `accelerate launch … -m competition_utils.models.decoder.launch_child JOB.json`.

A child imports what it needs in the right order, and gives the GPU back when it ends.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.errors import UserError
from competition_utils.models.decoder.launch import has_gpu, in_launch, is_first_process
from competition_utils.models.decoder.model import DecoderModel
from competition_utils.models.decoder.score import add_up_shares
from competition_utils.settings.schema import DecoderSettings
from competition_utils.storage import read_json, write_text


def main(job_file: str) -> int:
    """Do the job; a UserError is left in `error.txt` beside it."""
    place = Path(job_file).parent
    try:
        _do(read_json(job_file), place)
    except UserError as error:
        write_text(place / "error.txt", str(error))
        return 2
    return 0


def _do(job: dict[str, Any], place: Path) -> None:
    if job["do"] == "fit":
        tables = [pd.read_parquet(place / f"{name}.parquet") for name in ("train", "valid")]
        model = DecoderModel(job["settings"])
        _join_the_others(model.settings)
        model.fit(*tables, work_dir=Path(job["work_dir"]), seed=job["seed"])
        return
    model = DecoderModel.load(Path(job["folder"]), job["settings"])
    _join_the_others(model.settings)
    scores = add_up_shares(model.score(pd.read_parquet(place / "pairs.parquet")))
    if is_first_process():
        np.save(place / "scores.npy", scores, allow_pickle=False)


def _join_the_others(settings: DecoderSettings) -> None:
    """Meet the other processes of the launch, before the first thing that is done together."""
    if in_launch():
        from accelerate import PartialState

        PartialState(cpu=not has_gpu(settings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
