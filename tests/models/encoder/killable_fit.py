"""Fits in processes of their own, which kill themselves where they are asked to: `python killable_fit.py JOBS.json`.

A job holds `settings, train, valid, work_dir, out`, and perhaps `kill_at_step` or `kill_in_checkpoint` (the number of
the checkpoint that is left half-written). `out` gets model, history, scores, and what the generators draw next.
Each job runs in a fork of this process, which has imported everything and computed nothing: imports take longer than
the fits. What is printed: a JSON line a job with its `status` and the `half` checkpoints that it left.
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
from competition_utils.models.encoder import model as encoder_model  # noqa: F401 - before the forks
from competition_utils.models.encoder import train as encoder_train

job = {}


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


def run() -> None:
    train, valid = pd.read_parquet(job["train"]), pd.read_parquet(job["valid"])
    model, out = new_model("encoder", job["settings"]), Path(job["out"])
    report = model.fit(train, valid, work_dir=Path(job["work_dir"]), seed=0)
    out.mkdir()
    (out / "next_draws.json").write_text(json.dumps(draw()))
    (out / "history.json").write_text(json.dumps(report.history))
    model.save(out)
    np.save(out / "scores.npy", model.score(valid))


encoder_train.Watch, encoder_train.EncoderTrainer, encoder_train.SAVE_SECONDS = Watch, Trainer, 0
for each in json.loads(Path(sys.argv[1]).read_text()):
    if (child := os.fork()) == 0:
        job |= each
        run()
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = Path(each["work_dir"], "try1").glob("checkpoint-*")
    half = [path.name for path in left if not (path / "whole").is_file()]
    print(json.dumps({"status": status, "half": half}), flush=True)
