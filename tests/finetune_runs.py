"""Tables and settings for a run of notebook 03 that takes seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[1]
THINGS = np.array(["shoe", "lamp", "phone", "chair"])
DECODER = {"device": "cpu", "max_length": 128, "total_batch_size": 8, "eval_steps": 2, "learning_rate": 3e-3}


def augmented(task: str, rows: int, first_id: int) -> pd.DataFrame:
    """What stage augmentation leaves of a task's train file, as far as a fit reads it."""
    rng = np.random.default_rng(first_id)
    asked, given = rng.integers(0, len(THINGS), (2, rows))
    labels = (asked == given) | (np.arange(rows) % 3 == 0)
    columns = {"id": np.arange(first_id, first_id + rows), "task": task, "language": rng.choice(["en", "fr"], rows)}
    columns |= {"query": THINGS[asked], "query_en": "", "target": THINGS[given], "label": pd.array(labels * 1, "Int8")}
    return pd.DataFrame(columns).assign(fold=np.arange(rows) % 2, source="original", weight=np.float32(1))
