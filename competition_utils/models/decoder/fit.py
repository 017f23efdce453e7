"""What a fit of a decoder does, in this process: prompts, base model, adapter, one or two stages of
training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.errors import UserError
from competition_utils.models.base import FitReport
from competition_utils.models.checkpoints import forget_other_fits, hash_of_rows
from competition_utils.models.decoder import load
from competition_utils.models.decoder.launch import is_first_process, wait_for_the_others
from competition_utils.models.decoder.load import Decoder
from competition_utils.models.decoder.prompts import PromptWriter
from competition_utils.settings.schema import DecoderSettings
from competition_utils.storage import hash_json, read_json, write_json


@dataclass(frozen=True)
class Stage:
    """One training within a fit: which rows of the training table, how long, and whether `valid` is looked
    at."""

    name: str
    rows: np.ndarray
    epochs: float
    evaluates: bool


def plan_stages(config: DecoderSettings, train: pd.DataFrame, valid: pd.DataFrame) -> list[Stage]:
    """The stages that `training` asks for. The task to be fitted is that of `valid`, or of `train` without
    it.

    Raises UserError where the tasks of the tables do not suit `training`.
    """
    wanted = set((valid if len(valid) else train)["task"].unique())
    own = train["task"].isin(wanted).to_numpy()
    evaluates = len(valid) > 0
    main = Stage("training", own, config.num_train_epochs, evaluates)
    if config.training == "joint":
        return [main]
    if config.training == "two_stage":
        if own.all() or not own.any():
            raise _wrong_tasks("rows of the task of valid and of the other", train, "two_stage")
        return [Stage("first_stage", ~own, config.first_stage_epochs, evaluates=False), main]
    if len(wanted) > 1 or not own.all():
        raise _wrong_tasks("rows of one task", train, "single")
    return [main]


def _wrong_tasks(expected: str, train: pd.DataFrame, training: str) -> UserError:
    found = train["task"].value_counts().to_dict()
    return UserError(
        f"training table: `training: {training}` expects {expected}, found {found}. Give the other rows too "
        "for two_stage or joint, one task's rows for single, or change `training`."
    )


def open_writer(config: DecoderSettings, name: str) -> tuple[Any, PromptWriter]:
    """The tokenizer of the model `name` and the prompt writer that these settings ask for."""
    tokenizer = load.load_tokenizer(name)
    writer = PromptWriter(
        tokenizer,
        max_length=config.max_length,
        translation=config.translation,
        tags=config.tags,
        label_words=config.label_words or None,
    )
    return tokenizer, writer


def open_decoder(
    config: DecoderSettings, name: str, *, seed: int = 0, adapter: bool = True, sharded: bool = False
) -> Decoder:
    """The model `name` with a fresh adapter (or none) and its label rows, its tokenizer and its prompt
    writer.

    `sharded` leaves the placing of weights to FSDP.
    """
    choice = load.prepare(config)
    tokenizer, writer = open_writer(config, name)
    model = load.load_base(name, choice, sharded=sharded)
    if adapter:
        model = load.add_adapter(model, config, choice, seed=seed)
    load.give_label_logits(model, writer.label_words.ids, trained=config.objective == "head" and adapter)
    return Decoder(model, tokenizer, writer, choice)


def fit_decoder(
    config: DecoderSettings, train: pd.DataFrame, valid: pd.DataFrame, *, work_dir: Path, seed: int
) -> tuple[Decoder, FitReport]:
    """Fit in this process (or as one of a launch). A stage that was finished is not trained again, one that
    was cut off goes on from its last checkpoint; other settings, rows or seed start anew."""
    stages = plan_stages(config, train, valid)
    decoder = open_decoder(config, config.model_name_or_path, seed=seed, sharded=config.sharded)
    report = FitReport(seed=seed, notes=[str(decoder.choice)])
    report.notes += [note for note in [load.size_warning(config.model_name_or_path)] if note]
    tables = {}
    for name, table in (("train", train), ("valid", valid)):
        tables[name], lengths = _label(table, decoder.writer, config)
        report.notes += [f"{name}: {lengths}"] if len(table) else []
    if is_first_process():
        print(*report.notes, sep="\n", flush=True)
        key = hash_json([config.model_dump(), hash_of_rows(train, valid), seed])
        forget_other_fits(work_dir, key, ("first_stage", "training"))
    wait_for_the_others()  # else one could still see a checkpoint that another removes
    if config.start_from:
        load.load_adapter(decoder.model, Path(config.start_from) / "adapter")
    for number, stage in enumerate(stages, start=1):
        rows, note = _run_stage(stage, decoder, config, tables, work_dir / stage.name, seed)
        report.history += [{"stage": number, **row} for row in rows]
        report.notes += [f"{stage.name}: {note}"]
    return decoder, report


def _run_stage(
    stage: Stage, decoder: Decoder, config: DecoderSettings, tables: dict[str, Any], folder: Path, seed: int
) -> tuple[list[dict[str, float]], str]:
    from competition_utils.models.decoder.train import train_stage  # after Unsloth

    done = folder / "done"
    if (done / "history.json").is_file():
        load.load_adapter(decoder.model, done)
        kept = read_json(done / "history.json")
        return kept["rows"], kept["note"]
    rows, fit = train_stage(
        decoder,
        config,
        train=tables["train"].take(stage.rows),
        valid=tables["valid"] if stage.evaluates else None,
        epochs=stage.epochs,
        folder=folder,
        seed=seed,
    )
    note = f"effective batch {config.total_batch_size}, {fit}, {config.num_processes} process(es)"
    if is_first_process():
        write_json(done / "history.json", {"rows": rows, "note": note})
    return rows, note


def _label(table: pd.DataFrame, writer: PromptWriter, config: DecoderSettings) -> tuple[Any, str]:
    """The table as `Labelled`, and a sentence on its lengths."""
    from competition_utils.models.decoder.rows import Labelled, row_weights  # after Unsloth

    labels = pd.to_numeric(table["label"], errors="coerce") if "label" in table else pd.Series(np.nan, table.index)
    if not labels.isin([0, 1]).all():
        wrong = int((~labels.isin([0, 1])).sum())
        raise UserError(f"training table: expected label 0 or 1 in every row, found {wrong:,} rows without.")
    weights = table["weight"].to_numpy(float) if "weight" in table else np.ones(len(table))
    prompts, labels = writer.write(table), labels.to_numpy(dtype=np.int64)
    tasks = table["task"].to_numpy(dtype=str)
    weights = row_weights(labels, weights, config.class_weights)
    return Labelled(prompts.ids, labels, weights, tasks), prompts.report.sentence()
