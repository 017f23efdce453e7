"""Scoring a folder of parquet shards: pairs a CPU second by model, and peak memory by number of rows.

    python -m benchmarks.speed.shards --model linear --rows 200000 2000000 --json shards_linear.json
    python -m benchmarks.speed.shards --model minilm --rows 20000 --dtype float32
    python -m benchmarks.speed.shards --model gemma-3-270m --rows 100
    python -m benchmarks.speed.shards --model none --rows 200000 2000000      the path around the model alone

The model is fitted on 16 rows, since speed does not depend on what it has learnt; the pairs are those of `scoring.py`
beside this file, all different, 100,000 a shard. Each size is scored by a process of its own, so that its peak
memory is its own, then by another one, which finds every shard finished. A process scores a few pairs first, so that
imports do not count. `--threads` fixes the threads of torch.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.command import exit_status, new_parser
from benchmarks.speed.scoring import AtOnce, pairs, peak_mb
from competition_utils.storage import write_json

SHARD_ROWS = 100_000
FITTED_ROWS, FEW = 16, "few"
SHORT_FIT = {"num_train_epochs": 1.0, "total_batch_size": 16, "per_device_train_batch_size": 16}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("linear", {}),  # fitted, but its place is taken by one that scores at once
    "linear": ("linear", {}),
    "minilm": ("encoder", {**SHORT_FIT, "collapse_auc": 0.0}),
    "multilingual-e5-small": (
        "encoder",
        {**SHORT_FIT, "collapse_auc": 0.0, "model_name_or_path": "multilingual-e5-small"},
    ),
    "gemma-3-270m": ("decoder", {**SHORT_FIT, "model_name_or_path": "gemma-3-270m", "max_length": 96}),
}


def fit_model(name: str, folder: Path, dtype: str, threads: int) -> Path:
    """A model of a kind, fitted on a few rows, in `folder`."""
    from competition_utils.models.base import new_model

    kind, settings = MODELS[name]
    if kind != "linear":
        settings = {**settings, "dtype": dtype, "num_threads": threads}
    table = pairs(FITTED_ROWS).assign(label=np.arange(FITTED_ROWS) % 2)
    model = new_model(kind, settings)
    model.fit(table, table, work_dir=folder / "work", seed=0)
    model.save(folder / "model")
    return folder / "model"


def write_shards(folder: Path, table: pd.DataFrame) -> Path:
    folder.mkdir(exist_ok=True)
    for number, start in enumerate(range(0, len(table), SHARD_ROWS)):
        part = table[["language", "query", "target"]].iloc[start : start + SHARD_ROWS]
        part.to_parquet(folder / f"part-{number:05d}.parquet", index=False)
    return folder


def score(name: str, model: str, source: str, output: str) -> dict[str, float]:
    """Score the folder in this process: `seconds, cpu_seconds, peak_mb`, and shards finished before."""
    from competition_utils.runs.scoring import shards

    if name == "none":
        shards.load_model = lambda *_: AtOnce()
    fitted = Path(model)
    shards.score_shards(fitted, Path(source).parent / FEW, Path(f"{output}_{FEW}"), task="QI")
    started, cpu = time.monotonic(), time.process_time()
    done = shards.score_shards(fitted, Path(source), Path(output), task="QI")
    seconds = {"seconds": time.monotonic() - started, "cpu_seconds": time.process_time() - cpu}
    counts = {"rows": done.rows, "shards": done.shards, "shards_before": done.shards_before}
    return {**counts, **seconds, "peak_mb": peak_mb()}


def measure(name: str, model: Path, place: Path, rows: int) -> dict[str, float]:
    """One size, in processes of their own: first all shards scored, then all of them found finished."""
    folder = place / str(rows)
    write_shards(folder, pairs(rows))
    write_shards(place / FEW, pairs(FITTED_ROWS))
    arguments = [name, model, folder, place / f"{rows}_scores"]
    call = [sys.executable, "-m", __spec__.name, "--child", *map(str, arguments)]
    lines = [subprocess.run(call, stdout=subprocess.PIPE, text=True, check=True).stdout for _ in range(2)]
    first, again = (json.loads(line.splitlines()[-1]) for line in lines)
    if (first["rows"], again["shards_before"]) != (rows, first["shards"]):
        raise SystemExit(f"expected {rows:,} rows scored and then found finished; found {first} and {again}")
    rate = rows / first["cpu_seconds"]
    return {**first, "pairs_per_cpu_second": rate, "found_finished_seconds": again["seconds"]}


def show(model: str, sizes: list[dict[str, float]]) -> None:
    for size in sizes:
        print(
            f"{model:<22}{size['rows']:>11,} pairs in {size['shards']:>3} shards {size['seconds']:>9,.1f} s"
            f"{size['cpu_seconds']:>9,.1f} CPU s {size['pairs_per_cpu_second']:>8,.1f} pairs/CPU s"
            f"  peak {size['peak_mb']:,} MB  found finished in {size['found_finished_seconds']:.1f} s"
        )


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--model", choices=MODELS, default="linear")
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 2_000_000])
    parser.add_argument("--dtype", default="auto", help="number format of encoders and decoders")
    parser.add_argument("--threads", type=int, default=1, help="threads of encoders and decoders")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(score(*args.child)))
        return
    with tempfile.TemporaryDirectory() as place:
        model = fit_model(args.model, Path(place), args.dtype, args.threads)
        sizes = [measure(args.model, model, Path(place), rows) for rows in args.rows]
    show(args.model, sizes)
    if args.json:
        write_json(args.json, {"model": args.model, "sizes": {str(size["rows"]): size for size in sizes}})


if __name__ == "__main__":
    sys.exit(exit_status(main))
