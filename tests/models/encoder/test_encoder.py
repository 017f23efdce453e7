import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from competition_utils.errors import UserError
from competition_utils.models.base import load_model, new_model
from competition_utils.models.encoder import train as encoder_train
from competition_utils.models.encoder.model import EncoderModel, input_texts

QUICK = {
    "num_train_epochs": 3.0,
    "total_batch_size": 32,
    "learning_rate": 3e-3,
    "dtype": "float32",
    "freeze_embeddings": False,
}


@pytest.fixture(scope="module")
def fitted(tiny_encoder, pair_maker, tmp_path_factory):
    model = new_model("encoder", {"model_name_or_path": tiny_encoder, **QUICK})
    report = model.fit(
        pair_maker(600, 0, told=True), pair_maker(200, 1, told=True), work_dir=tmp_path_factory.mktemp("work"), seed=0
    )
    return model, report


def test_it_learns_a_separable_set(fitted, pair_maker):
    held = pair_maker(300, 2, told=True)
    assert roc_auc_score(held["label"].astype(int), fitted[0].score(held)) > 0.95


def test_history_tells_loss_and_auc_up_to_the_last_epoch(fitted):
    history = fitted[1].history
    assert history[-1]["epoch"] == 3.0
    assert history[-1]["loss"] < history[0]["loss"]


def test_a_saved_model_scores_as_before(fitted, pair_maker, tmp_path):
    held = pair_maker(64, 2, told=True)
    fitted[0].save(tmp_path)
    np.testing.assert_allclose(load_model(tmp_path).score(held), fitted[0].score(held), atol=1e-6)


def test_a_row_alone_scores_as_among_others(fitted, pair_maker):
    held = pair_maker(40, 2, told=True)
    together = fitted[0].score(held)
    alone = np.concatenate([fitted[0].score(held.iloc[[row]]) for row in range(len(held))])
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_the_order_of_rows_does_not_change_their_scores(fitted, pair_maker):
    held = pair_maker(100, 2, told=True)
    shuffled = held.sample(frac=1, random_state=0)
    np.testing.assert_allclose(fitted[0].score(shuffled), fitted[0].score(held)[shuffled.index], atol=1e-5)


def test_the_input_is_original_dash_english_and_the_original_alone_without_a_translation(pair_maker):
    pairs = pair_maker(2, 0, told=True).assign(query=["zapato", "shoe"], query_en=["shoe", ""])
    assert input_texts(pairs)[0].tolist() == ["zapato – shoe", "shoe"]


def test_a_collapsed_fit_is_told_and_tried_once_more(tiny_encoder, pair_maker, tmp_path):
    train = pair_maker(200, 0, told=True)
    random_labels = train.assign(label=np.random.default_rng(0).integers(0, 2, len(train)))
    model = new_model(
        "encoder", {"model_name_or_path": tiny_encoder, **QUICK, "num_train_epochs": 1.0, "collapse_auc": 0.99}
    )
    report = model.fit(random_labels, pair_maker(100, 1, told=True), work_dir=tmp_path, seed=7)
    assert any("seed 7 collapsed" in note and "seed 8 and half the learning rate" in note for note in report.notes)


class Killed(Exception):
    """Stands for a kill in the middle of a fit."""


def _states(model):
    return {name: value.clone() for name, value in model.network.state_dict().items()}


@pytest.mark.parametrize("killed_at", [1, 7])
def test_a_fit_killed_after_any_step_ends_with_the_same_weights(
    killed_at, tiny_encoder, pair_maker, tmp_path, monkeypatch
):
    settings = {"model_name_or_path": tiny_encoder, **QUICK, "num_train_epochs": 1.5, "dropout": 0.1, "eval_steps": 0.5}
    train, valid = pair_maker(160, 0, told=True), pair_maker(60, 1, told=True)
    monkeypatch.setattr(encoder_train, "CHECKPOINT_SECONDS", 0)
    unbroken = new_model("encoder", settings)
    unbroken.fit(train, valid, work_dir=tmp_path / "unbroken", seed=0)

    steps = []
    real_step = encoder_train._train_step

    def step_until_killed(*args):
        if len(steps) == killed_at:
            raise Killed
        steps.append(1)
        return real_step(*args)

    monkeypatch.setattr(encoder_train, "_train_step", step_until_killed)
    with pytest.raises(Killed):
        new_model("encoder", settings).fit(train, valid, work_dir=tmp_path / "broken", seed=0)
    monkeypatch.setattr(encoder_train, "_train_step", real_step)
    torch.manual_seed(999)  # another process has another random state
    resumed = new_model("encoder", settings)
    report = resumed.fit(train, valid, work_dir=tmp_path / "broken", seed=0)

    assert len(report.history) == 2
    expected = _states(unbroken)
    assert all(torch.equal(value, expected[name]) for name, value in _states(resumed).items())


def test_an_unknown_setting_is_refused_with_the_nearest_name():
    with pytest.raises(UserError, match=r"epoch: no such setting \(did you mean num_train_epochs\?\)"):
        EncoderModel({"epoch": 3})


def test_a_model_that_cannot_be_found_is_told_in_one_sentence(pair_maker, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = new_model("encoder", {"model_name_or_path": str(tmp_path / "nowhere")})
    with pytest.raises(UserError, match=r"encoder\.model_name_or_path: expected minilm, a folder or a name on the Hub"):
        model.fit(pair_maker(10, 0, told=True), pair_maker(10, 1, told=True), work_dir=tmp_path, seed=0)
