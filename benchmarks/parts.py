"""What the GPU benchmarks share: parts in processes of their own, the ceiling that they are held against."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

MARK = "RESULT "


def in_own_process(script: str, arguments: list[str], part: str) -> dict[str, Any]:
    """Run one part of a benchmark, `script --part PART …`, and read the figures that it printed with `give`.

    Unsloth patches what the plain way uses, and peak memory is a process's own. Ends the benchmark where a part fails.
    """
    line = [sys.executable, script, "--part", part, *arguments]
    done = subprocess.run(line, capture_output=True, text=True)
    results = [text for text in done.stdout.splitlines() if text.startswith(MARK)]
    if done.returncode or not results:
        name = Path(script).stem
        raise SystemExit(f"{name} {part} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return json.loads(results[-1].removeprefix(MARK))


def give(figures: dict[str, Any]) -> None:
    """Hand the figures of a part to the process that waits for them."""
    print(MARK + json.dumps(figures), flush=True)


def matrix_product_ceiling(device: str = "cuda", repeats: int = 20) -> float:
    """Floating-point operations a second of a large bfloat16 matrix product: the most this device gives in practice."""
    import torch

    size = 8192 if device == "cuda" else 1024
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    times = []
    for _ in range(repeats):
        wait(device)
        start = time.perf_counter()
        left @ right
        wait(device)
        times.append(time.perf_counter() - start)
    return 2 * size**3 / float(np.median(times))


def wait(device: str) -> None:
    """Until the GPU has done what it was given; a CPU has."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def print_table(rows: list[dict[str, Any]], heads: tuple[str, ...]) -> None:
    """`rows` under `heads`, numbers to three digits, nothing where a row lacks a figure."""
    print(" | ".join(heads))
    for row in rows:
        values = (row.get(head, "") for head in heads)
        print(" | ".join(f"{value:.3g}" if isinstance(value, float) else str(value) for value in values))
