import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from competition_utils.errors import UserError
from competition_utils.models.base import load_model, new_model
from competition_utils.models.encoder.model import EncoderModel
from competition_utils.storage import read_sealed_json, write_sealed_json

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
        pair_maker(600, 0, in_target=True),
        pair_maker(200, 1, in_target=True),
        work_dir=tmp_path_factory.mktemp("work"),
        seed=0,
    )
    return model, report


def test_it_learns_a_separable_set(fitted, pair_maker):
    held = pair_maker(300, 2, in_target=True)
    assert roc_auc_score(held["label"].astype(int), fitted[0].score(held)) > 0.95


def test_history_tells_loss_and_auc_up_to_the_last_epoch(fitted):
    history = fitted[1].history
    assert history[-1]["epoch"] == 3.0
    assert history[-1]["loss"] < history[0]["loss"]


def test_a_saved_model_scores_as_before(fitted, pair_maker, tmp_path):
    held = pair_maker(64, 2, in_target=True)
    fitted[0].save(tmp_path)
    np.testing.assert_allclose(load_model(tmp_path).score(held), fitted[0].score(held), atol=1e-6)


def test_a_model_saved_before_input_text_was_a_setting_reads_both_texts_as_it_was_fitted(fitted, tmp_path):
    fitted[0].save(tmp_path)
    saved = read_sealed_json(tmp_path / "model.json")
    del saved["settings"]["input_text"]
    write_sealed_json(tmp_path / "model.json", saved)
    assert load_model(tmp_path).settings.input_text == "both"


def test_a_title_is_scored_by_its_english(fitted, pair_maker):
    held = pair_maker(64, 2, in_target=True)
    foreign = held.assign(target="ไม่รู้", target_en=held["target"])
    np.testing.assert_allclose(fitted[0].score(foreign), fitted[0].score(held), atol=1e-6)


def test_a_row_alone_scores_as_among_others(fitted, pair_maker):
    held = pair_maker(40, 2, in_target=True)
    together = fitted[0].score(held)
    alone = np.concatenate([fitted[0].score(held.iloc[[row]]) for row in range(len(held))])
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_the_order_of_rows_does_not_change_their_scores(fitted, pair_maker):
    held = pair_maker(100, 2, in_target=True)
    shuffled = held.sample(frac=1, random_state=0)
    np.testing.assert_allclose(fitted[0].score(shuffled), fitted[0].score(held)[shuffled.index], atol=1e-5)


def test_an_unknown_setting_is_refused_with_the_nearest_name():
    with pytest.raises(UserError, match=r"epoch: no such setting \(did you mean num_train_epochs\?\)"):
        EncoderModel({"epoch": 3})


def test_a_model_that_cannot_be_found_is_reported_in_one_sentence(pair_maker, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = new_model("encoder", {"model_name_or_path": str(tmp_path / "nowhere")})
    with pytest.raises(UserError, match=r"encoder\.model_name_or_path: expected minilm, .* on the Hub"):
        model.fit(pair_maker(10, 0, in_target=True), pair_maker(10, 1, in_target=True), work_dir=tmp_path, seed=0)


def test_the_auc_of_both_tasks_is_the_mean_of_theirs(monkeypatch):
    valid = pd.DataFrame({"task": ["QC", "QC", "QI", "QI"], "label": [0, 1, 0, 1]})
    monkeypatch.setattr(EncoderModel, "_score_with", lambda *_: np.array([0.1, 0.2, 0.8, 0.9]))  # pooled: 0.75
    assert EncoderModel({}).evaluate(None, valid) == {"auc": 1.0}
