"""Scoring speed of decoders on a CUDA GPU: the engine beside what a user would otherwise pick.

Models of the real shapes with random weights, the same prompts, one run; every way in a process of its own:

    ours            the engine, in 16 and in 4 bits, with the common beginning of all prompts computed once or not,
                    and through Unsloth; through vLLM too where it is installed
    row by row      the winner's public way: tokenised in `__getitem__`, file order, batches of 8, all logits
    pipeline        transformers' text-classification pipeline, the label rows as its head

    python benchmarks/scoring_gpu.py --shapes gemma3-12b --output scoring_gpu.json
    python benchmarks/scoring_gpu.py --shapes gemma3-tiny --device cpu --rows 500     # the same code, without a GPU

Prints a table and writes JSON; ends with status 2 on a machine without CUDA.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from parts import give, in_own_process, matrix_product_ceiling, print_table, wait
from scoring import pairs

TEST_PAIRS = 165_000  # of the competition
VOCABULARY = 16_000  # of the tokenizer that is made here; gives prompts about as long as the real ones
OURS = {
    "ours, 16-bit": {"load_in_4bit": False, "share_prefix": False},
    "ours, 16-bit, common beginning once": {"load_in_4bit": False, "share_prefix": True},
    "ours, 4-bit": {"load_in_4bit": True, "share_prefix": False},
    "ours, 4-bit, common beginning once": {"load_in_4bit": True, "share_prefix": True},
    "ours, 4-bit, Unsloth": {"load_in_4bit": True, "backend": "unsloth"},
    "ours, 16-bit, vLLM": {"load_in_4bit": False, "score_engine": "vllm"},
}
OTHERS = ("row by row, batches of 8", "pipeline")
FEW = 16  # the other ways get so many times fewer rows, since they are slow
HEADS = (
    *("shape", "way", "pairs_per_second", "tokens_per_second", "share_of_ceiling", "padding"),
    *("peak_gib", "largest_difference", "minutes_for_165000"),
)


def main() -> int:
    arguments = _parse()
    import torch

    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("scoring_gpu: needs a CUDA GPU, found none on this machine.")
        return 2
    if arguments.part:
        give(_measure(arguments.part, Path(arguments.model), arguments))
        return 0
    rows = [row for shape in arguments.shapes for row in _compare(shape, arguments)]
    card = torch.cuda.get_device_name() if arguments.device == "cuda" else "CPU"
    found = {"device": card, "torch": torch.__version__, "pairs": arguments.rows, "rows": rows}
    arguments.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print_table(rows, HEADS)
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=["gemma3-1b", "gemma3-12b", "qwen2-14b"])
    parser.add_argument("--rows", type=int, default=8_000, help="pairs that the engine scores")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--output", type=Path, default=Path("scoring_gpu.json"))
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    return parser.parse_args()


def ways(device: str) -> list[str]:
    """The ways that this machine can go."""
    needs = {"ours, 4-bit, Unsloth": "unsloth", "ours, 16-bit, vLLM": "vllm"}
    ours = [way for way in OURS if way not in needs or (device == "cuda" and find_spec(needs[way]))]
    return [way for way in (*ours, *OTHERS) if device == "cuda" or "4-bit" not in way]


def _compare(shape: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """All ways for one shape; differences are against ours in 16 bits with whole prompts."""
    from random_models import build_random_model

    with tempfile.TemporaryDirectory(prefix="scoring-") as folder:
        table = pairs(20_000)
        texts = pd.concat([table["query"], table["target"]])
        dtype = "bfloat16" if arguments.device == "cuda" else "float32"
        build_random_model(folder, shape, texts, vocabulary=VOCABULARY, dtype=dtype, device=arguments.device)
        call = ["--model", folder, "--rows", str(arguments.rows), "--device", arguments.device]
        part = partial(in_own_process, __file__, call)
        ceiling = part("ceiling")["flops"]
        found = {way: part(way) for way in ways(arguments.device)}
        scores = {way: np.load(_scores_file(Path(folder), way)) for way in found}
    for way, row in found.items():
        whole = scores["ours, 16-bit"][: len(scores[way])]
        row |= {"shape": shape, "way": way, "largest_difference": float(np.abs(scores[way] - whole).max())}
        row["share_of_ceiling"] = row.pop("operations_per_second") / ceiling
        row["minutes_for_165000"] = TEST_PAIRS / row["pairs_per_second"] / 60
    return list(found.values())


def _scores_file(folder: Path, way: str) -> Path:
    return folder / f"scores-{way.replace(' ', '_')}.npy"


def _measure(part: str, model: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    if part == "ceiling":
        return {"flops": matrix_product_ceiling(arguments.device)}
    table = pairs(arguments.rows)
    run, facts = _ours(part, model, table, arguments.device) if part in OURS else _other(part, model, table, arguments)
    import torch

    if arguments.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    wait(arguments.device)
    start = time.perf_counter()
    scores = run()
    wait(arguments.device)
    seconds = time.perf_counter() - start
    np.save(_scores_file(model, part), np.asarray(scores, dtype=np.float32))
    peak = torch.cuda.max_memory_allocated() / 2**30 if arguments.device == "cuda" else None
    return {
        "pairs_per_second": len(scores) / seconds,
        "tokens_per_second": facts["tokens"] / seconds,
        # Two operations a weight and token that is computed; word embeddings are looked up, not multiplied.
        "operations_per_second": 2 * facts["weights"] * facts["computed"] / seconds,
        "padding": facts["padding"],
        "peak_gib": peak,
    }


def _ours(way: str, model: Path, table: pd.DataFrame, device: str) -> tuple[Any, dict[str, float]]:
    """A function that scores all pairs, tokenising included, and the numbers of tokens."""
    from competition_utils.models.decoder.model import DecoderModel
    from competition_utils.models.decoder.score import score_prompts
    from competition_utils.models.scoring.engine import TokenBudget
    from competition_utils.models.scoring.prompt_batches import TokenisedPrompts, common_start
    from competition_utils.settings.schema import DecoderSettings

    plain = {"model_name_or_path": str(model), "device": device, "backend": "transformers"}
    settings = DecoderSettings.model_validate(plain | OURS[way])
    if settings.score_engine == "vllm":
        return _vllm(settings, table)
    decoder = DecoderModel(settings).open(adapter=False)
    budget, pad_id = TokenBudget(settings.score_tokens), decoder.tokenizer.pad_token_id

    def run(rows: pd.DataFrame = table) -> np.ndarray:
        return score_prompts(
            decoder.model,
            decoder.writer.write(rows).ids,
            pad_id=pad_id,
            budget=budget,
            dtype=decoder.choice.dtype,
            share_prefix=settings.share_prefix,
        )

    run(table.head(256))  # warms up, and finds the budget that fits
    tokens = TokenisedPrompts(_ragged(decoder.writer, table), pad_id)
    shared = common_start(tokens.tokens) if settings.share_prefix is True else 0
    tokens = TokenisedPrompts(tokens.tokens, pad_id, shared=shared)
    batches = _batches(tokens, budget.tokens)
    padded = sum(len(batch) * tokens.lengths[batch].max() for batch in batches)
    return run, _facts(model, tokens.tokens.lengths.sum(), tokens.lengths.sum(), padded)


def _batches(tokens: Any, budget: int) -> list[np.ndarray]:
    from competition_utils.models.scoring.batching import batches_by_budget

    return batches_by_budget(tokens.lengths, budget)


def _vllm(settings: Any, table: pd.DataFrame) -> tuple[Any, dict[str, float]]:
    from competition_utils.models.decoder.model import DecoderModel
    from competition_utils.models.scoring.vllm import VllmScorer

    writer = DecoderModel(settings).new_writer()
    scorer = VllmScorer(settings.model_name_or_path, writer.label_words.ids, adapter=None, lora_rank=8, max_length=512)
    scorer.score(writer.write(table.head(256)).ids)
    tokens = _ragged(writer, table).lengths.sum()
    return lambda: scorer.score(writer.write(table).ids), _facts(
        Path(settings.model_name_or_path), tokens, tokens, tokens
    )


def _other(way: str, model: Path, table: pd.DataFrame, arguments: argparse.Namespace) -> tuple[Any, dict[str, float]]:
    """A user's own ways, over the first rows; texts of prompts are written beforehand, tokenising is timed."""
    import torch

    from competition_utils.models.decoder.model import DecoderModel

    fitter = DecoderModel({"model_name_or_path": str(model), "backend": "transformers"})
    tokenizer, writer = fitter.tokenizer, fitter.new_writer()
    few = table.head(max(64, len(table) // FEW))
    texts = writer.texts(few).tolist()
    options = {"dtype": torch.bfloat16 if arguments.device == "cuda" else torch.float32}
    make = _row_by_row if way.startswith("row by row") else _pipeline
    run = make(str(model), tokenizer, texts, writer.label_words.ids, arguments.device, options)
    lengths = _ragged(writer, few).lengths
    size = 8 if way.startswith("row by row") else 32
    in_order = [lengths[start : start + size] for start in range(0, len(lengths), size)]
    padded = sum(len(batch) * batch.max() for batch in in_order)
    return run, _facts(model, lengths.sum(), lengths.sum(), padded)


def _row_by_row(model: str, tokenizer: Any, texts: list[str], label_ids: tuple[int, int], device: str, options: dict):
    import torch
    from torch.utils.data import DataLoader, Dataset
    from transformers import AutoModelForCausalLM, DataCollatorWithPadding

    tokenizer.padding_side = "left"
    network = AutoModelForCausalLM.from_pretrained(model, device_map=device, **options).eval()

    class Rows(Dataset):
        def __len__(self) -> int:
            return len(texts)

        def __getitem__(self, row: int) -> Any:
            return tokenizer(texts[row], add_special_tokens=False)

    def run() -> np.ndarray:
        parts = []
        with torch.no_grad():
            for batch in DataLoader(Rows(), batch_size=8, collate_fn=DataCollatorWithPadding(tokenizer)):
                logits = network(**{name: values.to(device) for name, values in batch.items()}).logits
                two = logits[:, -1, list(label_ids)].float()
                parts.append(torch.softmax(two, dim=-1)[:, 1].cpu())
        return torch.cat(parts).numpy()

    return run


def _pipeline(model: str, tokenizer: Any, texts: list[str], label_ids: tuple[int, int], device: str, options: dict):
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
    from transformers import pipeline as make

    rows = AutoModelForCausalLM.from_pretrained(model, **options).get_output_embeddings().weight[list(label_ids)]
    classifier = AutoModelForSequenceClassification.from_pretrained(model, num_labels=2, device_map=device, **options)
    with torch.no_grad():
        classifier.score.weight.copy_(rows)
    pipe = make("text-classification", model=classifier, tokenizer=tokenizer)
    asked = {"total_batch_size": 32, "top_k": None, "add_special_tokens": False}
    return lambda: np.array([_second(answer) for answer in pipe(texts, **asked)], dtype=np.float32)


def _second(answer: list[dict[str, Any]]) -> float:
    return next(entry["score"] for entry in answer if entry["label"] == "LABEL_1")


def _ragged(writer: Any, table: pd.DataFrame) -> Any:
    from competition_utils.models.scoring.ragged import Ragged

    return Ragged.from_lists(writer.write(table).ids)


def _facts(model: Path, tokens: int, computed: int, padded: int) -> dict[str, float]:
    """`tokens` of all prompts, those `computed` (without a shared beginning), the padded size of the batches."""
    from competition_utils.models.decoder.load import count_parameters, find_config

    config = find_config(str(model))
    weights = count_parameters(str(model)) - config.vocab_size * config.hidden_size
    return {
        "tokens": int(tokens),
        "computed": int(computed),
        "weights": weights,
        "padding": float(1 - computed / padded),
    }


if __name__ == "__main__":
    sys.exit(main())
