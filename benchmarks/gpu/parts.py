"""What the GPU benchmarks share: parts in processes of their own, figures kept as they come, a budget of time.

Works from a checkout that is not installed, and without network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from competition_utils.storage import read_json, write_json

ROOT = Path(__file__).resolve().parents[2]
MARK = "RESULT "
PART_SECONDS = 500.0  # a part that takes longer is stopped
LEAST_SECONDS = 60.0  # with less left no part is begun
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")


class PartFailed(Exception):
    """A part ended without figures; the text says how."""


class Figures:
    """Figures by key in a JSON file that is written whenever one comes; those of an earlier call are kept.

    A part without figures has its `fault` there, and is measured again by the next call.
    """

    def __init__(self, file: Path, *, again: bool = False):
        self.file = file
        self.known: dict[str, Any] = read_json(file) if file.is_file() and not again else {}

    def has(self, key: str) -> bool:
        """Whether nothing is left to do: it was measured, or does not fit."""
        return key in self.known and "fault" not in self.known[key]

    def get(self, key: str) -> dict[str, Any] | None:
        """What was measured; None where there is nothing."""
        return self.known[key] if self.has(key) and "skipped" not in self.known[key] else None

    def add(self, key: str, figures: Any) -> None:
        self.known[key] = figures
        write_json(self.file, self.known)


@dataclass
class Session:
    """One call of a benchmark: `minutes` in all, `run` starts a part with at most so many seconds."""

    figures: Figures
    minutes: float
    device: str = "cuda"
    clock: Callable[[], float] = time.monotonic
    run: Callable[..., dict[str, Any]] | None = None
    started: float = field(init=False)

    def __post_init__(self):
        self.started = self.clock()

    def left(self) -> float:
        """Seconds."""
        return self.minutes * 60 - (self.clock() - self.started)

    def measure(self, key: str, module: str, *arguments: str) -> dict[str, Any] | None:
        """The figures of a part, measured unless they are known; None, and said why, where there are none."""
        if self.figures.has(key):
            return self.figures.get(key)
        if self.left() < LEAST_SECONDS:
            print(f"{key}: not begun, no time left; the next call goes on here", flush=True)
            return None
        print(f"{key}: …", flush=True)
        start = self.clock()
        try:
            found = (self.run or in_own_process)(module, list(arguments), min(PART_SECONDS, self.left()))
        except PartFailed as fault:
            found = {"fault": str(fault)[-4000:]}
            print(f"{key}: no figure. {str(fault).strip().splitlines()[-1]}", flush=True)
        self.figures.add(key, found | {"seconds_in_all": self.clock() - start})
        return self.figures.get(key)

    def skip(self, key: str, reason: str) -> None:
        print(f"{key}: skipped, {reason}", flush=True)
        self.figures.add(key, {"skipped": reason})


def in_own_process(module: str, arguments: list[str], seconds: float) -> dict[str, Any]:
    """Run a module of this folder and read the figures that it printed with `give`; PartFailed where there are none.

    Unsloth patches what the plain way uses, and peak memory is a process's own.
    """
    line = [sys.executable, "-m", f"benchmarks.gpu.{module}", *arguments]
    environment = os.environ | dict.fromkeys(OFFLINE, "1")
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        done = subprocess.run(line, env=environment, capture_output=True, text=True, errors="replace", timeout=seconds)
    except subprocess.TimeoutExpired as late:
        raise PartFailed(f"stopped after {seconds:.0f} s") from late
    results = [text for text in done.stdout.splitlines() if text.startswith(MARK)]
    if done.returncode or not results:
        raise PartFailed(f"status {done.returncode}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}")
    return json.loads(results[-1].removeprefix(MARK))


def give(figures: dict[str, Any]) -> None:
    """Hand the figures of a part to the process that waits for them."""
    print(MARK + json.dumps(figures), flush=True)


def card(device: str) -> dict[str, Any]:
    """Name and memory of the device, torch's version, and `flops`, the ceiling that the figures are held against."""
    import torch

    name, gib = "CPU", 0.0
    if device == "cuda":
        facts = torch.cuda.get_device_properties(0)
        name, gib = facts.name, facts.total_memory / 2**30
    return {"name": name, "gib": gib, "torch": torch.__version__, "flops": matrix_product_ceiling(device)}


def matrix_product_ceiling(device: str = "cuda", repeats: int = 20) -> float:
    """Floating-point operations a second of a large 16-bit matrix product: the most this device gives in practice."""
    import torch

    size = 8192 if device == "cuda" else 1024
    left, right = (torch.randn(size, size, device=device).to(half(device)) for _ in range(2))
    times = []
    for _ in range(repeats):
        wait(device)
        start = time.perf_counter()
        left @ right
        wait(device)
        times.append(time.perf_counter() - start)
    return 2 * size**3 / float(np.median(times))


def half(device: str) -> Any:
    """The 16-bit format that this device is quick in: cards before Ampere only emulate bfloat16."""
    import torch

    old = device == "cuda" and torch.cuda.get_device_capability() < (8, 0)
    return torch.float16 if old else torch.bfloat16


def wait(device: str) -> None:
    """Until the GPU has done what it was given; a CPU has."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def peak_gib(device: str) -> float | None:
    """The most GPU memory that tensors of this process took at once."""
    import torch

    return torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else None


def print_table(rows: list[dict[str, Any]], heads: tuple[str, ...]) -> None:
    """`rows` under `heads`, numbers to three digits, nothing where a row lacks a figure."""
    print(" | ".join(heads))
    for row in rows:
        values = (row.get(head, "") for head in heads)
        print(" | ".join(f"{value:.3g}" if isinstance(value, float) else str(value) for value in values))


if __name__ == "__main__":
    give(card(sys.argv[1]))
