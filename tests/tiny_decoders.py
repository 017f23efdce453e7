"""Tiny random decoders and a toy task that they can learn, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.gpu.random_models import build_random_model

FAMILIES = ("gemma3", "qwen2")
THINGS = ["shoes", "phone", "lamp", "dress", "table", "guitar", "camera", "tent"]
GOOD, BAD = ["genuine", "fitting", "exact"], ["spare", "broken", "unrelated"]


def toy_pairs(rows: int, seed: int = 0, task: str = "QI") -> pd.DataFrame:
    """Pairs of unequal length that one word of the target decides."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, rows)
    words = np.where(labels == 1, random.choice(GOOD, rows), random.choice(BAD, rows))
    things = random.choice(THINGS, rows)
    extra = [" ".join(random.choice(THINGS, random.integers(0, 6))) for _ in range(rows)]
    targets = pd.Series(words) + " " + things + " " + pd.Series(extra)
    return pd.DataFrame(
        {
            "task": task,
            "language": random.choice(["en", "es", "vn"], rows),
            "query": things,
            "query_en": "",
            "target": targets.str.strip(),
            "label": labels,
        }
    )


def build_tiny(folder: Path, family: str, dtype: str = "float32") -> Path:
    return build_random_model(folder, f"{family}-tiny", [*THINGS, *GOOD, *BAD] * 40, dtype=dtype)


def toy_settings(model: Path, **others: object) -> dict:
    """Settings under which a random tiny model learns the toy task within a few dozen steps."""
    settings = {
        "model_name_or_path": str(model),
        "device": "cpu",
        "learning_rate": 5e-3,
        "lr_scheduler_type": "constant_with_warmup",
        "total_batch_size": 16,
        "max_length": 96,
        "num_train_epochs": 3,
        "eval_steps": 1000,
    }
    return settings | others


def needs_gpu(test):
    """The mark `gpu`, and a skip that says so where there is none."""
    skip = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    return pytest.mark.gpu(skip(test))
