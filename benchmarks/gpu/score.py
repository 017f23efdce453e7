"""Scoring speed of decoders on a CUDA GPU: the engine as it scores a fitted model, beside what a user would else pick.

Models of the real shapes with random weights and a random adapter, the same pairs; every way in a process of its own:

    ours            `score` of a fitted model: in 16 bits with the adapter merged, in 4 bits with it as it is; with the
                    common beginning of all prompts computed once or with every row
    row by row      the winner's public way: tokenised in `__getitem__`, file order, batches of 8, all logits
    pipeline        transformers' text-classification pipeline, the label rows as its head

The last two score the base without an adapter, which is to their advantage, in 16 bits.

    python -m benchmarks.gpu.check --only score --shapes gemma3-12b --output scoring.json
    python -m benchmarks.gpu.check --only score --shapes gemma3-tiny --device cpu --rows 500     # without a GPU

This script measures one part of it: `python -m benchmarks.gpu.score WAY FOLDER DEVICE ROWS`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.gpu.parts import Session, give, half, peak_gib, wait
from benchmarks.gpu.random_models import BASE, FITTED, gib_of
from benchmarks.speed.scoring import pairs

TEST_PAIRS = 165_000  # of the competition
OURS = {
    "ours, 4-bit, common beginning once": {"load_in_4bit": True, "share_prefix": True},
    "ours, 16-bit, common beginning once": {"load_in_4bit": False, "share_prefix": True},
    "ours, 4-bit": {"load_in_4bit": True, "share_prefix": False},
    "ours, 16-bit": {"load_in_4bit": False, "share_prefix": False},
}
OTHERS = ("row by row, batches of 8", "pipeline")
FEW = 16  # the other ways get so many times fewer rows, since they are slow
ROOM_GIB = 2.0  # beside the weights
HEADS = (
    *("shape", "way", "pairs_per_second", "tokens_per_pair", "tokens_per_second", "share_of_ceiling", "padding"),
    *("peak_gib", "largest_difference", "minutes_for_165000"),
)


def ways(device: str) -> list[str]:
    """4 bits pay on CUDA only."""
    return [way for way in (*OURS, *OTHERS) if device == "cuda" or "4-bit" not in way]


def measure_shape(session: Session, shape: str, folder: Path, rows: int) -> None:
    """All ways for one shape that fit into the card, each into the figures when it is there."""
    card = session.figures.get("card")
    for way in ways(session.device):
        needed = gib_of(shape, four_bit="4-bit" in way) + ROOM_GIB
        if session.device == "cuda" and needed > card["gib"]:
            session.skip(f"score/{shape}/{way}", f"needs {needed:.0f} GiB, the card has {card['gib']:.0f}")
            continue
        session.measure(f"score/{shape}/{way}", "score", way, str(folder), session.device, str(rows))


def table(session: Session, shape: str) -> list[dict[str, Any]]:
    """A row a way that was measured; differences are against ours in 16 bits with whole prompts."""
    found = {way: session.figures.get(f"score/{shape}/{way}") for way in ways(session.device)}
    found = {way: row for way, row in found.items() if row}
    whole = np.array(found.get("ours, 16-bit", {}).get("first_scores", []))
    rows = []
    for way, figures in found.items():
        row = {"shape": shape, "way": way, **figures}
        if len(whole) and way in OURS:
            row["largest_difference"] = float(np.abs(np.array(row["first_scores"]) - whole).max())
        row["share_of_ceiling"] = row["operations_per_second"] / session.figures.get("card")["flops"]
        row["minutes_for_165000"] = TEST_PAIRS / row["pairs_per_second"] / 60
        rows.append(row)
    return rows


def measure(way: str, folder: str, device: str, rows: str) -> dict[str, Any]:
    """The figures of one way; the model is in memory and warm when the clock starts, tokenising is timed."""
    table = pairs(int(rows))
    run, facts = (_ours if way in OURS else _other)(way, Path(folder), table, device)
    import torch

    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    wait(device)
    start = time.perf_counter()
    scores = run()
    wait(device)
    seconds = time.perf_counter() - start
    return {
        "pairs_per_second": len(scores) / seconds,
        "tokens_per_pair": facts["tokens"] / len(scores),
        "tokens_per_second": facts["tokens"] / seconds,
        # Two operations a weight and token that is computed; word embeddings are looked up, not multiplied.
        "operations_per_second": 2 * facts["weights"] * facts["computed"] / seconds,
        "padding": facts["padding"],
        "peak_gib": peak_gib(device),
        "first_scores": np.asarray(scores, dtype=float)[:64].round(6).tolist(),
    }


def _ours(way: str, folder: Path, table: pd.DataFrame, device: str) -> tuple[Any, dict[str, float]]:
    """A function that scores all pairs as `score` does, and the numbers of tokens."""
    from competition_utils.models.base import load_model
    from competition_utils.models.scoring.batching import batches_by_budget
    from competition_utils.models.scoring.prompt_batches import TokenisedPrompts, common_start

    place = {"model_name_or_path": str(folder / BASE), "device": device}
    model = load_model(folder / FITTED, place | {"dtype": "auto", "backend": "auto"} | OURS[way])
    model.score(table.head(256))  # loads, warms up, and finds the budget that fits
    prompts = _ragged(model.new_writer(), table)
    tokens = TokenisedPrompts(prompts, 0, shared=common_start(prompts) if OURS[way]["share_prefix"] else 0)
    batches = batches_by_budget(tokens.lengths, model.settings.score_tokens)
    padded = sum(len(batch) * tokens.lengths[batch].max() for batch in batches)
    return lambda: model.score(table), _facts(folder, prompts.lengths.sum(), tokens.lengths.sum(), padded)


def _other(way: str, folder: Path, table: pd.DataFrame, device: str) -> tuple[Any, dict[str, float]]:
    """A user's own ways, over the first rows; texts of prompts are written beforehand, tokenising is timed."""
    import torch

    from competition_utils.models.decoder.model import DecoderModel

    base = str(folder / BASE)
    fitter = DecoderModel({"model_name_or_path": base, "backend": "transformers"})
    tokenizer, writer = fitter.tokenizer, fitter.new_writer()
    few = table.head(max(64, len(table) // FEW))
    texts = writer.texts(few).tolist()
    options = {"dtype": half(device) if device == "cuda" else torch.float32}
    make = _row_by_row if way.startswith("row by row") else _pipeline
    run = make(base, tokenizer, texts, writer.label_words.ids, device, options)
    lengths = _ragged(writer, few).lengths
    size = 8 if way.startswith("row by row") else 32
    in_order = [lengths[start : start + size] for start in range(0, len(lengths), size)]
    padded = sum(len(batch) * batch.max() for batch in in_order)
    return run, _facts(folder, lengths.sum(), lengths.sum(), padded)


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
    from transformers import AutoModelForSequenceClassification
    from transformers import pipeline as make

    classifier = AutoModelForSequenceClassification.from_pretrained(model, num_labels=2, device_map=device, **options)
    with torch.no_grad():  # for the speed any two rows will do
        classifier.score.weight.copy_(classifier.get_input_embeddings().weight[list(label_ids)])
    pipe = make("text-classification", model=classifier, tokenizer=tokenizer)
    asked = {"batch_size": 32, "top_k": None, "add_special_tokens": False}
    return lambda: np.array([_second(answer) for answer in pipe(texts, **asked)], dtype=np.float32)


def _second(answer: list[dict[str, Any]]) -> float:
    return next(entry["score"] for entry in answer if entry["label"] == "LABEL_1")


def _ragged(writer: Any, table: pd.DataFrame) -> Any:
    from competition_utils.models.scoring.ragged import Ragged

    return Ragged.from_lists(writer.write(table).ids)


def _facts(folder: Path, tokens: int, computed: int, padded: int) -> dict[str, float]:
    """`tokens` of all prompts, those `computed` (without a shared beginning), the padded size of the batches."""
    from competition_utils.models.decoder.load import count_parameters, find_config

    config = find_config(str(folder / BASE))
    weights = count_parameters(str(folder / BASE)) - config.vocab_size * config.hidden_size
    return {
        "tokens": int(tokens),
        "computed": int(computed),
        "weights": weights,
        "padding": float(1 - computed / padded),
    }


if __name__ == "__main__":
    give(measure(*sys.argv[1:]))
