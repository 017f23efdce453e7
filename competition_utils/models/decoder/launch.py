"""The same fit and score in children of this process, started by `accelerate launch`: one a GPU, or several
on a CPU.

The notebook that started them holds no model. Tables travel as parquet, results as the files that a fit writes
anyway. What a child does is in `launch_child`, so that this module knows no model and every model may use it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import competition_utils
from competition_utils.errors import UserError
from competition_utils.models.base import FitReport
from competition_utils.models.parts import refuse_to_send
from competition_utils.settings.schema import DecoderSettings
from competition_utils.storage import read_json, write_json, write_parquet

CHILD = "COMPETITION_UTILS_CHILD"  # set in the children, so that they do not start children
LAST_LINES = 30
OF_A_LAUNCH = ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
ONE_MACHINE = ("--num_machines", "1", "--dynamo_backend", "no", "--mixed_precision", "no", "--main_process_port", "0")


def is_child() -> bool:
    return CHILD in os.environ


def fit_in_children(
    settings: DecoderSettings,
    edits: Mapping[str, Any],
    train: pd.DataFrame,
    valid: pd.DataFrame,
    *,
    work_dir: Path,
    seed: int,
) -> FitReport:
    """Fit a decoder with these settings and edited parts; the fitted model lies in `work_dir/fitted`.

    Raises UserError as the fit itself does, and for edits that cannot travel: functions of a notebook.
    """
    refuse_to_send(edits)
    write_parquet(work_dir / "launch" / "train.parquet", train)
    write_parquet(work_dir / "launch" / "valid.parquet", valid)
    job = {"do": "fit", "settings": settings.model_dump(), "edits": dict(edits)}
    job |= {"work_dir": str(work_dir.resolve()), "seed": seed}
    _run(job, work_dir / "launch", settings)
    return FitReport(**read_json(work_dir / "fitted" / "report.json"))


def score_in_children(folder: Path, pairs: pd.DataFrame, settings: DecoderSettings) -> np.ndarray:
    """Score with the model in `folder` under `settings`, which may differ from those it was saved with; float32 [n]
    in the order of `pairs`. Always through transformers, which alone shares the beginning of the prompts."""
    with tempfile.TemporaryDirectory(prefix="scoring-") as place:
        here = Path(place)
        write_parquet(here / "pairs.parquet", pairs)
        plain = settings.model_dump() | {"backend": "transformers"}
        job = {"do": "score", "folder": str(Path(folder).resolve()), "settings": plain}
        _run(job, here, settings)
        return np.load(here / "scores.npy", allow_pickle=False)


def command(job: Path, settings: DecoderSettings) -> list[str]:
    """The line that starts the children: as many as `settings.num_processes`."""
    line = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--num_processes",
        str(settings.num_processes),
        *ONE_MACHINE,
    ]
    if settings.parallel == "fsdp" and settings.num_processes > 1:
        line += ["--use_fsdp", "--fsdp_version", "2", "--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP"]
        line += ["--fsdp_state_dict_type", "FULL_STATE_DICT", "--fsdp_cpu_ram_efficient_loading", "false"]
    elif settings.num_processes > 1:
        line += ["--multi_gpu"]  # on a CPU too: `--cpu` would start one process only
    return [*line, "-m", "competition_utils.models.decoder.launch_child", str(job)]


def has_gpu(settings: DecoderSettings) -> bool:
    """Whether a job with these settings runs on CUDA."""
    import torch

    return settings.device != "cpu" and torch.cuda.is_available()


def _run(job: dict[str, Any], place: Path, settings: DecoderSettings) -> None:
    """Run a job in children and show what they print; their error becomes ours."""
    write_json(place / "job.json", job)
    fault = place / "error.txt"
    fault.unlink(missing_ok=True)
    package = str(Path(competition_utils.__file__).parents[1])
    paths = os.pathsep.join(path for path in (package, os.environ.get("PYTHONPATH")) if path)
    # Of another launch that this process may be part of, the children keep the GPU and forget the rest.
    own = {name: value for name, value in os.environ.items() if name not in OF_A_LAUNCH}
    environment = own | {CHILD: "1", "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}
    environment |= {} if has_gpu(settings) else {"ACCELERATE_USE_CPU": "true"}
    last: deque[str] = deque(maxlen=LAST_LINES)
    line = command(place / "job.json", settings)
    with subprocess.Popen(
        line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as children:
        try:
            for text in children.stdout:
                last.append(text)
                print(text, end="", flush=True)
        except BaseException:
            children.terminate()
            raise
    if fault.is_file():
        raise UserError(fault.read_text(encoding="utf-8"))
    if children.returncode:
        raise RuntimeError(f"The launched processes ended with status {children.returncode}:\n{''.join(last)}")
