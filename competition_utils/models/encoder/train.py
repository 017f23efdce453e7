"""Training an encoder with transformers' `Trainer`: arguments, loss, and a second try when a fit collapses.

sentence-transformers' `CrossEncoderTrainer` was not taken: it tokenises texts anew in every batch, has no weights
of rows, and would wrap the model once more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainingArguments

from competition_utils.models.base import FitReport
from competition_utils.models.compute import Compute
from competition_utils.models.scoring.batching import TokenisedPairs
from competition_utils.models.training import (
    EffectiveBatches,
    Watch,
    history_rows,
    leaving_no_trace,
    new_arguments,
    notes_of,
    one_gpu,
    reporter,
    threads_callbacks,
    train_within_memory,
)
from competition_utils.settings.schema import EncoderSettings

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
SAVE_SECONDS = 60
TRIED_ROWS = 16  # in a step that is tried: enough work for two threads, a tenth of a second for MiniLM
TRIES = ("try1", "try2")  # folders of checkpoints
HISTORY = {"loss": "loss", "learning_rate": "learning_rate", "eval_auc": "valid_auc"}


@dataclass(frozen=True)
class TrainingPairs(torch.utils.data.Dataset):
    """Tokenised pairs with labels (float32, 0–1) and weights (float32); a list of rows comes as one padded batch."""

    tokens: TokenisedPairs
    labels: np.ndarray
    weights: np.ndarray
    table: pd.DataFrame  # what they were made of

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {name: values[0] for name, values in self.__getitems__([row]).items()}

    def __getitems__(self, rows: list[int]) -> dict[str, torch.Tensor]:
        places = np.asarray(rows)
        batch = self.tokens.padded(places) | {"label": self.labels[places], "weight": self.weights[places]}
        return {name: torch.from_numpy(values) for name, values in batch.items()}


def as_batch(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The data collator: `TrainingPairs` gives whole batches."""
    return batch


def weighted_loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean over a batch of weight × binary cross-entropy; all three are [rows]."""
    return binary_cross_entropy_with_logits(logits, labels, weight=weights)


def batch_loss(network: Any, batch: dict[str, torch.Tensor], loss: Loss) -> torch.Tensor:
    """The loss of a batch, as `TrainingPairs` gives it."""
    labels, weights = batch["label"], batch["weight"]
    inputs = {name: values for name, values in batch.items() if name not in ("label", "weight")}
    # torch's flash attention on a CPU is fast forward and slow backward; the plain kernel wins for short pairs.
    with sdpa_kernel(SDPBackend.MATH if labels.device.type == "cpu" else list(SDPBackend)):
        logits = network(**inputs).logits[:, 0].float()
    return loss(logits, labels, weights)


def trial_step(network: PreTrainedModel, rows: TrainingPairs, count: int, loss: Loss) -> None:
    """One forward and backward pass of `count` rows on a CPU, just as training does it; nothing of it stays."""
    batch = rows.__getitems__(np.resize(np.arange(len(rows)), count).tolist())
    with leaving_no_trace(network):
        batch_loss(network, batch, loss).backward()


class EncoderTrainer(Trainer):
    """`Trainer` with a loss over one logit and weighted rows, batches by length, and our own scoring of `valid`.

    `loss` takes logits, labels and weights, [rows] each; `evaluation` gives the figures of a network.
    """

    def __init__(
        self,
        *,
        evaluation: Callable[[PreTrainedModel], dict[str, float]],
        loss: Loss,
        compute: Compute,
        notes: Sequence[str],
        **options: Any,
    ):
        self.evaluation, self.loss, self.compute, self.notes = evaluation, loss, compute, notes
        super().__init__(data_collator=as_batch, **options)
        self.remove_callback(PrinterCallback)

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> torch.Tensor:
        with self.compute.autocast():
            return batch_loss(model, inputs, self.loss)

    def _get_train_sampler(self, train_dataset: TrainingPairs | None = None) -> EffectiveBatches:
        rows = self.train_dataset if train_dataset is None else train_dataset
        return EffectiveBatches.of(self, rows.tokens.lengths, self.get_total_train_batch_size(self.args))

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        metrics = {f"eval_{name}": value for name, value in self.evaluation(self.model).items()}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def training_arguments(
    settings: EncoderSettings,
    folder: Path,
    *,
    device: str,
    dtype: str,
    seed: int,
    overrides: Mapping[str, Any] = MappingProxyType({}),
) -> TrainingArguments:
    """transformers' arguments for these settings; checkpoints, which come with the evaluations, go to `folder`."""
    batch = settings.per_device_train_batch_size
    rows = settings.total_batch_size if batch == "auto" else batch
    every = settings.eval_steps if settings.eval_steps < 1 else round(settings.eval_steps)
    options = {
        "output_dir": str(folder),
        "num_train_epochs": settings.num_train_epochs,
        "max_steps": settings.max_steps,
        "per_device_train_batch_size": rows,
        "gradient_accumulation_steps": settings.total_batch_size // rows,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.lr_scheduler_type,
        "warmup_steps": settings.warmup_ratio,  # below 1: a share of the steps
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "optim": "adamw_torch_fused" if settings.optim == "auto" else settings.optim,
        "bf16": device == "cuda" and dtype == "bfloat16",  # on a CPU `Compute` says it, once it is tried
        "fp16": device == "cuda" and dtype == "float16",
        "use_cpu": device == "cpu",
        "include_num_input_tokens_seen": "all" if device == "cpu" else "no",  # for the callback `Threads`
        "eval_strategy": "steps",
        "eval_steps": every,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": settings.save_total_limit,
        "logging_steps": 0.01,
        "logging_nan_inf_filter": False,
        "remove_unused_columns": False,
        "dataloader_pin_memory": device == "cuda",
        "disable_tqdm": True,
        "report_to": settings.report_to,
        "run_name": f"{folder.parent.name}-{folder.name}",
        "project": "competition_utils",
        "seed": seed,
    }
    return new_arguments(TrainingArguments, options, overrides)


def make_trainer(
    network: PreTrainedModel,
    rows: TrainingPairs,
    evaluation: Callable[[PreTrainedModel], dict[str, float]],
    arguments: TrainingArguments,
    *,
    compute: Compute,
    loss: Loss = weighted_loss,
    num_threads: int | str = "auto",
    notes: Sequence[str] = (),
    report: Callable[[list[dict[str, float]]], None] | None = None,
) -> EncoderTrainer:
    """A trainer of `network` on `rows`, ready to start; `evaluation` gives `auc` and what else is to be logged.

    `compute` is what it computes with, on a CPU; `report` gets the history whenever something is added to it.
    """
    idle = one_gpu(arguments)
    total_batch = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps
    return EncoderTrainer(
        evaluation=evaluation,
        loss=loss,
        compute=compute,
        notes=[*notes, *([idle] if idle else [])],
        model=network,
        args=arguments,
        train_dataset=rows,
        eval_dataset=rows,  # Trainer wants one; `evaluation` has its own
        callbacks=[
            Watch(total_batch, SAVE_SECONDS, reporter(report, HISTORY)),
            *threads_callbacks(compute, arguments.output_dir, num_threads),
        ],
    )


def fit_with_retry(
    new_trainer: Callable[[Path, int, float, int | None], EncoderTrainer],
    collapse_auc: float,
    work_dir: Path,
    seed: int,
) -> tuple[PreTrainedModel, FitReport]:
    """Fit; when validation AUC ends near chance, report it and fit once more, from another seed at half the rate.

    Small encoders collapse on some seeds. The better of the two fits is kept. `new_trainer` takes the
    folder for checkpoints, a seed, what the learning rate is multiplied by, and the most rows of a micro-batch.
    """
    network, report = fit_once(partial(new_trainer, work_dir / TRIES[0], seed, 1.0))
    auc = report.history[-1]["valid_auc"]
    if auc >= collapse_auc:
        return network, report
    second, report_2 = fit_once(partial(new_trainer, work_dir / TRIES[1], seed + 1, 0.5))
    auc_2 = report_2.history[-1]["valid_auc"]
    kept, kept_report = (second, report_2) if auc_2 > auc else (network, report)
    kept_report.seconds = report.seconds + report_2.seconds
    kept_report.notes.append(
        f"the fit with seed {seed} collapsed (validation AUC {auc:.3f}, below {collapse_auc}); tried once "
        f"more with seed {seed + 1} and half the learning rate: {auc_2:.3f}"
    )
    if max(auc, auc_2) < collapse_auc:
        kept_report.notes.append("both fits are near chance: lower encoder.learning_rate or give more rows")
    return kept, kept_report


def fit_once(new_trainer: Callable[[int | None], EncoderTrainer]) -> tuple[PreTrainedModel, FitReport]:
    """Train to the end; gives the network without what the trainer wrapped around it, and the report."""
    start = time.monotonic()
    trainer, notes = train_within_memory(new_trainer)
    network = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    history = history_rows(trainer.state.log_history, HISTORY)
    seconds = time.monotonic() - start
    return network, FitReport(trainer.args.seed, seconds, history, [*notes_of(trainer), *notes])
