"""A tiny encoder made on the spot, and pairs whose label can be learnt from their words."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

THINGS = ["shoe", "lamp", "phone", "chair", "ring", "drum", "tent", "sock"]


def pairs(rows: int, seed: int, in_target: bool = False) -> pd.DataFrame:
    """Relevant where query and target name the same thing; balanced. `in_target`: the target says so, too."""
    rng = np.random.default_rng(seed)
    thing = rng.integers(0, len(THINGS), rows)
    label = rng.integers(0, 2, rows)
    other = (thing + rng.integers(1, len(THINGS), rows)) % len(THINGS)
    words = np.array(THINGS)
    query = pd.Series(words[thing])
    target = (
        pd.Series(words[np.where(label == 1, thing, other)]) + " " + pd.Series(rng.integers(0, 99, rows)).astype(str)
    )
    if in_target:
        target = target + np.where(label == 1, " fits", " misses")
    return pd.DataFrame(
        {
            "id": np.arange(1, rows + 1),
            "task": "QI",
            "language": rng.choice(["en", "fr"], rows),
            "query": query.to_numpy(),
            "query_en": "",
            "target": target.to_numpy(),
            "label": pd.array(label, dtype="Int8"),
            "source": "original",
            "weight": np.float32(1),
        }
    )


def random_bert(folder: Path, hidden_size: int) -> str:
    """A two-layer BERT of random weights and MiniLM's tokenizer, in `folder`."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from competition_utils.models.pretrained import resolve

    tokenizer = AutoTokenizer.from_pretrained(resolve("minilm"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=hidden_size, intermediate_size=2 * hidden_size, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=128, num_labels=1,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory) -> str:
    return random_bert(tmp_path_factory.mktemp("tiny_encoder"), 32)


@pytest.fixture(scope="session")
def pair_maker():
    return pairs
