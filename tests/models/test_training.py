"""The order of rows in a training, and the checkpoints that it leaves."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from transformers import TrainerControl, TrainerState

from competition_utils.models.checkpoints import WHOLE, last_whole_checkpoint
from competition_utils.models.training import EffectiveBatches, Watch, history_rows


@given(
    rows=st.integers(1, 300),
    size=st.integers(1, 40),
    grouped=st.booleans(),
    seed=st.integers(0, 5),
)
def test_every_row_comes_at_least_once_an_epoch_and_steps_are_full(rows, size, grouped, seed):
    order = list(EffectiveBatches(np.arange(rows) % 7 + 1, size, grouped=grouped, seed=seed))
    assert len(order) % size == 0 and len(order) - rows < size
    assert set(order) == set(range(rows))


def test_grouped_batches_hold_rows_of_like_length():
    lengths = np.random.default_rng(0).integers(10, 200, 4096)

    def padding(grouped):
        batches = lengths[list(EffectiveBatches(lengths, 16, grouped=grouped, seed=0))].reshape(-1, 16)
        return 1 - batches.sum() / (batches.max(axis=1).sum() * 16)

    assert padding(grouped=True) < 0.03 < 0.3 < padding(grouped=False)


def test_epochs_differ_and_the_same_epoch_comes_again():
    def order(epoch):
        return list(EffectiveBatches(np.ones(64), 8, grouped=True, seed=3, epoch=lambda: epoch))

    assert order(0) != order(1)
    assert order(1) == order(1)


def test_a_bar_that_goes_on_after_a_resume_counts_only_its_own_steps():
    watch, state = Watch(total_batch=8), TrainerState(global_step=50, max_steps=60)
    watch.on_train_begin(None, state, None)
    watch.bar.start_t -= 10  # seconds ago
    watch.on_step_end(None, TrainerState(global_step=51, max_steps=60), TrainerControl())
    assert "408/480" in str(watch.bar)
    seconds_a_row = 10 / 8
    assert watch.bar.format_dict["initial"] == 400
    assert f"{seconds_a_row:.2f}s/ rows" in str(watch.bar)


def test_half_a_checkpoint_is_passed_over_and_removed(tmp_path):
    for step in (4, 8, 12):
        (tmp_path / f"checkpoint-{step}").mkdir()
    (tmp_path / "checkpoint-8" / WHOLE).touch()
    assert last_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-8")
    assert not (tmp_path / "checkpoint-12").exists()


def test_history_has_one_row_a_step_with_the_figures_asked_for():
    log = [{"loss": 0.7, "epoch": 0.5, "step": 4}, {"eval_auc": 0.6, "epoch": 0.5, "step": 4}, {"other": 1, "step": 5}]
    assert history_rows(log, {"loss": "loss", "eval_auc": "valid_auc"}) == [
        {"step": 4, "epoch": 0.5, "loss": 0.7, "valid_auc": 0.6}
    ]
