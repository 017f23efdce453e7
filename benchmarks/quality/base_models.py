"""What base models know before any fine-tuning, on rows of a finished run: beside the run's own model and its baseline.

    python -m benchmarks.quality.base_models gemma3_270m_cpu --rows 500
    python -m benchmarks.quality.base_models taxobench --rows 500 --task QC --ways "e5 cosine" --json base.json

e5 cosine: multilingual-e5-small, the query against the last two levels of the path, or the title. Gemma zero-shot:
the probability of the label word after the prompt with its instruction; few-shot: after eight labelled rows of train
besides; information: how much likelier the target is given the query (`models.scoring.likelihood`). `linear` and the
run's model are read from the run. Each threshold is chosen on `--rows` validation rows of fold 0, F1 and AUC are
measured on as many labelled rows of dev, with 95% bootstrap intervals over queries.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from benchmarks.command import exit_status, new_parser
from competition_utils.decide.metrics import evaluate
from competition_utils.decide.thresholds import best_threshold
from competition_utils.errors import UserError
from competition_utils.models.decoder.model import DecoderModel
from competition_utils.models.decoder.prompts import PromptWriter
from competition_utils.models.decoder.score import score_prompts
from competition_utils.models.embeddings import embed
from competition_utils.models.pretrained import GEMMA_270M, MULTILINGUAL_E5
from competition_utils.models.scoring.engine import TokenBudget
from competition_utils.models.scoring.likelihood import mutual_information
from competition_utils.paths import shown
from competition_utils.runs.artefacts import find_run
from competition_utils.storage import read_parquet, write_json
from competition_utils.tasks import QC, TASKS

LAST_LEVELS, SHOTS, TOKENS = 2, 8, 4096
Rows = dict[str, pd.DataFrame]  # "train", "valid", "dev"
Way = Callable[[pd.DataFrame, Rows], np.ndarray]


def rows_of(run: Path, task: str, count: int) -> Rows:
    """Training rows, and `count` validation and dev rows drawn at random, with the scores that the run has of them."""
    if not (run / "finetune").is_dir():
        raise UserError(f"base models: expected a finished run, found none in {shown(run)}. Run it to the end.")
    tables = {split: read_parquet(run / "augmentation" / f"{task}_{split}.parquet") for split in ("train", "dev")}
    held = (tables["train"]["fold"] == 0) & (tables["train"]["source"] == "original")
    if "label" not in tables["dev"]:
        raise UserError(f"base models: expected labels in dev of {run.name}, found none.")
    chosen = {"valid": tables["train"][held], "dev": tables["dev"]}
    for split, table in chosen.items():
        some = table.sample(min(count, len(table)), random_state=0).sort_index().reset_index(drop=True)
        for name, column in ((task, "of_run"), (f"{task}_linear", "of_linear")):
            scores = read_parquet(run / "finetune" / f"{name}_scores.parquet")
            scores = scores[scores["split"] == split].set_index("id")["score"]
            some[column] = some["id"].map(scores)
        chosen[split] = some.assign(label=some["label"].astype(int))
    return {"train": tables["train"][tables["train"]["fold"] != 0], **chosen}


def e5_cosine(pairs: pd.DataFrame, _: Rows, query: str = "query") -> np.ndarray:
    """float [n] in 0–1."""
    texts = pairs["query"].where(pairs[query] == "", pairs[query])
    ends = pairs["target"].str.split(r",(?=\S)", regex=True).str[-LAST_LEVELS:].str.join(", ")
    targets = ends.where(pairs["task"] == QC.name, pairs["target"])
    sides = embed(texts, MULTILINGUAL_E5, kind="query"), embed(targets, MULTILINGUAL_E5, kind="document")
    return (1 + (sides[0] * sides[1]).sum(axis=1)) / 2


def e5_cosine_in_english(pairs: pd.DataFrame, rows: Rows) -> np.ndarray:
    return e5_cosine(pairs, rows, "query_en")


class Gemma:
    """The base model, read once; the prompt's beginning, which holds the examples, is computed once too."""

    def __init__(self) -> None:
        self._opened: Any = None

    def score(self, pairs: pd.DataFrame, rows: Rows, shots: int = 0) -> np.ndarray:
        model = DecoderModel({"model_name_or_path": GEMMA_270M, "device": "cpu", "load_in_4bit": False})
        self._opened = self._opened or model.open(adapter=False)
        prompt, tokenizer = model.prompt, self._opened.tokenizer
        if shots:
            task = pairs["task"].iloc[0]
            writer = PromptWriter(tokenizer, prompt, max_length=256)
            examples = "\n\n".join(labelled_examples(rows["train"], writer, shots))
            prompt.instructions[task] += "\n\n" + examples.replace("{", "{{").replace("}", "}}")
        ids = PromptWriter(tokenizer, prompt, max_length=256 * (1 + shots)).write(pairs).ids
        budget = TokenBudget(TOKENS)
        return score_prompts(self._opened.model, ids, pad_id=tokenizer.pad_token_id, budget=budget, share_prefix=True)


def information(pairs: pd.DataFrame, _: Rows) -> np.ndarray:
    """float [n] in 0–1."""
    base = DecoderModel({"model_name_or_path": GEMMA_270M, "device": "cpu", "load_in_4bit": False})
    return expit(mutual_information(base.load_base_model().eval(), base.tokenizer, pairs))


def labelled_examples(train: pd.DataFrame, writer: PromptWriter, shots: int) -> list[str]:
    """Prompts with their answers, without instruction; half of them relevant."""
    halves = [rows.sample(shots // 2, random_state=0) for _, rows in train.groupby("label")]
    drawn = pd.concat(halves).sample(frac=1, random_state=0)
    words = (writer.label_words.negative, writer.label_words.positive)
    texts = [
        text.removeprefix(writer.frames[task][0]) for text, task in zip(writer.texts(drawn), drawn["task"], strict=True)
    ]
    return [text + words[int(label)] for text, label in zip(texts, drawn["label"], strict=True)]


def measure(valid: pd.DataFrame, dev: pd.DataFrame, train: pd.DataFrame) -> dict[str, Any]:
    """F1 and AUC of dev's `score` with their intervals, at the threshold of `valid`."""
    threshold = best_threshold(valid["label"].to_numpy(np.int64), valid["score"].to_numpy()).threshold
    decided = dev.assign(threshold=threshold, prediction=(dev["score"] >= threshold).astype(int))
    entry = evaluate(
        decided[["language", "query", "label", "score", "threshold", "prediction"]],
        seen_languages=set(train["language"]),
    )
    return {name: entry[name] for name in ("rows", "f1", "f1_interval", "auc", "auc_interval", "all_positive_f1")}


def main() -> None:
    gemma = Gemma()
    ways: dict[str, Way] = {
        "linear": lambda pairs, _: pairs["of_linear"].to_numpy(),
        "e5 cosine": e5_cosine,
        "e5 cosine, English query": e5_cosine_in_english,
        "Gemma 270M zero-shot": gemma.score,
        "Gemma 270M few-shot": lambda pairs, rows: gemma.score(pairs, rows, SHOTS),
        "Gemma 270M information": information,
        "the run's model": lambda pairs, _: pairs["of_run"].to_numpy(),
    }
    parser = new_parser(__doc__)
    parser.add_argument("run", help="name of a finished run in papermill_runs/")
    parser.add_argument("--rows", type=int, default=500, help="validation rows, and rows of dev, of each task")
    parser.add_argument("--task", choices=list(TASKS), nargs="+", default=list(TASKS))
    parser.add_argument("--ways", choices=list(ways), nargs="+", default=list(ways))
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    for task in args.task:
        rows = rows_of(find_run(args.run), task, args.rows)
        found[task] = {}
        for name in args.ways:
            start = time.process_time()
            scored = [rows[split].assign(score=ways[name](rows[split], rows)) for split in ("valid", "dev")]
            entry = measure(*scored, rows["train"]) | {"cpu_seconds": time.process_time() - start}
            found[task][name] = entry
            show(task, name, entry)
    if args.json:
        write_json(args.json, found)


def show(task: str, name: str, entry: dict[str, Any]) -> None:
    """A row of a Markdown table."""
    f1, auc = ("–".join(f"{end:.3f}" for end in entry[kind]) for kind in ("f1_interval", "auc_interval"))
    print(
        f"| {task} | {name} | {entry['f1']:.4f} [{f1}] | {entry['auc']:.3f} [{auc}] | "
        f"{entry['all_positive_f1']:.4f} | {entry['cpu_seconds']:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(exit_status(main))
