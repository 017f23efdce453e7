"""Training a decoder's adapter on pairs, with TRL's SFTTrainer.

TRL 1.15 computes its loss in a Triton kernel, which a CPU does not have, and over the whole vocabulary. Its
documented way to another loss is a subclass that overrides `compute_loss`, which is done here: the
cross-entropy between the two label words at the one position, for both objectives.

Import Unsloth, where it is wanted, before this module.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from pyarrow.compute import list_value_length
from sklearn.metrics import log_loss, precision_recall_curve, roc_auc_score
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from competition_utils.errors import UserError
from competition_utils.models.decoder.device import AUTO, DeviceChoice
from competition_utils.models.decoder.load import Decoder, load_label_rows, save_label_rows, set_checkpointing
from competition_utils.models.decoder.micro_batch import (
    CPU_MICRO_BATCH,
    HEADROOM,
    Fit,
    candidates,
    largest_that_fits,
    smallest_of_all,
)
from competition_utils.models.decoder.rows import Collator, Labelled, training_table
from competition_utils.models.decoder.score import (
    add_up_shares,
    mixed_precision,
    own_share,
    score_prompts,
)
from competition_utils.models.scoring.engine import TokenBudget
from competition_utils.models.scoring.remember import remembered
from competition_utils.models.training import EffectiveBatches, Watch, history_rows, train_to_the_end
from competition_utils.settings.schema import DecoderSettings

DONE = "done"  # where a stage leaves its adapter
HISTORY = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "eval_f1": "valid_f1",
    "eval_auc": "valid_auc",
    "eval_loss": "valid_loss",
}


def pair_loss(model: Any, batch: dict[str, Any], label_smoothing: float) -> torch.Tensor:
    """Weighted mean cross-entropy between the two label words, over the rows of a micro-batch."""
    inputs = {name: value for name, value in batch.items() if name not in ("classes", "weights")}
    logits = model(**inputs)["logits"]
    losses = torch.nn.functional.cross_entropy(
        logits, batch["classes"], reduction="none", label_smoothing=label_smoothing
    )
    return (losses * batch["weights"]).mean()


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


def best_f1(labels: np.ndarray, scores: np.ndarray) -> float:
    """The largest F1 of the positive class over all thresholds; 0 where no row is positive."""
    if not labels.any():
        return 0.0
    precision, recall, _ = precision_recall_curve(labels, scores)
    return float(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12)))


class PairTrainer(SFTTrainer):
    """SFTTrainer with the loss, the row order and the evaluation of pairs; one process or many."""

    def __init__(self, *, settings: DecoderSettings, dtype: str, valid: Labelled | None, **options: Any):
        self.pair_settings, self.pair_dtype, self.valid = settings, dtype, valid
        self.score_budget = TokenBudget(settings.score_tokens)
        super().__init__(**options)
        # TRL keeps the adapter of a 4-bit model in bfloat16; small steps get lost there.
        for parameter in self.model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> torch.Tensor:
        return pair_loss(model, inputs, self.pair_settings.label_smoothing_factor)

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> EffectiveBatches:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        lengths = list_value_length(dataset.data.column("input_ids")).to_numpy()
        settings = self.pair_settings
        return EffectiveBatches.of(self, lengths, settings.total_batch_size, grouped=settings.batching != "shuffled")

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        scores = score_prompts(
            self.model,
            self.valid.prompts,
            pad_id=self.processing_class.pad_token_id,
            budget=self.score_budget,
            dtype=self.pair_dtype,
            share=own_share(),
            in_step=self.pair_settings.sharded,
        )
        figures = validation_figures(add_up_shares(scores), self.valid)
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


def choose_micro_batch(model: Any, settings: DecoderSettings, choice: DeviceChoice, data: Labelled, pad_id: int) -> Fit:
    """The micro-batch and checkpointing for this model and memory; tried on CUDA, a fixed size on a CPU."""
    choices = candidates(
        settings.rows_per_process, settings.per_device_train_batch_size, settings.gradient_checkpointing
    )
    if choice.device != "cuda":
        small = [
            one for one in choices if one.micro_batch <= CPU_MICRO_BATCH or settings.per_device_train_batch_size != AUTO
        ]
        return small[0]
    longest = max(data.prompts, key=len)

    def try_step(fit: Fit) -> None:
        set_checkpointing(model, fit.checkpointing)
        rows = [{"input_ids": [*longest, 0], "labels": [0], "weight": 1.0}] * fit.micro_batch
        batch = Collator(1, pad_id, settings.batching == "padding_free")(rows)
        with mixed_precision("cuda", choice.dtype):
            loss = pair_loss(model, {name: tensor.to("cuda") for name, tensor in batch.items()}, 0.0)
        loss.backward()
        model.zero_grad(set_to_none=True)

    def find() -> dict[str, Any]:
        torch.cuda.set_per_process_memory_fraction(HEADROOM)
        try:
            return asdict(largest_that_fits(choices, try_step))
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
            torch.cuda.empty_cache()

    facts = {
        "settings": settings.model_dump(),
        "longest": len(longest),
        "gpu": torch.cuda.get_device_name(),
        "choice": str(choice),
    }
    return smallest_of_all(Fit(**remembered(facts, find)))


def trainer_arguments(
    settings: DecoderSettings,
    choice: DeviceChoice,
    fit: Fit,
    *,
    folder: Path,
    epochs: float,
    steps: int,
    seed: int,
    evaluates: bool,
) -> SFTConfig:
    """`steps` is the number of optimizer steps of this training; evaluation and checkpoints come together."""
    every = min(settings.every(steps), steps)
    optimizer = "adamw_8bit" if choice.device == "cuda" else "adamw_torch"
    return SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=fit.micro_batch,
        gradient_accumulation_steps=settings.rows_per_process // fit.micro_batch,
        num_train_epochs=epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.lr_scheduler_type,
        warmup_steps=settings.warmup_ratio,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim=optimizer if settings.optim == AUTO else settings.optim,
        bf16=choice.device == "cuda" and choice.dtype == "bfloat16",
        fp16=choice.device == "cuda" and choice.dtype == "float16",
        use_cpu=choice.device == "cpu",
        gradient_checkpointing=False,  # switched by set_checkpointing
        max_length=None,  # prompts.py has cut them
        padding_free=False,  # that is the collator's part
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        eval_strategy="steps" if evaluates else "no",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=settings.save_total_limit,
        load_best_model_at_end=evaluates,
        metric_for_best_model="f1",
        logging_steps=max(1, min(steps // 100, 50)),
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to=list(settings.report_to),
        run_name=folder.parent.name + "-" + folder.name,
        project="competition_utils",
        ddp_find_unused_parameters=False,
        seed=seed,
    )


def train_stage(
    decoder: Decoder, settings: DecoderSettings, *, folder: Path, **data: Any
) -> tuple[list[dict[str, float]], Fit]:
    """Train the model in place, going on from the last whole checkpoint in `folder`; takes what
    `make_trainer` takes.

    With `valid`, the model ends as it was at its best F1. Gives the history and the micro-batch; history rows
    hold `step, epoch`, then `loss, learning_rate` or `valid_f1, valid_auc, valid_loss`.
    """
    trainer, fit = make_trainer(decoder, settings, folder=folder, **data)
    train_to_the_end(trainer)
    trainer.save_model(str(folder / DONE))  # gathers a sharded model
    return history_rows(trainer.state.log_history, HISTORY), fit


def make_trainer(
    decoder: Decoder,
    settings: DecoderSettings,
    *,
    train: Labelled,
    valid: Labelled | None,
    epochs: float,
    folder: Path,
    seed: int,
) -> tuple[PairTrainer, Fit]:
    """A trainer for these rows, ready to start, and the micro-batch that fits.

    Raises UserError for rows without a label, and for padding-free batches with Unsloth.
    """
    model, choice = decoder.model, decoder.choice
    if settings.batching == "padding_free" and choice.backend == "unsloth":
        raise UserError(
            "batching: padding_free needs `backend: transformers`, found unsloth, whose kernels would let a pair see "
            "its neighbours. Set `batching: grouped`, which pads under 3%."
        )
    label_ids, pad_id = decoder.writer.label_words.ids, decoder.tokenizer.pad_token_id
    table = training_table(train, label_ids)
    fit = choose_micro_batch(model, settings, choice, train, pad_id)
    set_checkpointing(model, fit.checkpointing)
    steps = max(1, int(np.ceil(-(-len(table) // settings.total_batch_size) * epochs)))
    evaluates = valid is not None
    trainer = PairTrainer(
        settings=settings,
        dtype=choice.dtype,
        valid=valid,
        model=model,
        processing_class=decoder.tokenizer,
        train_dataset=table,
        eval_dataset=training_table(valid, label_ids) if evaluates else None,
        data_collator=Collator(label_ids[1], pad_id, settings.batching == "padding_free"),
        callbacks=[Watch(settings.total_batch_size), EarlyStopping(settings.early_stopping_patience)],
        args=trainer_arguments(
            settings, choice, fit, folder=folder, epochs=epochs, steps=steps, seed=seed, evaluates=evaluates
        ),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, fit
