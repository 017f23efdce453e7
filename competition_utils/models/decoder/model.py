"""Gemma 3, Qwen 2.5 and their like as relevance models: a LoRA adapter and two label words.

On CUDA fitted through Unsloth, elsewhere through transformers and PEFT; in 4 bits or 16; in this process or, where
there are to be several and for Unsloth, in children (launch.py). Scored through transformers in this process.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from competition_utils import distributed
from competition_utils.errors import UserError
from competition_utils.models.base import FitReport, RelevanceModel
from competition_utils.models.checkpoints import PAIR_COLUMNS, hash_of_rows
from competition_utils.models.compute import Compute, copy_record
from competition_utils.models.decoder import launch, resident
from competition_utils.models.decoder import load as decoder_load
from competition_utils.models.decoder.device import DeviceChoice, look_at_machine, wants_unsloth
from competition_utils.models.decoder.fit import fit_stages, plan_stages
from competition_utils.models.decoder.load import Decoder
from competition_utils.models.decoder.loss import pair_loss
from competition_utils.models.decoder.merge import merge_adapter
from competition_utils.models.decoder.model_card import best_evaluation, write_card
from competition_utils.models.decoder.prompts import Prompt, PromptWriter
from competition_utils.models.decoder.score import score_decoder, scoring_compute
from competition_utils.models.parts import part
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
        self._vllm: tuple[PromptWriter, VllmScorer] | None = None
        self._budget = TokenBudget(self.settings.score_tokens)
        self._compute: Compute | None = None  # for scoring

    # Parts

    @part
    def prompt(self) -> Prompt:
        """What the model is asked, see `Prompt`."""
        prompt = Prompt.short() if self.settings.prompt == "short" else Prompt()
        prompt.tags = list(self.settings.tags)
        if not self.settings.translation:
            prompt.translation = None
        if self.settings.label_words:
            prompt.label_words = [tuple(self.settings.label_words)]
        return prompt

    @part
    def quantization_config(self) -> Any:
        """transformers' BitsAndBytesConfig, or None; Unsloth makes its own, which the loaded model shows."""
        return decoder_load.quantization_config(self.choice, sharded=self.settings.sharded)

    @part
    def lora_config(self) -> Any:
        """PEFT's LoraConfig."""
        _ = self.choice  # Unsloth, where it is wanted, comes before PEFT
        return decoder_load.lora_config(self.settings)

    @part
    def loss(self) -> Callable[..., Any]:
        """A function of logits [rows, 2], labels [rows] and weights [rows], see `pair_loss`."""
        return partial(pair_loss, label_smoothing=self.settings.label_smoothing_factor)

    # The steps of a fit, and of loading

    @cached_property
    def choice(self) -> DeviceChoice:
        """Where the model runs here, and through which library; imports Unsloth where that is chosen.

        A process that has children train shows the model through transformers.
        """
        plain = {"backend": "transformers"} if self._wants_children() else {}
        return decoder_load.prepare(self.settings.model_copy(update=plain))

    def load_tokenizer(self) -> Any:
        _ = self.choice
        return decoder_load.load_tokenizer(self._base_name())

    @cached_property
    def tokenizer(self) -> Any:
        return self.load_tokenizer()

    def new_writer(self) -> PromptWriter:
        """Writes `prompt` as it now is, for this tokenizer."""
        return PromptWriter(self.tokenizer, self.prompt, max_length=self.settings.max_length)

    def load_base_model(self, seed: int = 0) -> Any:
        """The frozen text model, quantised by `quantization_config`."""
        if self.choice.backend == "unsloth" and "quantization_config" in self.edits():
            raise UserError("quantization_config: Unsloth makes its own. Set `backend: transformers` to change it.")
        sharded = self.settings.sharded
        return decoder_load.load_base(self._base_name(), self.choice, self.quantization_config, sharded=sharded)

    def add_adapter(self, network: Any, seed: int = 0) -> Any:
        """Fresh LoRA adapters by `lora_config`, and the rows of the two label words."""
        unknown = self.edits().get("lora_config", {}).keys() - {*decoder_load.UNSLOTH_LORA, "target_modules"}
        if unknown and self.choice.backend == "unsloth":
            raise UserError(f"lora_config: Unsloth takes no {', '.join(sorted(unknown))}. Set `backend: transformers`.")
        network = decoder_load.add_adapter(network, self.lora_config, self.choice, seed=seed)
        ids = self.new_writer().label_words.ids
        decoder_load.give_label_logits(network, ids, trained=self.settings.objective == "head")
        return network

    def training_arguments(
        self,
        folder: Path,
        seed: int = 0,
        *,
        epochs: float | None = None,
        max_steps: int | None = None,
        evaluates: bool = True,
    ) -> Any:
        """trl.SFTConfig; `epochs` and `max_steps` other than those of the settings are for the first of two stages."""
        _ = self.choice
        from competition_utils.models.decoder.train import training_arguments

        return training_arguments(
            self.settings,
            self.choice,
            Path(folder),
            seed=seed,
            length={
                "num_train_epochs": self.settings.num_train_epochs if epochs is None else epochs,
                "max_steps": self.settings.max_steps if max_steps is None else max_steps,
            },
            evaluates=evaluates,
            overrides=self.argument_overrides,
        )

    def training_rows(self, table: pd.DataFrame) -> Any:
        from competition_utils.models.decoder.rows import label_rows

        return label_rows(table, self.new_writer(), self.settings.class_weights)

    def make_trainer(self, network: Any, rows: Any, valid: Any, arguments: Any) -> Any:
        """A `PairTrainer`, TRL's SFTTrainer with the loss and the evaluation of pairs."""
        from competition_utils.models.decoder.train import make_trainer

        return make_trainer(self, network, rows, valid, arguments)

    def open(self, *, adapter: bool = True, seed: int = 0) -> Decoder:
        """The model with fresh adapters (or none), its tokenizer and its prompt writer."""
        choice, base = self.choice, self.load_base_model()
        if adapter:
            base = self.add_adapter(base, seed)
        else:
            decoder_load.give_label_logits(base, self.new_writer().label_words.ids, trained=False)
        return Decoder(base, self.tokenizer, self.new_writer(), choice)

    # What a notebook shows

    def token_parts(self, pairs: pd.DataFrame) -> pd.DataFrame:
        return self.new_writer().token_parts(pairs)

    def token_lengths(self, pairs: pd.DataFrame) -> np.ndarray:
        return self.new_writer().lengths(pairs)

    def where_it_trains(self) -> str:
        if not self._wants_children():
            return super().where_it_trains()
        count = self.settings.num_processes
        return f"Training runs in {count} process{'es' if count > 1 else ''} of its own, started by accelerate launch."

    # The estimator

    def fit(self, train: pd.DataFrame, valid: pd.DataFrame, *, work_dir: Path, seed: int) -> FitReport:
        """See `RelevanceModel.fit`. Where `training` is two_stage or joint, `train` holds rows of both tasks;
        the task to be fitted is that of `valid`.

        Raises UserError where the tables do not suit `training`, or a row has no label.
        """
        work_dir, start = Path(work_dir), time.monotonic()
        plan_stages(self.settings, train, valid)  # faults first, before anything is loaded
        self.folder, self._vllm, self._compute = work_dir / "fitted", None, None
        resident.let_go()  # a fit needs the memory
        if self._wants_children():
            return launch.fit_in_children(self.settings, self.edits(), train, valid, work_dir=work_dir, seed=seed)
        _, report = fit_stages(self, train, valid, work_dir=work_dir, seed=seed)
        report.seconds = time.monotonic() - start
        if distributed.is_first():
            self._write_fitted(train, valid, report)
            if self.settings.hub_model_id:
                self.push_to_hub(self.settings.hub_model_id)
        distributed.barrier()  # the others read what the first one wrote
        return report

    def score(self, pairs: pd.DataFrame) -> np.ndarray:
        """See `RelevanceModel.score`."""
        if self.folder is None:
            raise UserError("score: expected a fitted decoder, found one without weights. Call fit, or load a folder.")
        if self.settings.score_engine == "vllm":
            return score_unique(pairs[self._read_columns(pairs)], self._score_with_vllm)
        if self._wants_many():
            return launch.score_in_children(self.folder, pairs, self.settings)
        return score_unique(pairs[self._read_columns(pairs)], self._score_here)

    def fitted_decoder(self) -> Decoder:
        """The fitted model in memory, see `resident`: the next fit, or another model's scoring, may change it."""
        merged = read_json(self._fitted(FACTS))["merged"]
        network = resident.fitted_network(self, self._fitted(MERGED if merged else ADAPTER), merged=merged)
        return Decoder(network, self.tokenizer, self.new_writer(), self.choice)

    def _score_here(self, pairs: pd.DataFrame) -> np.ndarray:
        decoder = self.fitted_decoder()
        prompts = decoder.writer.write(pairs).ids
        if self._compute is None:
            where = (self.settings, self.choice, self.folder)
            self._compute = scoring_compute(decoder.model, prompts, self.tokenizer.pad_token_id, *where)
        return score_decoder(decoder, prompts, self.settings, self._budget, self._compute)

    def _score_with_vllm(self, pairs: pd.DataFrame) -> np.ndarray:
        if self._vllm is None:
            resident.let_go()  # vLLM takes the GPU's memory for itself
            writer = self.new_writer()
            merged = read_json(self._fitted(FACTS))["merged"]
            scorer = VllmScorer(
                self._base_name(),
                writer.label_words.ids,
                adapter=None if merged else self._fitted(ADAPTER),
                lora_rank=self.lora_config.r,
                max_length=self.settings.max_length,
                load_in_4bit=self.settings.load_in_4bit is True,
                dtype=self.settings.dtype,
            )
            self._vllm = (writer, scorer)
        writer, scorer = self._vllm
        return scorer.score(writer.write(pairs).ids)

    def _read_columns(self, pairs: pd.DataFrame) -> list[str]:
        """The columns that reach the prompt: rows identical in these are one to the model."""
        return [name for name in dict.fromkeys((*PAIR_COLUMNS, *self.prompt.tags)) if name in pairs]

    def save(self, folder: Path) -> None:
        """Copy what the fit wrote: adapter and label rows as safetensors, tokenizer, model card,
        `model.json`."""
        if self.folder is None:
            raise UserError("save: expected a fitted decoder, found one without weights. Call fit first.")
        left = shutil.ignore_patterns("model.json", REPORT)  # the report has times, which no two fits share
        shutil.copytree(self.folder, folder, ignore=left, dirs_exist_ok=True)
        self.save_settings(folder)

    @classmethod
    def load(cls, folder: Path, overrides: Mapping[str, Any] | None = None) -> DecoderModel:
        model = cls(cls.saved_settings(folder, overrides))
        model.given_edits = cls.saved_edits(folder)
        model.folder = Path(folder)
        return model

    def merge(self, folder: Path, *, dtype: str = "bfloat16") -> DecoderModel:
        """Write the model with its adapter merged in, in `dtype`, as a folder that needs no base model; loads it.

        The folder's `merged/` is a plain transformers checkpoint.
        """
        folder = Path(folder)
        parts = {"dtype": dtype, "quantization": self.quantization_config}
        merge_adapter(self._base_name(), self._fitted(ADAPTER), folder / MERGED, **parts)
        decoder_load.load_tokenizer(str(self._fitted(TOKENIZER))).save_pretrained(folder / MERGED)
        shutil.copytree(self._fitted(TOKENIZER), folder / TOKENIZER, dirs_exist_ok=True)
        shutil.copy(self._fitted(ADAPTER) / decoder_load.LABEL_ROWS, folder / MERGED)
        write_text(folder / CARD, self._fitted(CARD).read_text(encoding="utf-8"))
        write_json(folder / FACTS, read_json(self._fitted(FACTS)) | {"merged": True})
        merged = DecoderModel(self.settings.model_dump() | {"dtype": dtype, "load_in_4bit": False})
        merged.given_edits = {name: edit for name, edit in self.edits().items() if name != "quantization_config"}
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
        facts = None if self.folder is None else self.folder / FACTS
        merged = facts is not None and facts.is_file() and read_json(facts)["merged"]
        return str(self._fitted(MERGED)) if merged else self.settings.model_name_or_path

    def _wants_children(self) -> bool:
        """Whether a fit runs in children: many processes, or Unsloth, which changes what it finds imported."""
        unsloth = wants_unsloth(look_at_machine(), self.settings.device, decoder_load.backend_wish(self.settings))
        return self._wants_many() or (unsloth and not launch.is_child())

    def _wants_many(self) -> bool:
        return self.settings.num_processes > 1 and not distributed.is_launched() and not launch.is_child()

    def _write_fitted(self, train: pd.DataFrame, valid: pd.DataFrame, report: FitReport) -> None:
        words = self.new_writer().label_words
        data_hash = hash_of_rows(train, valid)
        (self.folder / ADAPTER).mkdir(parents=True, exist_ok=True)
        for name in decoder_load.ADAPTER_FILES:
            shutil.copy(self.folder.parent / "training" / "done" / name, self.folder / ADAPTER)
        copy_record(self.folder.parent / "training", self.folder)
        self.tokenizer.save_pretrained(self.folder / TOKENIZER)
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
            settings=self.settings.model_dump() | self.edits(),
            report=report,
        )
        write_text(self.folder / CARD, card)
        write_json(self.folder / REPORT, report.as_dict())
        self.save_settings(self.folder)
