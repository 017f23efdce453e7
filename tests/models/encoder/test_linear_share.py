"""Linear models that have a share in an encoder's scores."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from competition_utils.errors import UserError
from competition_utils.models.base import load_model, new_model
from competition_utils.models.encoder.linear_share import LinearShare


@pytest.fixture(scope="module")
def fitted(tiny_encoder, pair_maker, tmp_path_factory):
    settings = {"model_name_or_path": tiny_encoder, "linear_share": 0.3, "max_steps": 2, "dtype": "float32"}
    model = new_model("encoder", settings | {"collapse_auc": 0.0})
    train, valid = (pair_maker(rows, seed, in_target=True) for rows, seed in ((200, 0), (60, 1)))
    model.fit(train, valid, work_dir=tmp_path_factory.mktemp("work"), seed=0)
    return model, train, valid


def constant(score: float) -> SimpleNamespace:
    return SimpleNamespace(score=lambda pairs: np.full(len(pairs), score, dtype=np.float32))


def test_logits_are_weighted_and_a_task_without_a_linear_model_keeps_its_scores():
    pairs = pd.DataFrame({"task": ["QC", "QI", "QC"]})
    mixed = LinearShare({"QC": constant(0.2)}).mixed(np.float32([0.8, 0.6, 0.5]), pairs, 0.25)
    # .75 · log 4 − .25 · log 4 = log 2, so 2/3; −.25 · log 4 = −log √2, so 1/(1 + √2)
    np.testing.assert_allclose(mixed, [2 / 3, 0.6, 1 / (1 + 2**0.5)], atol=1e-6)


def test_scores_of_0_and_1_stay_finite():
    mixed = LinearShare({"QC": constant(0.0)}).mixed(np.float32([1.0, 0.0]), pd.DataFrame({"task": ["QC"] * 2}), 0.5)
    np.testing.assert_allclose(mixed, [0.5, 1e-6], atol=1e-3)


def test_each_task_has_a_linear_model_fitted_on_its_own_rows(pair_maker, tmp_path):
    both = pd.concat([pair_maker(80, seed, in_target=True).assign(task=task) for seed, task in enumerate(("QC", "QI"))])
    share = LinearShare.fitted(both, both, work_dir=tmp_path, seed=0)
    alone = new_model("linear", {})
    of_qc = both[both["task"] == "QC"]
    alone.fit(of_qc, of_qc, work_dir=tmp_path, seed=0)
    assert sorted(share.models) == ["QC", "QI"]
    np.testing.assert_array_equal(share.models["QC"].score(of_qc), alone.score(of_qc))


def test_an_encoder_with_a_share_scores_by_both(fitted, tmp_path):
    model, train, valid = fitted
    linear = new_model("linear", {})
    linear.fit(train, valid, work_dir=tmp_path, seed=0)
    network = model._score_with(model.network, valid).astype(np.float64)
    np.testing.assert_allclose(
        model.score(valid), expit(0.7 * logit(network) + 0.3 * logit(linear.score(valid))), atol=1e-5
    )


def test_a_saved_encoder_keeps_its_linear_models_and_their_settings_with_it(fitted, tmp_path):
    model, _, valid = fitted
    model.save(tmp_path)
    np.testing.assert_allclose(load_model(tmp_path).score(valid), model.score(valid), atol=1e-6)
    task = valid["task"].iloc[0]
    saved = (tmp_path / "model.json").read_text()
    assert f"linear/{task}/weights.npz" in saved and f"linear/{task}/model.json" in saved


def test_a_share_given_to_a_model_without_linear_models_is_refused(tiny_encoder, pair_maker, tmp_path):
    model = new_model("encoder", {"model_name_or_path": tiny_encoder, "max_steps": 1, "collapse_auc": 0.0})
    rows = pair_maker(40, 0, in_target=True)
    model.fit(rows, rows, work_dir=tmp_path / "work", seed=0)
    (tmp_path / "saved").mkdir()
    model.save(tmp_path / "saved")
    with pytest.raises(UserError, match=r"encoder\.linear_share: expected 0 .*found 0\.3"):
        load_model(tmp_path / "saved", {"linear_share": 0.3})


def test_without_a_share_nothing_linear_is_fitted_or_saved(tiny_encoder, pair_maker, tmp_path):
    model = new_model("encoder", {"model_name_or_path": tiny_encoder, "max_steps": 1, "collapse_auc": 0.0})
    rows = pair_maker(40, 0, in_target=True)
    model.fit(rows, rows, work_dir=tmp_path / "work", seed=0)
    (tmp_path / "saved").mkdir()
    model.save(tmp_path / "saved")
    assert not (tmp_path / "saved" / "linear").exists()
