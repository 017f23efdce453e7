"""A linear model that knows that equal words are relevant, and a project of its own for the cache."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from competition_utils.models.base import new_model
from competition_utils.runs.scoring import score_file as module

WORDS = ["shoe", "lamp", "ring", "drum"]


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    rng = np.random.default_rng(0)
    query, target = (np.array(WORDS)[rng.integers(0, 4, 400)] for _ in range(2))
    pairs = pd.DataFrame({"task": "QI", "language": "en", "query": query, "query_en": "", "target": target})
    pairs["label"] = (query == target).astype(int)
    folder = tmp_path_factory.mktemp("model")
    fitted = new_model("linear", {})
    fitted.fit(pairs, pairs, work_dir=folder, seed=0)
    fitted.save(folder)
    return folder


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "work_root", lambda: tmp_path / "project")
