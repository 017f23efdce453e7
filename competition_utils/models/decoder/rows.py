"""The rows that a decoder is trained on: tokens and label words, their order, and the tensors of a batch.

The table is what supervised fine-tuning expects: prompt and label word as `input_ids`, `labels` −100
everywhere but on the label word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset

from competition_utils.errors import UserError
from competition_utils.models.decoder.prompts import PromptWriter
from competition_utils.models.scoring.prompt_batches import TokenisedPrompts, common_start, join_prompts
from competition_utils.models.scoring.ragged import Ragged

IGNORED = -100
WORTH_SHARING = 8  # tokens


@dataclass(frozen=True)
class Labelled:
    """Prompts with labels 0/1, weights (mean 1) and tasks, all in one order; `lengths` is a sentence on them."""

    prompts: list[list[int]]
    labels: np.ndarray
    weights: np.ndarray
    tasks: np.ndarray
    lengths: str = ""

    def take(self, rows: np.ndarray) -> Labelled:
        chosen = [self.prompts[row] for row in np.flatnonzero(rows)]
        return Labelled(chosen, self.labels[rows], self.weights[rows], self.tasks[rows])


def label_rows(table: pd.DataFrame, writer: PromptWriter, class_weights: Any) -> Labelled:
    """The rows of a training table, with the weights of rows and classes. Raises UserError for a missing label."""
    labels = pd.to_numeric(table["label"], errors="coerce") if "label" in table else pd.Series(np.nan, table.index)
    if not labels.isin([0, 1]).all():
        wrong = int((~labels.isin([0, 1])).sum())
        raise UserError(f"training table: expected label 0 or 1 in every row, found {wrong:,} rows without.")
    weights = table["weight"].to_numpy(float) if "weight" in table else np.ones(len(table))
    prompts, labels = writer.write(table), labels.to_numpy(dtype=np.int64)
    weights = row_weights(labels, weights, class_weights)
    return Labelled(prompts.ids, labels, weights, table["task"].to_numpy(dtype=str), prompts.report.sentence())


def row_weights(labels: np.ndarray, weights: np.ndarray, class_weights: Any) -> np.ndarray:
    """Weights of rows times weights of their classes, scaled to a mean of 1; "balanced" gives both classes
    the same total weight."""
    if isinstance(class_weights, str):
        totals = np.array([weights[labels == label].sum() for label in (0, 1)])
        by_class = 1 / np.maximum(totals, 1e-12) if class_weights == "balanced" else np.ones(2)
    else:
        by_class = np.asarray(class_weights, dtype=float)
    product = weights * by_class[labels]
    return (product / product.mean()).astype(np.float32)


def training_table(data: Labelled, label_ids: tuple[int, int]) -> Dataset:
    """`input_ids` (prompt, then label word), `labels` (−100 but on the label word), `weight`.

    Raises UserError where a row has no label, or not exactly one.
    """
    ids = np.asarray(label_ids)[data.labels].tolist()
    table = {
        "input_ids": [[*prompt, label] for prompt, label in zip(data.prompts, ids, strict=True)],
        "labels": [[IGNORED] * len(prompt) + [label] for prompt, label in zip(data.prompts, ids, strict=True)],
        "weight": data.weights.tolist(),
    }
    dataset = Dataset.from_dict(table)
    check_labels(dataset)
    return dataset


def check_labels(dataset: Dataset) -> None:
    """Each row must have one label that is not −100, its last: else the training would run and learn
    nothing."""
    labels = dataset.data.column("labels").combine_chunks()
    values, ends = labels.values.to_numpy(), labels.offsets.to_numpy()[1:]
    answered = np.flatnonzero(values != IGNORED)
    if not len(dataset) or not np.array_equal(answered, ends - 1):
        raise UserError(
            f"training rows: expected one label word at the end of each of {len(dataset):,} rows, found "
            f"{len(answered):,} labels. Check that the training table is not empty and has labels 0 and 1."
        )


def shared_tokens(rows: Labelled) -> int:
    """How many first tokens all prompts have in common, 0 where they are too few to be worth a tensor of their own.

    Computing them once a micro-batch is exact, gradients included: each row's part of it is summed.
    """
    shared = common_start(Ragged.from_lists(rows.prompts))
    return shared if shared >= WORTH_SHARING else 0


@dataclass(frozen=True)
class Collator:
    """Rows of the training table → tensors. The label word is taken off again, since nothing comes after it.

    The first `shared` tokens of all prompts are a tensor of their own, `prefix`, and left out of the rows.
    """

    positive_id: int
    pad_id: int
    padding_free: bool
    shared: int = 0

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        prompts = [row["input_ids"][:-1] for row in rows]
        tokens = TokenisedPrompts(Ragged.from_lists(prompts), self.pad_id, shared=self.shared)
        arrays = join_prompts(prompts) if self.padding_free else tokens.padded(np.arange(len(prompts)))
        batch = {name: torch.from_numpy(values) for name, values in arrays.items()}
        if self.shared:
            batch["prefix"] = torch.tensor(prompts[0][: self.shared])
        batch["classes"] = torch.tensor([int(row["labels"][-1] == self.positive_id) for row in rows])
        batch["weights"] = torch.tensor([row["weight"] for row in rows], dtype=torch.float32)
        return batch
