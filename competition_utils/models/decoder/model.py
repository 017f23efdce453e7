"""Gemma 3, Qwen 2.5 and their like as relevance models: a LoRA adapter and two label words.

On CUDA through Unsloth, elsewhere through transformers and PEFT; in 4 bits or 16; in this process or, where
there are to be several, in children (launch.py).
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.errors import UserError
from competition_utils.models.base import FitReport, RelevanceModel
from competition_utils.models.checkpoints import PAIR_COLUMNS, hash_of_rows
from competition_utils.models.decoder import fit as decoder_fit
from competition_utils.models.decoder import launch
from competition_utils.models.decoder import load as decoder_load
from competition_utils.models.decoder.device import look_at_machine, wants_unsloth
from competition_utils.models.decoder.model_card import best_evaluation, write_card
from competition_utils.models.decoder.prompts import PromptWriter
from competition_utils.models.decoder.score import own_share, score_prompts
from competition_utils.models.scoring.engine import TokenBudget, score_unique
from competition_utils.models.scoring.vllm import VllmScorer
from competition_utils.settings.schema import DecoderSettings, Section
from competition_utils.storage import read_json, write_json, write_text

ADAPTER, MERGED, TOKENIZER = "adapter", "merged", "tokenizer"
FACTS, CARD, REPORT = "decoder.json", "README.md", "report.json"


class DecoderModel(RelevanceModel):
    """A fitted model lives in a folder; its weights are read when needed."""

    kind = "decoder"
    schema = DecoderSettings

    def __init__(self, settings: Mapping[str, Any] | Section):
        super().__init__(settings)
        missing = [name for name in self.settings.report_to if find_spec(name) is None]
        if missing:
            raise UserError(f"report_to: expected the packages {', '.join(missing)}, found none. Install or drop them.")
        self.folder: Path | None = None
        self._decoder: decoder_fit.Decoder | None = None
        self._vllm: tuple[PromptWriter, VllmScorer] | None = None
        self._budget = TokenBudget(self.settings.score_tokens)

    def fit(self, train: pd.DataFrame, valid: pd.DataFrame, *, work_dir: Path, seed: int) -> FitReport:
        """See `RelevanceModel.fit`. Where `training` is two_stage or joint, `train` holds rows of both tasks;
        the task to be fitted is that of `valid`.

        Raises UserError where the tables do not suit `training`, or a row has no label.
        """
        work_dir, start = Path(work_dir), time.monotonic()
        decoder_fit.plan_stages(self.settings, train, valid)  # faults first, before anything is loaded
        self.folder, self._decoder, self._vllm = work_dir / "fitted", None, None
        if self._wants_children():
            return launch.fit_in_children(self.settings, train, valid, work_dir=work_dir, seed=seed)
        self._decoder, report = decoder_fit.fit_decoder(self.settings, train, valid, work_dir=work_dir, seed=seed)
        report.seconds = time.monotonic() - start
        if launch.is_first_process():
            self._write_fitted(train, valid, report)
            if self.settings.hub_model_id:
                self.push_to_hub(self.settings.hub_model_id)
        return report

    def score(self, pairs: pd.DataFrame) -> np.ndarray:
        """See `RelevanceModel.score`."""
        if self.folder is None:
            raise UserError("score: expected a fitted decoder, found one without weights. Call fit, or load a folder.")
        if self.settings.score_engine == "vllm":
            return score_unique(pairs[self._read_columns(pairs)], self._score_with_vllm)
        if self._wants_children():
            return launch.score_in_children(self.folder, pairs, self.settings)
        return score_unique(pairs[self._read_columns(pairs)], self._score_here)

    def _score_here(self, pairs: pd.DataFrame) -> np.ndarray:
        self._decoder = self._decoder or self._open()
        # Unsloth's attention takes no keys from elsewhere.
        plain = self._decoder.choice.backend == "transformers" and not self.settings.sharded
        return score_prompts(
            self._decoder.model,
            self._decoder.writer.write(pairs).ids,
            pad_id=self._decoder.tokenizer.pad_token_id,
            budget=self._budget,
            dtype=self._decoder.choice.dtype,
            share_prefix=plain and self.settings.share_prefix,
            share=own_share(),
            in_step=self.settings.sharded,
        )

    def _score_with_vllm(self, pairs: pd.DataFrame) -> np.ndarray:
        if self._vllm is None:
            self._decoder = None  # vLLM takes the GPU's memory for itself
            decoder_load.free_memory()
            _, writer = decoder_fit.open_writer(self.settings, self._base_name())
            merged = read_json(self._fitted(FACTS))["merged"]
            scorer = VllmScorer(
                self._base_name(),
                writer.label_words.ids,
                adapter=None if merged else self._fitted(ADAPTER),
                lora_rank=self.settings.lora_r,
                max_length=self.settings.max_length,
                load_in_4bit=self.settings.load_in_4bit is True,
                dtype=self.settings.dtype,
            )
            self._vllm = (writer, scorer)
        writer, scorer = self._vllm
        return scorer.score(writer.write(pairs).ids)

    def _read_columns(self, pairs: pd.DataFrame) -> list[str]:
        """The columns that reach the prompt: rows alike in these are one to the model."""
        return [name for name in (*PAIR_COLUMNS, *self.settings.tags) if name in pairs]

    def save(self, folder: Path) -> None:
        """Copy what the fit wrote: adapter and label rows as safetensors, tokenizer, model card,
        `model.json`."""
        if self.folder is None:
            raise UserError("save: expected a fitted decoder, found one without weights. Call fit first.")
        left = shutil.ignore_patterns("model.json", REPORT)  # the report tells times, which no two fits share
        shutil.copytree(self.folder, folder, ignore=left, dirs_exist_ok=True)
        self.save_settings(folder)

    @classmethod
    def load(cls, folder: Path, others: Mapping[str, Any] | None = None) -> DecoderModel:
        model = cls(cls.saved_settings(folder, others))
        model.folder = Path(folder)
        return model

    def merge(self, folder: Path, *, dtype: str = "bfloat16") -> DecoderModel:
        """Write the model with its adapter merged in, in `dtype`, as a folder that needs no base model; loads
        it.

        The folder's `merged/` is a plain transformers checkpoint.
        """
        folder = Path(folder)
        decoder_load.merge_adapter(self._base_name(), self._fitted(ADAPTER), folder / MERGED, dtype=dtype)
        decoder_load.load_tokenizer(str(self._fitted(TOKENIZER))).save_pretrained(folder / MERGED)
        shutil.copytree(self._fitted(TOKENIZER), folder / TOKENIZER, dirs_exist_ok=True)
        shutil.copy(self._fitted(ADAPTER) / decoder_load.LABEL_ROWS, folder / MERGED)
        write_text(folder / CARD, self._fitted(CARD).read_text(encoding="utf-8"))
        write_json(folder / FACTS, read_json(self._fitted(FACTS)) | {"merged": True})
        merged = DecoderModel(self.settings.model_dump() | {"dtype": dtype, "load_in_4bit": False})
        merged.save_settings(folder)
        return DecoderModel.load(folder)

    def push_to_hub(self, repository: str) -> None:
        """Upload the fitted folder to a private repository of the Hub; needs a login there."""
        from huggingface_hub import HfApi

        hub = HfApi()
        hub.create_repo(repository, private=True, exist_ok=True)
        hub.upload_folder(repo_id=repository, folder_path=str(self.folder))

    def _fitted(self, name: str) -> Path:
        if self.folder is None or not (self.folder / name).exists():
            raise UserError(f"decoder: expected {name} in {self.folder}, found none. Give a folder that a fit wrote.")
        return self.folder / name

    def _base_name(self) -> str:
        merged = read_json(self._fitted(FACTS))["merged"]
        return str(self._fitted(MERGED)) if merged else self.settings.model_name_or_path

    def _open(self) -> decoder_fit.Decoder:
        decoder_load.free_memory()  # of a model that was let go just before, as between a fit and its scoring
        merged = read_json(self._fitted(FACTS))["merged"]
        decoder = decoder_fit.open_decoder(self.settings, self._base_name(), adapter=not merged)
        if merged:
            decoder_load.load_label_rows(decoder.model, self._fitted(MERGED))
        else:
            decoder_load.load_adapter(decoder.model, self._fitted(ADAPTER))
        return decoder

    def _wants_children(self) -> bool:
        """Many processes, or Unsloth where transformers came first: it must be imported before, so start
        afresh."""
        if launch.is_child():
            return False
        late = "transformers" in sys.modules and "unsloth" not in sys.modules
        unsloth = wants_unsloth(look_at_machine(), self.settings.device, self.settings.backend)
        many = self.settings.num_processes > 1 and not launch.in_launch()
        return many or (unsloth and late)

    def _write_fitted(self, train: pd.DataFrame, valid: pd.DataFrame, report: FitReport) -> None:
        words = self._decoder.writer.label_words
        data_hash = hash_of_rows(train, valid)
        (self.folder / ADAPTER).mkdir(parents=True, exist_ok=True)
        for name in decoder_load.ADAPTER_FILES:
            shutil.copy(self.folder.parent / "training" / "done" / name, self.folder / ADAPTER)
        self._decoder.tokenizer.save_pretrained(self.folder / TOKENIZER)
        facts = {
            "merged": False,
            "base": self.settings.model_name_or_path,
            "label_words": [words.negative, words.positive],
            "label_ids": list(words.ids),
            "data_sha256": data_hash,
            "scores": best_evaluation(report),
        }
        write_json(self.folder / FACTS, facts)
        card = write_card(
            base=self.settings.model_name_or_path,
            tasks=sorted(train["task"].unique()),
            label_words=(words.negative, words.positive),
            rows=len(train),
            data_hash=data_hash,
            settings=self.settings.model_dump(),
            report=report,
        )
        write_text(self.folder / CARD, card)
        write_json(self.folder / REPORT, report.as_dict())
        self.save_settings(self.folder)
