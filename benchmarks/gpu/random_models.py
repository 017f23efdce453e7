"""Decoders with random weights and a tokenizer made on the spot: nothing is downloaded.

Tiny ones prove every path on a CPU; those with the shapes of real models have their speed and memory. As a script it
writes one with an adapter, as the GPU benchmarks need it, and leaves nothing on the card:

    python -m benchmarks.gpu.random_models gemma3-12b FOLDER cuda
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.gpu.parts import give
from competition_utils.data.languages import LANGUAGES
from competition_utils.errors import UserError
from competition_utils.models.decoder.prompts import INSTRUCTIONS

# hidden, feed-forward, layers, heads, key-value heads, head size, vocabulary (None: the tokenizer's size).
SHAPES: dict[str, tuple[int, int, int, int, int, int, int | None]] = {
    "gemma3-tiny": (64, 128, 2, 4, 2, 16, None),
    "gemma3-1b": (1152, 6912, 26, 4, 1, 256, 262144),
    "gemma3-4b": (2560, 10240, 34, 8, 4, 256, 262208),
    "gemma3-12b": (3840, 15360, 48, 16, 8, 256, 262208),
    "qwen2-tiny": (64, 128, 2, 4, 2, 16, None),
    "qwen2-7b": (3584, 18944, 28, 28, 4, 128, 152064),
    "qwen2-14b": (5120, 13824, 48, 40, 8, 128, 152064),
}
# Gemma folds a system turn into the first user turn, ChatML gives it a turn of its own.
GEMMA_TEMPLATE = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set lead = messages[0]['content'] + '\n\n' %}"
    "{% set turns = messages[1:] %}{% else %}{% set lead = '' %}{% set turns = messages %}{% endif %}"
    "{% for m in turns %}<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ lead if loop.first else '' }}{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
CHATML_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL_TOKENS = {
    "gemma3": ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"],
    "qwen2": ["<|endoftext|>", "<|im_end|>", "<|im_start|>", "<|unk|>"],
}
FRAME_WORDS = ["user\n", "model\n", "assistant\n", "system\n", "yes\n", "no\n", "Query (", "): ", "Product: "]


def make_tokenizer(family: str, texts: Iterable[str], vocabulary: int = 2048) -> Any:
    """A byte-level BPE tokenizer trained on `texts`, with the family's special tokens and chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = SPECIAL_TOKENS[family]
    bpe = Tokenizer(models.BPE(unk_token=special[3]))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=special, show_progress=False, initial_alphabet=alphabet
    )
    # The words of the prompt and the answers come often enough to become tokens of their own.
    frame = [*INSTRUCTIONS.values(), *(language.name for language in LANGUAGES.values()), *FRAME_WORDS]
    bpe.train_from_iterator([*texts, *frame * 50], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=special[0],
        eos_token=special[1],
        bos_token=special[2],
        unk_token=special[3],
        additional_special_tokens=special[4:],
        model_max_length=32768,
    )
    tokenizer.chat_template = GEMMA_TEMPLATE if family == "gemma3" else CHATML_TEMPLATE
    return tokenizer


def model_config(shape: str, tokens: int) -> Any:
    """The configuration of a text-only model of one of `SHAPES`; `tokens` is the tokenizer's size."""
    from transformers import Gemma3TextConfig, Qwen2Config

    if shape not in SHAPES:
        raise UserError(f"shape: expected one of {', '.join(SHAPES)}, found {shape!r}.")
    hidden, inner, layers, heads, kv_heads, head_size, vocabulary = SHAPES[shape]
    common = {
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary or tokens,
        "max_position_embeddings": 32768,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
        # With 0.02, attention over 64 dimensions is so even that a tiny model learns slowly.
        "initializer_range": 0.02 if vocabulary else 0.1,
    }
    if shape.startswith("gemma3"):
        # The tiny one has a layer of either kind, and a window small enough to be in use.
        kinds = {} if vocabulary else {"layer_types": ["sliding_attention", "full_attention"]}
        window = 1024 if vocabulary else 16
        common |= kinds | {"head_dim": head_size, "query_pre_attn_scalar": head_size, "sliding_window": window}
        return Gemma3TextConfig(**common)
    rope = {"rope_type": "default", "rope_theta": 1e6}
    return Qwen2Config(rope_parameters=rope, tie_word_embeddings=vocabulary is None, **common)


def build_random_model(
    folder: Path | str,
    shape: str,
    texts: Iterable[str],
    *,
    seed: int = 0,
    dtype: str = "float32",
    device: str = "cpu",
    vocabulary: int = 2048,
) -> Path:
    """Write a model with random weights and its tokenizer, as `save_pretrained` does; gives the folder.

    `vocabulary` is the tokenizer's; the larger, the fewer tokens a text has.

    Raises UserError where `shape` is not one of `SHAPES`.
    """
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = make_tokenizer(shape.split("-")[0], texts, vocabulary)
    config = model_config(shape, len(tokenizer))
    torch.manual_seed(seed)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Path(folder)


BASE, FITTED = "base", "fitted"  # the folders of a benchmark's model, and of the same with an adapter
VOCABULARY = 16_000  # of its tokenizer; gives prompts about as long as the real ones


@cache
def count_of_parameters(shape: str) -> int:
    """Parameters of a model of one of `SHAPES`."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(model_config(shape, VOCABULARY))
    return sum(parameter.numel() for parameter in model.parameters())


def gib_of(shape: str, *, four_bit: bool) -> float:
    """Memory of the weights: embedding and output layer stay in 16 bits, the rest in 16 or in 4 and its scales."""
    hidden, vocabulary = SHAPES[shape][0], SHAPES[shape][6] or VOCABULARY
    tables = hidden * vocabulary * (2 if shape.startswith("qwen2") else 1)
    return (tables * 2 + (count_of_parameters(shape) - tables) * (0.53 if four_bit else 2)) / 2**30


def write_benchmark_model(folder: Path, shape: str, device: str) -> None:
    """`base` and `fitted` in `folder`; both matrices of the adapter are random, so that it changes scores."""
    from benchmarks.speed.scoring import pairs
    from competition_utils.models.decoder.load import save_label_rows
    from competition_utils.models.decoder.model import ADAPTER, CARD, FACTS, TOKENIZER, DecoderModel
    from competition_utils.storage import write_json, write_text

    table, place = pairs(20_000), _place(shape, device)
    texts, dtype = [*table["query"], *table["target"]], "bfloat16" if device == "cuda" else "float32"
    base = build_random_model(folder / BASE, shape, texts, vocabulary=VOCABULARY, dtype=dtype, device=place)
    fitter = DecoderModel({"model_name_or_path": str(base), "backend": "transformers", "device": "cpu"})
    network = fitter.add_adapter(_without_weights(base))
    _draw_trained(network)
    network.save_pretrained(folder / FITTED / ADAPTER)
    save_label_rows(network, folder / FITTED / ADAPTER)
    fitter.load_tokenizer().save_pretrained(folder / FITTED / TOKENIZER)
    write_json(folder / FITTED / FACTS, {"merged": False, "base": str(base)})
    write_text(folder / FITTED / CARD, "Random weights, for a benchmark.\n")
    fitter.save_settings(folder / FITTED)


def _without_weights(base: Path) -> Any:
    """The model on the meta device: a second copy of the weights may fit nowhere."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base)).requires_grad_(False)


def _draw_trained(network: Any) -> None:
    """Random numbers for what is trained, in place of what lies on the meta device."""
    import torch

    for module in network.modules():
        for name, one in module.named_parameters(recurse=False):
            if one.requires_grad or name == "label_rows":
                module.register_parameter(name, torch.nn.Parameter(0.02 * torch.randn(one.shape)))


def _place(shape: str, device: str) -> str:
    """Where the weights are drawn: on the card where they fit, which is quicker, else on the host."""
    import torch

    free = torch.cuda.mem_get_info()[0] / 2**30 if device == "cuda" else 0.0
    return "cuda" if free > 1.2 * gib_of(shape, four_bit=False) else "cpu"


if __name__ == "__main__":
    write_benchmark_model(Path(sys.argv[2]), sys.argv[1], sys.argv[3])
    give({})
