"""Training a decoder's adapter on pairs, with TRL's SFTTrainer.

TRL 1.15 computes its loss in a Triton kernel, which a CPU does not have, and over the whole vocabulary. Its
documented way to another loss is a subclass that overrides `compute_loss`, which is done here: the
cross-entropy between the two label words at the one position, for both objectives.

Import Unsloth, where it is wanted, before this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from pyarrow.compute import list_value_length
from sklearn.metrics import log_loss, roc_auc_score
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from competition_utils.distributed import add_up, share
from competition_utils.errors import UserError
from competition_utils.f1 import best_f1
from competition_utils.models.compute import Compute, choose_compute
from competition_utils.models.decoder.device import AUTO, DeviceChoice
from competition_utils.models.decoder.load import base_of, load_label_rows, save_label_rows, set_checkpointing
from competition_utils.models.decoder.micro_batch import (
    CPU_MICRO_BATCH,
    HEADROOM,
    Fit,
    candidates,
    largest_that_fits,
    smallest_of_all,
)
from competition_utils.models.decoder.rows import Collator, Labelled, shared_tokens, training_table
from competition_utils.models.decoder.score import FEW_ROWS, score_prompts, scoring_compute
from competition_utils.models.scoring.engine import TokenBudget
from competition_utils.models.scoring.shared_prefix import compute_prefix
from competition_utils.models.scoring.trials import cached_trial
from competition_utils.models.training import (
    EffectiveBatches,
    Watch,
    leaving_no_trace,
    new_arguments,
    one_gpu,
    reporter,
    threads_callbacks,
)
from competition_utils.settings.schema import DecoderSettings, optimizer_steps

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
HISTORY = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "eval_f1": "valid_f1",
    "eval_auc": "valid_auc",
    "eval_loss": "valid_loss",
}


def batch_loss(network: Any, batch: dict[str, Any], loss: Loss) -> torch.Tensor:
    """The loss of a micro-batch, as `Collator` makes it; its prefix is computed once."""
    inputs = {name: value for name, value in batch.items() if name not in ("classes", "weights", "prefix")}
    if "prefix" in batch:
        base = base_of(network)
        inputs["past_key_values"] = compute_prefix(getattr(base, base.base_model_prefix), batch["prefix"])
    return loss(network(**inputs)["logits"], batch["classes"], batch["weights"])


def validation_figures(scores: np.ndarray, data: Labelled) -> dict[str, float]:
    """`f1` at the best threshold (mean over tasks, each with its own, as the competition scores), `auc`,
    `loss`."""
    f1 = [best_f1(data.labels[rows], scores[rows]) for rows in (data.tasks == t for t in np.unique(data.tasks))]
    both = len(np.unique(data.labels)) == 2
    return {
        "f1": float(np.mean(f1)),
        "auc": float(roc_auc_score(data.labels, scores)) if both else float("nan"),
        "loss": float(log_loss(data.labels, scores.astype(np.float64), labels=[0, 1])),
    }


class PairTrainer(SFTTrainer):
    """SFTTrainer with the loss, the row order and the evaluation of pairs; one process or many.

    `notes` are sentences on the memory and the GPUs that it takes.
    """

    def __init__(
        self,
        *,
        settings: DecoderSettings,
        choice: DeviceChoice,
        compute: Compute,
        loss: Loss,
        fit: Fit,
        idle: str | None,
        valid: Labelled | None,
        **options: Any,
    ):
        self.pair_settings, self.pair_choice, self.loss, self.valid = settings, choice, loss, valid
        self.score_budget = TokenBudget(settings.score_tokens)
        self.compute, self.score_compute = compute, None
        self.fit, self.notes = fit, [str(fit), str(compute), *([idle] if idle else [])]
        # TRL rounds the adapter of a 4-bit model to bfloat16: small steps, and what an earlier stage learnt, get lost.
        trained = {name: one for name, one in options["model"].named_parameters() if one.requires_grad}
        exact = {name: one.detach().float().clone() for name, one in trained.items()}
        super().__init__(**options)
        for name, one in trained.items():
            one.data = exact[name]

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> torch.Tensor:
        with self.compute.autocast():
            return batch_loss(model, inputs, self.loss)

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> EffectiveBatches:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        lengths = list_value_length(dataset.data.column("input_ids")).to_numpy()
        settings = self.pair_settings
        return EffectiveBatches.of(self, lengths, settings.total_batch_size, grouped=settings.batching != "shuffled")

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        prompts, pad_id, settings = self.valid.prompts, self.processing_class.pad_token_id, self.pair_settings
        if self.score_compute is None:
            where = (settings, self.pair_choice, Path(self.args.output_dir))
            self.score_compute = scoring_compute(self.model, prompts, pad_id, *where)
        scores = score_prompts(
            self.model,
            prompts,
            pad_id=pad_id,
            budget=self.score_budget,
            compute=self.score_compute,
            share=share(),
            in_step=settings.sharded,
        )
        figures = validation_figures(add_up(scores), self.valid)
        metrics = {f"eval_{name}": value for name, value in figures.items()}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Ours is written with the fitted model (decoder.py)."""

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        super()._save(output_dir, state_dict)
        save_label_rows(self.model, Path(output_dir or self.args.output_dir), state_dict)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        load_label_rows(self.model, Path(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        super()._load_best_model()
        load_label_rows(self.model, Path(self.state.best_model_checkpoint))


class EarlyStopping(TrainerCallback):
    """Stop after `patience` evaluations without a better F1.

    It counts in the history that checkpoints carry, so a resumed training stops where it would have.
    """

    def __init__(self, patience: int):
        self.patience = patience

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        seen = [row["eval_f1"] for row in state.log_history if "eval_f1" in row]
        if len(seen) - 1 - int(np.argmax(seen)) >= self.patience:
            control.should_training_stop = True
        return control


def choose_micro_batch(
    network: Any,
    settings: DecoderSettings,
    choice: DeviceChoice,
    rows: Labelled,
    pad_id: int,
    loss: Loss,
    at_most: int,
) -> Fit:
    """The micro-batch, of `at_most` rows, and checkpointing for this model and memory.

    Tried on CUDA, a fixed size on a CPU.
    """
    wish = settings.per_device_train_batch_size
    wish = AUTO if wish == AUTO else min(wish, at_most)
    choices = candidates(settings.rows_per_process, wish, settings.gradient_checkpointing)
    choices = [one for one in choices if one.micro_batch <= at_most]
    if choice.device != "cuda":
        return next(one for one in choices if one.micro_batch <= CPU_MICRO_BATCH or wish != AUTO)
    longest = max(rows.prompts, key=len)
    collator = Collator(1, pad_id, settings.batching == "padding_free")

    def try_step(fit: Fit) -> None:
        with Compute("cuda", choice.dtype).autocast():
            trial_step(network, fit, collator, longest, loss)

    def find() -> dict[str, Any]:
        torch.cuda.set_per_process_memory_fraction(HEADROOM)
        try:
            return asdict(largest_that_fits(choices, try_step))
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
            torch.cuda.empty_cache()

    facts = {
        "settings": settings.model_dump(),
        "trained": sum(one.numel() for one in network.parameters() if one.requires_grad),
        "longest": len(longest),
        "at_most": at_most,
        "gpu": torch.cuda.get_device_name(),
        "choice": str(choice),
    }
    return smallest_of_all(Fit(**cached_trial(facts, find)))


def trial_step(network: Any, fit: Fit, collator: Collator, prompt: list[int], loss: Loss) -> None:
    """One forward and backward pass of a micro-batch of `prompt`, just as training does it; nothing of it stays."""
    set_checkpointing(network, fit.checkpointing)
    batch = collator([{"input_ids": [*prompt, 0], "labels": [0], "weight": 1.0}] * fit.micro_batch)
    device = base_of(network).label_rows.device  # an embedding may lie on the host
    with leaving_no_trace(network):
        batch_loss(network, {name: tensor.to(device) for name, tensor in batch.items()}, loss).backward()


def training_arguments(
    settings: DecoderSettings,
    choice: DeviceChoice,
    folder: Path,
    *,
    seed: int,
    length: Mapping[str, float],
    evaluates: bool,
    overrides: Mapping[str, Any],
) -> SFTConfig:
    """TRL's arguments; `length` is `num_train_epochs, max_steps`. `make_trainer` sets what rows and memory decide."""
    every = settings.eval_steps if settings.eval_steps < 1 else round(settings.eval_steps)
    eight_bit = choice.device == "cuda" and not settings.sharded  # bitsandbytes cannot step DTensors
    rows = settings.per_device_train_batch_size
    options = {
        "output_dir": str(folder),
        "per_device_train_batch_size": settings.rows_per_process if rows == AUTO else rows,
        **length,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.lr_scheduler_type,
        "warmup_steps": settings.warmup_ratio,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "optim": ("adamw_8bit" if eight_bit else "adamw_torch") if settings.optim == AUTO else settings.optim,
        "bf16": choice.device == "cuda" and choice.dtype == "bfloat16",
        "fp16": choice.device == "cuda" and choice.dtype == "float16",
        "use_cpu": choice.device == "cpu",
        "include_num_input_tokens_seen": "all" if choice.device == "cpu" else "no",  # for the callback `Threads`
        "gradient_checkpointing": False,  # switched by set_checkpointing
        "max_length": None,  # prompts/writer.py has cut them
        "padding_free": False,  # that is the collator's part
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "remove_unused_columns": False,
        "eval_strategy": "steps" if evaluates else "no",
        "eval_steps": every,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": settings.save_total_limit,
        "load_best_model_at_end": evaluates,
        "metric_for_best_model": "f1",
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": list(settings.report_to),
        "run_name": folder.parent.name + "-" + folder.name,
        "project": "competition_utils",
        "ddp_find_unused_parameters": False,
        "seed": seed,
    }
    return new_arguments(SFTConfig, options, overrides)


def make_trainer(
    fitter: Any, network: Any, rows: Labelled, valid: Labelled | None, arguments: SFTConfig
) -> PairTrainer:
    """A trainer of `network`, ready to start, for a `DecoderModel` as `fitter`: its settings, tokenizer and loss.

    Sets batch size, accumulation and steps between evaluations in `arguments`, unless they are overridden. Raises
    UserError for rows without a label, and for padding-free batches with Unsloth.
    """
    settings, choice = fitter.settings, fitter.choice
    if settings.batching == "padding_free" and choice.backend == "unsloth":
        raise UserError(
            "batching: padding_free needs `backend: transformers`, found unsloth, whose kernels would let a pair see "
            "its neighbours. Set `batching: grouped`, which pads under 3%."
        )
    tokenizer, label_ids = fitter.tokenizer, fitter.new_writer().label_words.ids
    table = training_table(rows, label_ids)
    at_most = arguments.per_device_train_batch_size
    fit = choose_micro_batch(network, settings, choice, rows, tokenizer.pad_token_id, fitter.loss, at_most)
    once = choice.device == "cpu" and share()[1] == 1 and bool(settings.share_prefix) and not fit.checkpointing
    shared = shared_tokens(rows) if once and settings.batching != "padding_free" else 0
    collator = Collator(label_ids[1], tokenizer.pad_token_id, settings.batching == "padding_free", shared)
    few, middle = min(FEW_ROWS, fit.micro_batch), sorted(rows.prompts, key=len)[len(rows.prompts) // 2]
    compute = choose_compute(
        lambda: trial_step(network, Fit(few, fit.checkpointing), collator, middle, fitter.loss),
        purpose="fit",
        config=base_of(network).config,
        settings=settings,
        default=Compute(choice.device, choice.dtype),
        folder=Path(arguments.output_dir),
    )
    set_checkpointing(network, fit.checkpointing)
    sizes = sizes_for(settings, fit, len(table), arguments)
    for name in sizes.keys() - fitter.argument_overrides.keys():
        setattr(arguments, name, sizes[name])
    trainer = PairTrainer(
        settings=settings,
        choice=choice,
        compute=compute,
        loss=fitter.loss,
        fit=fit,
        idle=one_gpu(arguments),
        valid=valid,
        model=network,
        processing_class=tokenizer,
        train_dataset=table,
        eval_dataset=training_table(valid, label_ids) if valid is not None else None,
        data_collator=collator,
        callbacks=[
            Watch(settings.total_batch_size, report=reporter(fitter.report_history, HISTORY)),
            EarlyStopping(settings.early_stopping_patience),
            *threads_callbacks(compute, arguments.output_dir, settings.num_threads),
        ],
        args=arguments,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def sizes_for(settings: DecoderSettings, fit: Fit, rows: int, arguments: SFTConfig) -> dict[str, int]:
    """The arguments that depend on the micro-batch and the number of rows."""
    steps = optimizer_steps(rows, settings.total_batch_size, arguments.num_train_epochs, arguments.max_steps)
    every = min(settings.every(steps), steps)
    return {
        "per_device_train_batch_size": fit.micro_batch,
        "gradient_accumulation_steps": settings.rows_per_process // fit.micro_batch,
        "eval_steps": every,
        "save_steps": every,
        "logging_steps": max(1, min(steps // 30, 50)),  # the loss of a single step says little
    }
