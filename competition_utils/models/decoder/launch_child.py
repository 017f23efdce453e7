"""A child's part of a launch: `accelerate launch … -m competition_utils.models.decoder.launch_child JOB.json`.

A child imports what it needs in the right order, and gives the GPU back when it ends.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from competition_utils import distributed
from competition_utils.errors import UserError
from competition_utils.models.decoder.launch import has_gpu
from competition_utils.models.decoder.model import DecoderModel
from competition_utils.storage import read_json, read_parquet, write_text


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
        tables = [read_parquet(place / f"{name}.parquet") for name in ("train", "valid")]
        model = DecoderModel(job["settings"])
        model.given_edits = job["edits"]
        distributed.join(cpu=not has_gpu(model.settings))
        model.fit(*tables, work_dir=Path(job["work_dir"]), seed=job["seed"])
        return
    model = DecoderModel.load(Path(job["folder"]), job["settings"])
    distributed.join(cpu=not has_gpu(model.settings))
    scores = distributed.add_up(model.score(read_parquet(place / "pairs.parquet")))
    if distributed.is_first():
        np.save(place / "scores.npy", scores, allow_pickle=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
