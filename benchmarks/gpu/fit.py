"""Fine-tuning speed and memory on a CUDA GPU: Unsloth beside plain transformers + PEFT + bitsandbytes.

Models of the real shapes with random weights have the speed and memory of the real ones. Every part runs in a process
of its own, since Unsloth patches what the plain one uses. Ours: Unsloth, rows grouped by length, the largest
micro-batch that fits. Plain: the winner's way, a micro-batch of 8, padded, shuffled. `memory`: the peak of 8 rows of
128 tokens, which is to stay under a 16 GB card's.

    python -m benchmarks.gpu.check --only fit --shapes gemma3-12b qwen2-14b --minutes 20 --output finetune.json

This script measures one part of it: `python -m benchmarks.gpu.fit PART MODEL DEVICE`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu.parts import Session, give, peak_gib, wait

PAIRS_OF_AN_EPOCH = 500_000
STEPS, WARM_UP, MEMORY_STEPS = 24, 8, 4
ROWS = 32  # of an optimizer step
MEMORY_ROWS, MEMORY_TOKENS = 8, 128
PARTS = {
    "unsloth": {"backend": "unsloth", "batching": "grouped", "per_device_train_batch_size": "auto"},
    "memory": {"backend": "unsloth", "per_device_train_batch_size": MEMORY_ROWS, "gradient_checkpointing": True},
    "plain": {
        "backend": "transformers",
        "batching": "shuffled",
        "per_device_train_batch_size": 8,
        "gradient_checkpointing": True,
    },
}
HEADS = (
    *("shape", "way", "samples_per_second", "speed_up", "share_of_ceiling", "peak_gib", "peak_gib_8x128"),
    *("hours_per_epoch", "micro_batch", "checkpointing"),
)


def measure_shape(session: Session, shape: str, model: Path) -> None:
    """All parts for one shape, each into the figures when it is there."""
    for part in PARTS:
        session.measure(f"fit/{shape}/{part}", "fit", part, str(model), session.device)


def table(session: Session, shape: str) -> list[dict[str, Any]]:
    """A row a way that was measured; Unsloth's has its ratio to the plain way and the peak of the 8 × 128 batch."""
    found = {part: session.figures.get(f"fit/{shape}/{part}") for part in PARTS}
    rows = {way: {"shape": shape, "way": way, **found[way]} for way in ("unsloth", "plain") if found[way]}
    card = session.figures.get("card")
    for row in rows.values():
        # LoRA on frozen weights: 2 operations forward and 2 backward a parameter and token, 2 more when recomputed.
        operations = (6 if row["checkpointing"] else 4) * row["parameters"] * row["tokens_per_second"]
        row["share_of_ceiling"] = operations / card["flops"]
        row["hours_per_epoch"] = PAIRS_OF_AN_EPOCH / row["samples_per_second"] / 3600
    if len(rows) == 2:
        rows["unsloth"]["speed_up"] = rows["unsloth"]["samples_per_second"] / rows["plain"]["samples_per_second"]
    if "unsloth" in rows and found["memory"]:
        rows["unsloth"]["peak_gib_8x128"] = found["memory"]["peak_gib"]
    return list(rows.values())


def measure(part: str, model: str, device: str) -> dict[str, Any]:
    """The figures of one part."""
    if part == "memory":
        return _train(model, device, PARTS[part], rows=MEMORY_ROWS, tokens=MEMORY_TOKENS, steps=MEMORY_STEPS)
    return _train(model, device, PARTS[part], rows=ROWS, tokens=None, steps=STEPS if device == "cuda" else 2)


def _train(
    model: str, device: str, wishes: dict[str, Any], *, rows: int, tokens: int | None, steps: int
) -> dict[str, Any]:
    """Train a few steps of `rows`; `tokens` is the length of every prompt, None for lengths as pairs have them."""
    from competition_utils.models.decoder import launch
    from competition_utils.models.decoder import load as decoder_load
    from competition_utils.models.decoder.model import DecoderModel

    os.environ[launch.CHILD] = "1"  # this process may be changed by Unsloth
    fixed = {"model_name_or_path": model, "device": device, "load_in_4bit": device == "cuda", "total_batch_size": rows}
    fitter = DecoderModel(fixed | wishes)
    network = fitter.open().model  # imports Unsloth where it is wanted, so it comes first
    import torch

    data = _prompts(steps * rows, tokens)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    times, trainer = _timed_steps(fitter, network, data, device)
    warm = times[WARM_UP:] if len(times) > WARM_UP else times[len(times) // 2 :]
    speed = rows / float(np.median(warm))
    return {
        "parameters": decoder_load.count_parameters(model),
        "micro_batch": trainer.fit.micro_batch,
        "checkpointing": trainer.fit.checkpointing,
        "samples_per_second": speed,
        "tokens_per_second": speed * float(np.mean([len(prompt) for prompt in data.prompts])),
        "peak_gib": peak_gib(device),
    }


def _timed_steps(fitter: Any, network: Any, data: Any, device: str) -> tuple[list[float], Any]:
    """Seconds of each optimizer step of one epoch over `data`, and the trainer."""
    from transformers import TrainerCallback

    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            wait(device)
            times.append(time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            wait(device)
            times[-1] = time.perf_counter() - times[-1]

    with tempfile.TemporaryDirectory(prefix="steps-") as folder:
        arguments = fitter.training_arguments(Path(folder), epochs=1, evaluates=False)
        trainer = fitter.make_trainer(network, data, None, arguments)
        trainer.add_callback(Clock())
        trainer.train()
    return times, trainer


def _prompts(count: int, tokens: int | None) -> Any:
    """Random tokens with the lengths of real prompts: log-normal around 64, 20 to 256."""
    from competition_utils.models.decoder.rows import Labelled

    random = np.random.default_rng(0)
    drawn = np.clip(random.lognormal(np.log(60), 0.35, count), 20, 256).astype(int)
    lengths = drawn if tokens is None else np.full(count, tokens)
    prompts = [random.integers(10, 1000, length).tolist() for length in lengths]
    return Labelled(prompts, random.integers(0, 2, count), np.ones(count), np.full(count, "QI"))


if __name__ == "__main__":
    give(measure(*sys.argv[1:]))
