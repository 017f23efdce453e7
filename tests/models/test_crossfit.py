import numpy as np
import pandas as pd
import pytest

from competition_utils.errors import UserError
from competition_utils.models import crossfit as room
from competition_utils.models.crossfit import crossfit
from competition_utils.models.linear import LinearModel


@pytest.fixture
def tables(pair_maker):
    train = pair_maker(300, 0).assign(fold=(np.arange(300) % 3).astype("int16"))
    created = train.head(60).assign(id=np.arange(1001, 1061), source="translated")
    return {"train": pd.concat([train, created]), "dev": pair_maker(50, 1), "test": pair_maker(40, 2)}


def _fit(tables, folder, fit_folds=(0, 2)):
    work = {"folder": folder / "models", "work_dir": folder / "work"}
    return crossfit("linear", {}, tables, fit_folds=fit_folds, seed=0, **work)


def test_validation_rows_are_the_original_rows_of_the_fitted_folds(tables, tmp_path):
    scores = _fit(tables, tmp_path).scores
    valid = scores[scores["split"] == "valid"]
    train = tables["train"]
    expected = train[train["fold"].isin([0, 2]) & (train["source"] == "original")]
    assert sorted(valid["id"]) == sorted(expected["id"])


def test_dev_and_test_rows_come_once_with_the_mean_of_the_folds(tables, tmp_path):
    both, first, last = (_fit(tables, tmp_path / name, folds).scores for name, folds in
                         (("both", (0, 2)), ("first", (0,)), ("last", (2,))))  # fmt: skip
    dev = [scores[scores["split"] == "dev"].set_index("id")["score"] for scores in (both, first, last)]
    np.testing.assert_allclose(dev[0], (dev[1] + dev[2]) / 2, atol=1e-6)


def test_a_finished_fold_is_not_fitted_again(tables, tmp_path, monkeypatch):
    before = _fit(tables, tmp_path).scores

    def refuse(*_):
        raise AssertionError("fitted again")

    monkeypatch.setattr(room, "new_model", refuse)
    pd.testing.assert_frame_equal(_fit(tables, tmp_path).scores, before)


def test_a_fold_that_is_not_there_is_refused(tables, tmp_path):
    with pytest.raises(UserError, match=r"fit_folds: expected one or more of \[0, 1, 2\], found \[5\]"):
        _fit(tables, tmp_path, (5,))


def test_rows_of_the_other_task_are_seen_by_every_fit_and_scored_by_none(tables, tmp_path, monkeypatch):
    seen = []

    class Recorder(LinearModel):
        def fit(self, train, valid, **more):
            seen.append((train["task"].value_counts().to_dict(), set(valid["task"])))
            return super().fit(train, valid, **more)

    monkeypatch.setattr(room, "new_model", lambda kind, settings: Recorder(settings))
    other = tables["dev"].assign(task="QC", fold=np.int16(0))
    work = {"folder": tmp_path / "models", "work_dir": tmp_path / "work"}
    scores = crossfit("linear", {}, tables, fit_folds=[0], seed=0, other_task=other, **work).scores
    assert seen == [({"QI": 240, "QC": 50}, {"QI"})]
    assert set(scores["task"]) == {"QI"}
