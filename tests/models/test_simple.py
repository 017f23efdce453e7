"""A model in two methods is fitted, saved and loaded as any other."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import Field

from competition_utils.errors import DamagedFile
from competition_utils.models.base import OWN, load_model, new_model, register_model
from competition_utils.models.crossfit import average_folds, fit_fold
from competition_utils.models.simple import SimpleModel
from competition_utils.settings.schema import Section


class SameThing(SimpleModel):
    """The rate of relevant rows where query and target share a word, and where they do not."""

    class schema(Section):
        least: float = Field(0.1, description="least score")

    def shared(self, pairs):
        return np.array(
            [bool({*q.split()} & {*t.split()}) for q, t in zip(pairs["query"], pairs["target"], strict=True)]
        )

    def learn(self, train, seed):
        labels, shared = train["label"].to_numpy(float), self.shared(train)
        return {"rates": np.array([labels[~shared].mean(), labels[shared].mean()])}

    def predict(self, pairs, learnt):
        return np.maximum(learnt["rates"][self.shared(pairs).astype(int)], self.settings.least)


@pytest.fixture
def kind():
    register_model("same_thing", SameThing)
    yield "same_thing"
    OWN.clear()


def test_it_reports_what_it_reaches_on_validation_rows(kind, pair_maker, tmp_path):
    report = new_model(kind, {}).fit(pair_maker(200, 0), pair_maker(100, 1), work_dir=tmp_path, seed=3)
    assert report.seed == 3 and report.history[-1]["valid_auc"] == 1.0


def test_a_saved_model_scores_as_before(kind, pair_maker, tmp_path):
    model = new_model(kind, {"least": 0.2})
    model.fit(pair_maker(200, 0), pair_maker(100, 1), work_dir=tmp_path, seed=0)
    held = pair_maker(50, 2)
    model.save(tmp_path)
    np.testing.assert_array_equal(load_model(tmp_path).score(held), model.score(held))
    assert model.score(held).min() == np.float32(0.2) and load_model(tmp_path, {"least": 0.3}).score(held).min() > 0.29


def test_a_changed_array_is_refused(kind, pair_maker, tmp_path):
    model = new_model(kind, {})
    model.fit(pair_maker(200, 0), pair_maker(100, 1), work_dir=tmp_path, seed=0)
    model.save(tmp_path)
    (tmp_path / "arrays.npz").write_bytes(b"")
    with pytest.raises(DamagedFile, match=r"arrays\.npz"):
        load_model(tmp_path)


def test_it_is_fitted_fold_by_fold(kind, pair_maker, tmp_path):
    train = pair_maker(200, 0).assign(fold=np.arange(200, dtype="int16") % 2)
    tables = {"train": train, "dev": pair_maker(40, 1)}
    for fold in (0, 1):
        assert fit_fold(new_model(kind, {}), tables, fold, folder=tmp_path, work_dir=tmp_path / "work", seed=0)
    scores = average_folds(tmp_path, [0, 1]).scores
    assert scores["split"].value_counts().to_dict() == {"valid": 200, "dev": 40}


def test_what_a_notebook_asks_of_it_is_there(kind, pair_maker, tmp_path):
    model, rows = new_model(kind, {"least": 0.2}), pair_maker(30, 0)
    network = model.add_adapter(model.load_base_model())
    trainer = model.make_trainer(network, model.training_rows(rows), rows, model.training_arguments(tmp_path))
    assert model.training_plan(trainer)["training rows"] == 30
    assert model.argument_table(trainer).loc["least"].tolist() == ["0.2", "0.1"]
    assert model.parameter_table(network).empty
    assert set(model.token_parts(rows.head(2))["part"]) == {"query", "target", "frame"}
    assert (model.token_lengths(rows) == 3).all()
