"""What a fit of a decoder does, in this process: prompts, base model, adapter, one or two stages of
training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from competition_utils import distributed
from competition_utils.errors import UserError
from competition_utils.models.base import FitReport
from competition_utils.models.checkpoints import forget_other_fits, hash_of_rows
from competition_utils.models.decoder import load
from competition_utils.models.decoder.load import Decoder
from competition_utils.settings.schema import DecoderSettings
from competition_utils.storage import hash_json, read_json, write_json

DONE = "done"  # where a stage leaves its adapter


@dataclass(frozen=True)
class Stage:
    """One training within a fit: which rows of the training table, how long, and whether `valid` is looked
    at."""

    name: str
    rows: np.ndarray
    epochs: float
    evaluates: bool
    max_steps: int = -1


def plan_stages(config: DecoderSettings, train: pd.DataFrame, valid: pd.DataFrame) -> list[Stage]:
    """The stages that `training` asks for. The task to be fitted is that of `valid`, or of `train` without
    it.

    Raises UserError where the tasks of the tables do not suit `training`.
    """
    wanted = set((valid if len(valid) else train)["task"].unique())
    own = train["task"].isin(wanted).to_numpy()
    evaluates = len(valid) > 0
    main = Stage("training", own, config.num_train_epochs, evaluates, config.max_steps)
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


def fit_stages(
    fitter: Any, train: pd.DataFrame, valid: pd.DataFrame, *, work_dir: Path, seed: int
) -> tuple[Decoder, FitReport]:
    """Fit a `DecoderModel` in this process (or as one of a launch), by the steps that it is made of.

    A stage that was finished is not trained again, one that was cut off goes on from its last checkpoint; other
    settings, edits, rows or seed start anew.
    """
    settings = fitter.settings
    stages = plan_stages(settings, train, valid)
    network = fitter.add_adapter(fitter.load_base_model(), seed)
    rows, held = fitter.training_rows(train), fitter.training_rows(valid)
    report = FitReport(seed=seed, notes=_notes(fitter, rows, held))
    if distributed.is_first():
        print(*report.notes, sep="\n", flush=True)
        key = hash_json([fitter.identity(), hash_of_rows(train, valid), seed])
        forget_other_fits(work_dir, key, ("first_stage", "training"))
    distributed.barrier()  # else one could still see a checkpoint that another removes
    if settings.start_from:
        load.load_adapter(network, Path(settings.start_from) / "adapter")
    for number, stage in enumerate(stages, start=1):
        data = (rows.take(stage.rows), held if stage.evaluates else None)
        history, note = _run_stage(fitter, network, stage, *data, work_dir / stage.name, seed)
        report.history += [{"stage": number, **row} for row in history]
        report.notes += [f"{stage.name}: {note}"]
    return Decoder(network, fitter.tokenizer, fitter.new_writer(), fitter.choice), report


def _notes(fitter: Any, rows: Any, held: Any) -> list[str]:
    notes = [str(fitter.choice), load.size_warning(fitter.settings.model_name_or_path)]
    notes += [f"{name}: {data.lengths}" for name, data in (("train", rows), ("valid", held)) if len(data.labels)]
    return [note for note in notes if note]


def _run_stage(
    fitter: Any, network: Any, stage: Stage, rows: Any, held: Any, folder: Path, seed: int
) -> tuple[list[dict[str, float]], str]:
    """Train the network in place; with `held`, it ends as it was at its best F1.

    History rows hold `step, epoch`, then `loss, learning_rate` or `valid_f1, valid_auc, valid_loss`.
    """
    from competition_utils.models.decoder.train import HISTORY  # after Unsloth
    from competition_utils.models.training import history_rows, limit_micro_batch, notes_of, train_within_memory

    done = folder / DONE
    if (done / "history.json").is_file():
        load.load_adapter(network, done)
        kept = read_json(done / "history.json")
        return kept["rows"], kept["note"]
    start = {name: one.detach().clone() for name, one in network.named_parameters() if one.requires_grad}

    def new_trainer(at_most: int | None) -> Any:
        if at_most is not None:  # it was trained until memory ran out
            network.load_state_dict(start, strict=False)
        length = {"epochs": stage.epochs, "max_steps": stage.max_steps}
        arguments = fitter.training_arguments(folder, seed, **length, evaluates=stage.evaluates)
        limit_micro_batch(arguments, at_most)
        return fitter.make_trainer(network, rows, held, arguments)

    trainer, out_of_memory = train_within_memory(new_trainer)
    trainer.save_model(str(done))  # gathers a sharded model
    history = history_rows(trainer.state.log_history, HISTORY)
    settings = fitter.settings
    sizes = [f"effective batch {settings.total_batch_size}", *notes_of(trainer), *out_of_memory]
    sizes.append(f"{settings.num_processes} process(es)")
    note = ", ".join(sizes)
    if distributed.is_first():
        write_json(done / "history.json", {"rows": history, "note": note})
    return history, note
