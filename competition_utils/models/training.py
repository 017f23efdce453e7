"""What encoder and decoder share of a training with transformers' `Trainer`: row order, progress, going on.

Import Unsloth, where it is wanted, before this module.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils.memory import release_memory, should_reduce_batch_size
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerState

from competition_utils import distributed
from competition_utils.errors import UserError
from competition_utils.models.checkpoints import WHOLE, last_whole_checkpoint
from competition_utils.models.compute import Compute
from competition_utils.models.threads import Threads, changes_as_notes, most_threads
from competition_utils.progress import progress

GROUP = 50  # optimizer steps whose rows are sorted by length together


class EffectiveBatches(torch.utils.data.Sampler):
    """Row order in which every `size` rows make one optimizer step, whatever the micro-batch or number of
    processes.

    With `grouped`, rows of like length meet: 50 batches at a time are sorted by length, cut, and the batches
    shuffled again. The last batch is filled up with the epoch's first rows. `epoch` is asked at each start,
    so that a resumed epoch has the order it had.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        size: int,
        *,
        grouped: bool,
        seed: int,
        epoch: Callable[[], int] = lambda: 0,
    ):
        self.lengths, self.size, self.grouped, self.seed, self.epoch = lengths, size, grouped, seed, epoch

    @classmethod
    def of(cls, trainer: Trainer, lengths: np.ndarray, size: int, *, grouped: bool = True) -> EffectiveBatches:
        """The order for a trainer's rows of these `lengths`, by its seed and its epoch."""
        return cls(
            lengths,
            size,
            grouped=grouped,
            seed=trainer.args.seed,
            epoch=lambda: int((trainer.state.epoch or 0) + 1e-6),
        )

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.size) * self.size

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng([self.seed, self.epoch()])
        order = random.permutation(len(self.lengths))
        order = np.resize(order, len(self))  # repeats from the start
        if self.grouped:
            groups = np.arange(len(order)) // (GROUP * self.size)
            order = order[np.lexsort((self.lengths[order], groups))]
            batches = order.reshape(-1, self.size)
            order = batches[random.permutation(len(batches))].ravel()
        return iter(order.tolist())


class Watch(TrainerCallback):
    """Progress in rows a second, a log wherever a checkpoint is written, and the mark of a whole checkpoint.

    With `save_seconds`, which is for one process only, the first log after so many seconds without a checkpoint
    brings one. `report` gets the trainer's log whenever something is added to it.
    """

    def __init__(
        self,
        total_batch: int,
        save_seconds: float = math.inf,
        report: Callable[[list[dict[str, float]]], None] | None = None,
    ):
        self.total_batch, self.save_seconds, self.report = total_batch, save_seconds, report
        self.bar, self.saved = None, 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.saved = time.monotonic()
        if state.is_world_process_zero:
            done, total = state.global_step * self.total_batch, state.max_steps * self.total_batch
            self.bar = progress(total=total, initial=done, what="training")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        if self.bar is not None:
            self.bar.update(self.total_batch)
        # A logged loss is the mean since the last log, and no checkpoint holds the sum: without a log beside each
        # checkpoint, a resumed training would log other means.
        control.should_log |= control.should_save or state.global_step >= state.max_steps
        control.should_save |= control.should_log and time.monotonic() - self.saved >= self.save_seconds
        return control

    def on_log(self, args: Any, state: Any, control: Any, logs: dict | None = None, **_: Any) -> None:
        if self.bar is not None and logs:
            figures = {name: value for name, value in logs.items() if name in ("loss", "eval_auc", "eval_f1")}
            self.bar.set_postfix(figures | {"epoch": state.epoch}, refresh=False)
        if self.report is not None and state.is_world_process_zero:
            self.report(state.log_history)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.saved = time.monotonic()
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / WHOLE).touch()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.bar is not None:
            self.bar.close()


@contextmanager
def leaving_no_trace(network: Any) -> Iterator[None]:
    """For steps that are only tried: training mode within the block; behind it modules, gradients and generators are
    as they were. Freshly loaded layers are in evaluation mode, and checkpointing works in training mode only."""
    modes = {module: module.training for module in network.modules()}
    network.train()
    try:
        with torch.random.fork_rng(enabled=True):  # dropout draws
            yield
    finally:
        network.zero_grad(set_to_none=True)
        for module, mode in modes.items():
            module.training = mode


def threads_callbacks(compute: Compute, folder: str, wish: int | str) -> list[TrainerCallback]:
    """The callback `Threads`, for a fit of one process on a CPU whose number of threads (`wish`) is "auto"."""
    watched = wish == "auto" and compute.threads and most_threads() > 1 and not distributed.is_launched()
    return [Threads(Path(folder), most_threads())] if watched else []


def notes_of(trainer: Trainer) -> list[str]:
    """The sentences on a trainer that ran, changes of its threads among them."""
    return [*trainer.notes, *changes_as_notes(Path(trainer.args.output_dir))]


def train_to_the_end(trainer: Trainer) -> None:
    """Train on the threads of `trainer.compute`, going on from the last whole checkpoint in the trainer's folder.

    A training that had ended is loaded and not gone on with: where it ended within an epoch (a fraction of one, or
    early stopping), `Trainer.train` would take one more step.
    """
    checkpoint = last_whole_checkpoint(Path(trainer.args.output_dir))
    state = None if checkpoint is None else TrainerState.load_from_json(Path(checkpoint) / TRAINER_STATE_NAME)
    ended = state is not None and state.stateful_callbacks["TrainerControl"]["args"]["should_training_stop"]
    if not ended or trainer.is_fsdp_enabled:  # FSDP loads only into a model that `train` has wrapped
        with trainer.compute.on_threads():
            trainer.train(resume_from_checkpoint=checkpoint)
        return
    trainer.state = state
    trainer._load_from_checkpoint(checkpoint)
    if trainer.args.load_best_model_at_end:
        trainer._load_best_model()


def train_within_memory(new_trainer: Callable[[int | None], Trainer]) -> tuple[Trainer, list[str]]:
    """Train to the end; where memory runs out, go on from the last whole checkpoint with a smaller micro-batch.

    The rows of a step stay the same. `new_trainer` makes a trainer with at most so many rows in a micro-batch (None:
    as set), see `limit_micro_batch`. Gives the trainer that came to the end, and a sentence for each time that
    memory ran out. Raises UserError where one row is too much.
    """
    at_most, notes = None, []
    while True:
        trainer = new_trainer(at_most)
        rows = trainer.args.per_device_train_batch_size
        try:
            train_to_the_end(trainer)
            return trainer, notes
        except RuntimeError as error:
            if not should_reduce_batch_size(error) or trainer.args.world_size > 1:  # the others wait for this one
                raise
        if rows == 1:
            raise UserError(
                "per_device_train_batch_size: expected a step of one row to fit into the memory, found that it does "
                "not. Set a smaller `max_length` or model, or `load_in_4bit: true`."
            )
        at_most = rows // 2
        notes.append(f"memory ran out with {rows} rows at once; went on with {at_most} at most, as many rows a step")
        print(notes[-1], flush=True)
        del trainer
        release_memory()


def limit_micro_batch(arguments: TrainingArguments, at_most: int | None) -> None:
    """Lower the micro-batch to the largest divisor of a step's rows that is at most `at_most`."""
    rows = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps
    if at_most is not None and arguments.per_device_train_batch_size > at_most:
        size = next(size for size in range(at_most, 0, -1) if rows % size == 0)
        arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps = size, rows // size


def reporter(
    report: Callable[[list[dict[str, float]]], None] | None, names: Mapping[str, str]
) -> Callable[[list[dict[str, float]]], None] | None:
    """A function for `Watch` that hands the history to `report`; None where there is none."""
    return None if report is None else lambda log: report(history_rows(log, names))


def one_gpu(arguments: TrainingArguments) -> str | None:
    """Let a trainer of one process use one GPU: never `nn.DataParallel`. Gives a sentence where others stay idle."""
    visible = arguments.n_gpu
    arguments._n_gpu = min(visible, 1)
    if visible < 2:
        return None
    return f"one of {visible} GPUs is used; `num_processes: {visible}` trains on all"


def new_arguments(
    kind: type[TrainingArguments], options: Mapping[str, Any], overrides: Mapping[str, Any]
) -> TrainingArguments:
    """Arguments of a trainer; `overrides` win. Raises UserError for a name that the library does not have."""
    unknown = sorted(set(overrides) - {one.name for one in fields(kind)})
    if unknown:
        raise UserError(f"argument_overrides: expected names of {kind.__name__}, found {', '.join(unknown)}.")
    return kind(**{**options, **overrides})


def history_rows(log: list[dict[str, float]], names: Mapping[str, str]) -> list[dict[str, float]]:
    """A trainer's log, one row a step: `step, epoch` and the figures of `names` (theirs → ours)."""
    steps: dict[int, dict[str, float]] = {}
    for entry in log:
        if any(name in entry for name in names):
            steps.setdefault(entry["step"], {}).update(entry)
    # In the order of `names`: a checkpoint does not keep the order that an entry had.
    ours = {"step": "step", "epoch": "epoch", **names}
    return [{ours[name]: entry[name] for name in ours if name in entry} for entry in steps.values()]
