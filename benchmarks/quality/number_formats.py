"""Whether decisions change with the number format that an encoder scores in, and how fast each is.

    python -m benchmarks.quality.number_formats sample
    python -m benchmarks.quality.number_formats taxobench --rows 3000

The encoder of a finished run scores labelled rows of dev in float32, bfloat16 and with 8-bit layers, on one thread.
Speed is in pairs a CPU second, linear share included, which other processes hardly disturb. Decisions are by the run's
own thresholds; F1 is held against float32's on the same rows (95%, paired bootstrap over queries). Formats that the
processor lacks are left out. `ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI` in front makes one with AMX compute as one without.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.command import exit_status, new_parser
from benchmarks.quality.oracle import model_folder
from competition_utils.decide.compare import compare_predictions
from competition_utils.errors import UserError
from competition_utils.models.base import load_model
from competition_utils.models.compute import multiplies_bfloat16
from competition_utils.models.encoder.int8 import Int8Layers, multiplies_int8
from competition_utils.models.encoder.model import EncoderModel
from competition_utils.runs.artefacts import artefact_reader, find_run
from competition_utils.tasks import TASKS


def decided_rows(run: Path, task: str, most: int) -> pd.DataFrame:
    """At most so many labelled rows of dev as the run's model reads them, with its `threshold`."""
    read = artefact_reader(run)
    decided = read(f"{task}_decisions", of="threshold_tuning")
    thresholds = decided.loc[decided["split"] == "dev", ["id", "threshold"]]
    rows = read(f"{task}_dev", of="augmentation").merge(thresholds, on="id", validate="1:1")
    rows = rows[rows["label"].notna()]
    return rows.sample(min(most, len(rows)), random_state=0).reset_index(drop=True)


def formats(folder: Path) -> Iterator[tuple[str, EncoderModel, AbstractContextManager]]:
    """Each format's name, the model, and the block to score in."""
    for name, possible in {"float32": True, "bfloat16": multiplies_bfloat16(), "int8": multiplies_int8()}.items():
        if possible:
            dtype = "float32" if name == "int8" else name
            model = load_model(folder, {"dtype": dtype, "num_threads": 1, "int8_scoring": False})
            yield name, model, Int8Layers(model.network) if name == "int8" else nullcontext()


def measure(run: Path, task: str, most: int) -> pd.DataFrame:
    """A row a format: pairs a CPU second, share of decisions as in float32, F1, points against float32's."""
    folder, rows = model_folder(run, task), decided_rows(run, task, most)
    decided, speed = rows[["id", "query", "label"]], {}
    for name, model, block in formats(folder):
        start = time.process_time()
        with block:
            scores = model.score(rows)
        speed[name] = len(rows) / (time.process_time() - start)
        decided = decided.assign(**{name: (scores >= rows["threshold"]).astype(np.int64)})
    found = compare_predictions(decided).table
    same = {name: float((decided[name] == decided["float32"]).mean()) for name in speed}
    points = 100 * found[["difference", "difference_low", "difference_high"]]
    return pd.DataFrame(
        {
            "pairs/CPU s": pd.Series(speed).map("{:,.0f}".format),
            "as in float32": pd.Series(same).map("{:.2%}".format),
            "F1": [f"{f1:.4f} [{low:.4f}, {high:.4f}]" for f1, low, high in found[["f1", "low", "high"]].to_numpy()],
            "points": ["", *(f"{by:+.2f} [{low:+.2f}, {high:+.2f}]" for by, low, high in points.to_numpy()[1:])],
        }
    )


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("run", help="name of a finished run of an encoder")
    parser.add_argument("--rows", type=int, default=3000, help="most rows of dev a task")
    args = parser.parse_args()
    run = find_run(args.run)
    present = [task for task in TASKS if (run / "augmentation" / f"{task}_dev.parquet").is_file()]
    if not present:
        raise UserError(f"number_formats: expected a finished run of an encoder in {run}, found no augmented rows.")
    print(pd.concat({task: measure(run, task, args.rows) for task in present}).to_string())


if __name__ == "__main__":
    sys.exit(exit_status(main))
