"""Training an encoder: what the trainer gets, what it reports, and going on after a kill."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import competition_utils
from competition_utils.errors import UserError
from competition_utils.models.base import new_model
from competition_utils.models.encoder.train import EncoderTrainer, training_arguments, weighted_loss

QUICK = {
    "num_train_epochs": 1.5,
    "total_batch_size": 32,
    "learning_rate": 3e-3,
    "dtype": "float32",
    "freeze_embeddings": False,
    "eval_steps": 0.5,
}
STEPS = 8  # 160 rows, 5 steps an epoch, 1.5 epochs
KILLABLE = Path(__file__).parent / "killable_fit.py"


@pytest.fixture
def model(tiny_encoder):
    def make(**others):
        return new_model("encoder", {"model_name_or_path": tiny_encoder, **QUICK, **others})

    return make


def histories(report, name):
    return {row["step"]: row[name] for row in report.history if name in row}


# What the trainer gets


def test_labels_are_smoothed_and_weights_default_to_one(model, pair_maker):
    rows = model(label_smoothing_factor=0.2).training_rows(pair_maker(50, 0, in_target=True).drop(columns="weight"))
    assert np.unique(rows.labels).tolist() == pytest.approx([0.1, 0.9])
    assert rows.weights.tolist() == [1.0] * 50


def test_a_batch_is_padded_to_its_longest_row(model, pair_maker):
    rows = model().training_rows(pair_maker(50, 0, in_target=True))
    batch = rows.__getitems__([3, 1, 4])
    assert batch["input_ids"].shape == (3, rows.tokens.lengths[[3, 1, 4]].max())
    assert batch["label"].tolist() == rows.labels[[3, 1, 4]].tolist()


def test_a_row_of_twice_the_weight_counts_twice():
    logits, labels = torch.tensor([0.3, -1.0]), torch.tensor([1.0, 1.0])
    single = weighted_loss(logits, labels, torch.tensor([1.0, 0.0]))
    assert weighted_loss(logits, labels, torch.tensor([2.0, 0.0])).item() == pytest.approx(2 * single.item())


def test_arguments_are_those_of_the_settings(model, tmp_path):
    settings = model(total_batch_size=32, per_device_train_batch_size=8, warmup_ratio=0.2).settings
    arguments = training_arguments(settings, tmp_path, device="cpu", dtype="bfloat16", seed=5)
    assert arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps == 32
    assert arguments.get_warmup_steps(100) == 20
    assert arguments.use_cpu and arguments.seed == 5
    assert not arguments.bf16  # a trial says it, see test_compute.py


def test_max_steps_sets_the_length_of_a_fit_whatever_the_rows(model, pair_maker, tmp_path):
    train, valid = pair_maker(160, 0, in_target=True), pair_maker(60, 1, in_target=True)
    report = model(max_steps=3).fit(train, valid, work_dir=tmp_path, seed=0)
    assert report.history[-1]["step"] == 3


def test_the_loss_does_not_depend_on_the_rows_at_once(model, pair_maker, tmp_path):
    train, valid = pair_maker(160, 0, in_target=True), pair_maker(60, 1, in_target=True)
    whole, quarters = (
        histories(
            model(per_device_train_batch_size=rows).fit(train, valid, work_dir=tmp_path / str(rows), seed=0), "loss"
        )
        for rows in (32, 8)
    )
    assert quarters == pytest.approx(whole, abs=1e-4)


@pytest.mark.parametrize("from_step", [1, 6])  # before the first checkpoint, and after it
def test_a_fit_that_runs_out_of_memory_goes_on_with_fewer_rows_at_once_and_says_so(
    model, pair_maker, tmp_path, monkeypatch, from_step
):
    train, valid = pair_maker(160, 0, in_target=True), pair_maker(60, 1, in_target=True)
    expected = histories(model().fit(train, valid, work_dir=tmp_path / "whole", seed=0), "loss")
    original = EncoderTrainer.compute_loss

    def compute_loss(self, model, inputs, *others, **more):
        if self.state.global_step + 1 >= from_step and len(inputs["label"]) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(self, model, inputs, *others, **more)

    monkeypatch.setattr(EncoderTrainer, "compute_loss", compute_loss)
    report = model().fit(train, valid, work_dir=tmp_path / "cut", seed=0)
    assert [note for note in report.notes if "memory" in note] == [
        "memory ran out with 32 rows at once; went on with 16 at most, as many rows a step",
        "memory ran out with 16 rows at once; went on with 8 at most, as many rows a step",
    ]
    assert histories(report, "loss") == pytest.approx(expected, abs=1e-4)


def test_a_fit_of_which_not_one_row_fits_into_the_memory_says_what_to_do(model, pair_maker, tmp_path, monkeypatch):
    def compute_loss(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(EncoderTrainer, "compute_loss", compute_loss)
    rows = pair_maker(64, 0, in_target=True)
    with pytest.raises(UserError, match="expected a step of one row"):
        model().fit(rows, rows, work_dir=tmp_path, seed=0)


# What it reports


def test_history_has_a_loss_every_few_steps_and_the_auc_at_evaluations(model, pair_maker, tmp_path):
    report = model().fit(
        pair_maker(160, 0, in_target=True), pair_maker(60, 1, in_target=True), work_dir=tmp_path, seed=0
    )
    assert list(histories(report, "loss")) == list(range(1, STEPS + 1))
    assert list(histories(report, "valid_auc")) == [4, 8]
    assert report.history[-1]["epoch"] == pytest.approx(1.6)  # whole steps


def test_a_collapsed_fit_is_reported_and_tried_once_more(model, pair_maker, tmp_path):
    train = pair_maker(200, 0, in_target=True)
    random_labels = train.assign(label=np.random.default_rng(0).integers(0, 2, len(train)))
    valid = pair_maker(100, 1, in_target=True)
    report = model(collapse_auc=0.99).fit(random_labels, valid, work_dir=tmp_path, seed=7)
    assert any("seed 7 collapsed" in note and "seed 8 and half the learning rate" in note for note in report.notes)


# Going on


def run_killable(folder, settings, train, valid, jobs):
    """Run fits one after the other, each in a process of its own; gives what killable_fit.py says of each."""
    train.to_parquet(folder / "train.parquet")
    valid.to_parquet(folder / "valid.parquet")
    same = {"settings": settings, "train": str(folder / "train.parquet"), "valid": str(folder / "valid.parquet")}
    (folder / "jobs.json").write_text(json.dumps([same | job for job in jobs]))
    environment = os.environ | {"PYTHONPATH": str(Path(competition_utils.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, KILLABLE, folder / "jobs.json"], env=environment, stdout=subprocess.PIPE, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_fit_killed_at_any_step_and_while_it_writes_a_checkpoint_ends_with_the_same_bytes(
    tiny_encoder, pair_maker, tmp_path
):
    step = random.Random().randint(2, 5)  # another one in every run of the tests
    unbroken = {"work_dir": str(tmp_path / "work_1"), "out": str(tmp_path / "expected")}
    killed = {"work_dir": str(tmp_path / "work_2"), "out": str(tmp_path / "found")}
    jobs = [unbroken, killed | {"kill_at_step": step}, killed | {"kill_in_checkpoint": 2}, killed]
    settings = {"model_name_or_path": tiny_encoder, **QUICK, "dropout": 0.1}
    runs = run_killable(tmp_path, settings, pair_maker(160, 0, in_target=True), pair_maker(60, 1, in_target=True), jobs)
    assert [run["status"] for run in runs] == [0, -signal.SIGKILL, -signal.SIGKILL, 0]
    assert len(runs[2]["half"]) == 1 and runs[3]["half"] == []
    assert contents(tmp_path / "found") == contents(tmp_path / "expected"), f"killed at step {step}"


def test_a_finished_fit_is_loaded_and_not_gone_on_with(model, pair_maker, tmp_path):
    train, valid = pair_maker(160, 0, in_target=True), pair_maker(60, 1, in_target=True)
    first, again = model(), model()
    report = first.fit(train, valid, work_dir=tmp_path, seed=0)
    assert again.fit(train, valid, work_dir=tmp_path, seed=0).history == report.history
    np.testing.assert_array_equal(again.score(valid), first.score(valid))


def test_other_settings_start_anew(model, pair_maker, tmp_path):
    train, valid = pair_maker(160, 0, in_target=True), pair_maker(60, 1, in_target=True)
    first = model().fit(train, valid, work_dir=tmp_path, seed=0)
    other = model(learning_rate=1e-4).fit(train, valid, work_dir=tmp_path, seed=0)
    assert histories(first, "loss") != histories(other, "loss")
