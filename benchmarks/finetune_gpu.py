"""Fine-tuning speed and memory on a CUDA GPU: Unsloth beside plain transformers + PEFT + bitsandbytes.

Models of the real shapes with random weights have the speed and memory of the real ones. Every part runs in a process
of its own, since Unsloth patches what the plain one uses. Ours: Unsloth, rows grouped by length, the largest
micro-batch that fits. Plain: the winner's way, a micro-batch of 8, padded, shuffled.

    python benchmarks/finetune_gpu.py --shapes gemma3-12b qwen2-14b --output finetune_gpu.json

Prints a table and writes JSON; ends with status 2 on a machine without CUDA.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from parts import give, in_own_process, matrix_product_ceiling, print_table

PAIRS_OF_AN_EPOCH = 500_000
STEPS, WARM_UP = 30, 10
ROWS = 32  # of an optimizer step
WAYS = {
    "unsloth": {"backend": "unsloth", "batching": "grouped", "per_device_train_batch_size": "auto"},
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
MEMORY_ROWS, MEMORY_TOKENS = 8, 128  # the batch whose peak memory is to stay under a 16 GB card's


def main() -> int:
    arguments = _parse()
    import torch

    if not torch.cuda.is_available():
        print("finetune_gpu: needs a CUDA GPU, found none on this machine.")
        return 2
    if arguments.part:
        give(_measure(arguments.part, arguments.model))
        return 0
    rows = [row for shape in arguments.shapes for row in _compare(shape)]
    found = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "rows": rows}
    arguments.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print_table(rows, HEADS)
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--shapes", nargs="+", default=["gemma3-1b", "gemma3-4b", "gemma3-12b", "qwen2-7b", "qwen2-14b"]
    )
    parser.add_argument("--output", type=Path, default=Path("finetune_gpu.json"))
    parser.add_argument("--part", choices=[*WAYS, "memory", "ceiling"], help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    return parser.parse_args()


def _compare(shape: str) -> list[dict[str, Any]]:
    """All parts for one shape; Unsloth's row gets its ratio to the plain way."""
    from random_models import build_random_model

    with tempfile.TemporaryDirectory(prefix="finetune-") as folder:
        texts = (" ".join(row) for row in _words(200))
        model = build_random_model(folder, shape, texts, dtype="bfloat16", device="cuda")
        part = partial(in_own_process, __file__, ["--model", str(model), "--shapes", shape])
        ceiling = part("ceiling")["flops"]
        found = {way: part(way) for way in WAYS}
        memory = part("memory")
    for way, row in found.items():
        # LoRA on frozen weights: 2 operations forward and 2 backward a parameter and token, 2 more when recomputed.
        operations = (6 if row["checkpointing"] else 4) * row["parameters"] * row["tokens_per_second"]
        row |= {"shape": shape, "way": way, "share_of_ceiling": operations / ceiling}
        row["hours_per_epoch"] = PAIRS_OF_AN_EPOCH / row["samples_per_second"] / 3600
    found["unsloth"]["speed_up"] = found["unsloth"]["samples_per_second"] / found["plain"]["samples_per_second"]
    found["unsloth"]["peak_gib_8x128"] = memory["peak_gib"]
    return list(found.values())


def _measure(part: str, model: str) -> dict[str, Any]:
    if part == "ceiling":
        return {"flops": matrix_product_ceiling()}
    if part == "memory":
        wishes = WAYS["unsloth"] | {"per_device_train_batch_size": MEMORY_ROWS, "gradient_checkpointing": True}
        return _train(model, wishes, effective_batch=MEMORY_ROWS, tokens=MEMORY_TOKENS, steps=6)
    return _train(model, WAYS[part], effective_batch=ROWS, tokens=None, steps=STEPS)


def _train(
    model: str, wishes: dict[str, Any], *, effective_batch: int, tokens: int | None, steps: int
) -> dict[str, Any]:
    """Train a few steps; `tokens` is the length of every prompt, None for lengths as pairs have them (mean 64)."""
    from competition_utils.models.decoder import load as decoder_load
    from competition_utils.models.decoder.model import DecoderModel

    fixed = {"model_name_or_path": model, "device": "cuda", "load_in_4bit": True, "total_batch_size": effective_batch}
    fitter = DecoderModel(fixed | wishes)
    network = fitter.open().model  # imports Unsloth where it is wanted, so it comes first
    import torch

    data = _prompts(steps * effective_batch, tokens)
    torch.cuda.reset_peak_memory_stats()
    times, trainer = _timed_steps(fitter, network, data)
    warm = times[WARM_UP:] if len(times) > WARM_UP else times[len(times) // 2 :]
    speed = effective_batch / float(np.median(warm))
    return {
        "parameters": decoder_load.count_parameters(model),
        "per_device_train_batch_size": trainer.fit.micro_batch,
        "checkpointing": trainer.fit.checkpointing,
        "samples_per_second": speed,
        "tokens_per_second": speed * float(np.mean([len(prompt) for prompt in data.prompts])),
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
    }


def _timed_steps(fitter: Any, network: Any, data: Any) -> tuple[list[float], Any]:
    """Seconds of each optimizer step of one epoch over `data`, and the trainer."""
    import torch
    from transformers import TrainerCallback

    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            torch.cuda.synchronize()
            times.append(time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            torch.cuda.synchronize()
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


def _words(count: int) -> list[list[str]]:
    random = np.random.default_rng(1)
    syllables = np.array([c + v for c in "bdfgklmnprst" for v in "aeiou"])
    return [["".join(random.choice(syllables, 3)) for _ in range(20)] for _ in range(count)]


if __name__ == "__main__":
    sys.exit(main())
