"""A fit in a process of its own, which kills itself where it is asked to: `python killable_fit.py JOB.json`.

The job holds `settings, train, valid, work_dir, out`, and perhaps `kill_at_step` or `kill_in_checkpoint` (the number
of the checkpoint that is left half-written). `out` gets model, history, scores, and what the generators draw next.
"""

import json
import os
import random
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from competition_utils.models.base import new_model
from competition_utils.models.encoder import train as encoder_train


def kill_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def draw() -> list[float]:
    """A number of each generator."""
    return [random.random(), np.random.random(), torch.rand(1).item()]  # noqa: NPY002 - the global one


class Watch(encoder_train.Watch):
    """Draws from every generator at each step, so that a fit which restored only one of them would end differently."""

    def on_step_end(self, args, state, control, **others):
        draw()
        if state.global_step == job.get("kill_at_step"):
            kill_this_process()
        return super().on_step_end(args, state, control, **others)


class Trainer(encoder_train.EncoderTrainer):
    """Dies after the weights of a checkpoint and before its generators' states."""

    checkpoints = 0

    def _save_rng_state(self, output_dir):
        self.checkpoints += 1
        if self.checkpoints == job.get("kill_in_checkpoint"):
            kill_this_process()
        super()._save_rng_state(output_dir)


job = json.loads(Path(sys.argv[1]).read_text())
encoder_train.Watch, encoder_train.EncoderTrainer, encoder_train.SAVE_SECONDS = Watch, Trainer, 0
train, valid = pd.read_parquet(job["train"]), pd.read_parquet(job["valid"])
model, out = new_model("encoder", job["settings"]), Path(job["out"])
report = model.fit(train, valid, work_dir=Path(job["work_dir"]), seed=0)
out.mkdir()
(out / "next_draws.json").write_text(json.dumps(draw()))
(out / "history.json").write_text(json.dumps(report.history))
model.save(out)
np.save(out / "scores.npy", model.score(valid))
