"""Embeddings of texts: MiniLM or multilingual-e5-small out of packages, or any sentence-transformers model by name."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from competition_utils.errors import UserError
from competition_utils.models.pretrained import MINILM, PRETRAINED, resolve
from competition_utils.progress import progress

TOKENS_A_BATCH = 4096
TOKENISED_TOGETHER = 16_384  # texts
TRIED_TEXT, TRIED_TEXTS = "red evening dress for women with long sleeves", 32
LONGEST = 64  # tokens; titles of 130 characters have about 40


def embed(
    texts: Sequence[str], model_name: str = MINILM, *, kind: Literal["query", "document"] = "query"
) -> np.ndarray:
    """float32 [n, d] of length 1, in the order of `texts`.

    A model that was trained with a prompt in front of queries and documents (multilingual-e5-small: "query: " and
    "passage: ") gets the one of `kind`, as its folder names it; MiniLM has none.
    Different texts are embedded once, sorted by length, in batches of as many tokens as fit.
    """
    model = _load(model_name)
    place, unique = pd.factorize((model.prompts.get(kind) or "") + pd.Series(texts, dtype="str"))
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


def _bf16_pays(model: Any, model_name: str) -> bool:
    """On a GPU where it multiplies bf16, on a CPU by a trial once a machine. Tables of word vectors stay in float32."""
    import torch
    from transformers import PreTrainedTokenizerBase

    if model.device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if not isinstance(model.tokenizer, PreTrainedTokenizerBase):
        return False
    from competition_utils.models.compute import faster_format

    features = model.tokenizer([TRIED_TEXT] * TRIED_TEXTS, return_tensors="pt")
    ways = {"float32": model, "bfloat16": copy.deepcopy(model).bfloat16()}
    with torch.inference_mode():
        calls = {dtype: partial(_embed_few, one, features) for dtype, one in ways.items()}
        return faster_format(calls, {"purpose": "embedding", "model": model_name}, []) == "bfloat16"


def _embed_few(model: Any, features: Mapping[str, Any]) -> Any:
    return model(dict(features))["sentence_embedding"]


@lru_cache(maxsize=1)
def _load(model_name: str) -> Any:
    from sentence_transformers import SentenceTransformer
    from transformers import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()  # it loads in a moment, and would stay in a notebook
    try:
        model = SentenceTransformer(resolve(model_name)).eval()
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"embedding_model: expected {', '.join(PRETRAINED)} or a sentence-transformers model that can be loaded, "
            f"found {model_name!r}: {first}"
        ) from None
    return model.bfloat16() if _bf16_pays(model, model_name) else model
