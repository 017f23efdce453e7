import numpy as np
import pandas as pd
import pytest

from competition_utils.errors import UserError
from competition_utils.models.base import load_model
from competition_utils.models.crossfit import average_folds, fit_fold
from competition_utils.models.linear import LinearModel
from competition_utils.storage import read_json


@pytest.fixture
def tables(pair_maker):
    train = pair_maker(300, 0).assign(fold=(np.arange(300) % 3).astype("int16"))
    created = train.head(60).assign(id=np.arange(1001, 1061), source="translated")
    return {"train": pd.concat([train, created]), "dev": pair_maker(50, 1), "test": pair_maker(40, 2)}


class CountingModel(LinearModel):
    """Remembers the tables of each fit."""

    def __init__(self, *settings):
        super().__init__(*settings)
        self.fits = []

    def fit(self, train, valid, **more):
        self.fits.append((train, valid))
        return super().fit(train, valid, **more)


def fit_folds(tables, folder, folds=(0, 2), fitter=None, seed=0, **more):
    fitter = fitter or CountingModel()
    for fold in folds:
        fit_fold(fitter, tables, fold, folder=folder / "models", work_dir=folder / "work", seed=seed, **more)
    return average_folds(folder / "models", folds)


def test_validation_rows_are_the_original_rows_of_the_fitted_folds(tables, tmp_path):
    scores = fit_folds(tables, tmp_path).scores
    valid = scores[scores["split"] == "valid"]
    train = tables["train"]
    expected = train[train["fold"].isin([0, 2]) & (train["source"] == "original")]
    assert sorted(valid["id"]) == sorted(expected["id"])


def test_dev_and_test_rows_come_once_with_the_mean_of_the_folds(tables, tmp_path):
    both, first, last = (fit_folds(tables, tmp_path / name, folds).scores for name, folds in
                         (("both", (0, 2)), ("first", (0,)), ("last", (2,))))  # fmt: skip
    dev = [scores[scores["split"] == "dev"].set_index("id")["score"] for scores in (both, first, last)]
    np.testing.assert_allclose(dev[0], (dev[1] + dev[2]) / 2, atol=1e-6)


@pytest.mark.parametrize("way", ["as it is", "by assignment of the same"])
def test_a_finished_fold_is_not_fitted_again(tables, tmp_path, way):
    before = fit_folds(tables, tmp_path).scores
    again = CountingModel()
    if way != "as it is":
        again.estimator.C = float(again.settings.C)
    pd.testing.assert_frame_equal(fit_folds(tables, tmp_path, fitter=again).scores, before)
    assert again.fits == []


@pytest.mark.parametrize("name", ["fold.json", "fit.json", "model.json", "weights.npz", "scores.parquet"])
def test_a_fold_with_a_file_that_is_not_as_it_was_is_fitted_again(tables, tmp_path, name):
    before = fit_folds(tables, tmp_path, [0]).scores
    path = tmp_path / "models" / "fold0" / name
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 1
    path.write_bytes(content)
    again = CountingModel()
    pd.testing.assert_frame_equal(fit_folds(tables, tmp_path, [0], again).scores, before)
    assert len(again.fits) == 1


def test_a_fold_whose_parts_were_edited_is_fitted_again_and_the_saved_model_knows_the_edits(tables, tmp_path):
    before = fit_folds(tables, tmp_path, [0]).scores
    edited = CountingModel()
    edited.estimator.C = 1e-3
    after = fit_folds(tables, tmp_path, [0], edited).scores
    assert len(edited.fits) == 1 and not after["score"].equals(before["score"])
    saved = load_model(tmp_path / "models" / "fold0")
    assert saved.edits() == {"estimator": {"C": 1e-3}} and saved.estimator.C == 1e-3


@pytest.mark.parametrize("change", ["rows", "seed"])
def test_a_fold_of_other_rows_or_seed_is_fitted_again(tables, tmp_path, change):
    fit_folds(tables, tmp_path, [0])
    other = tables | {"train": tables["train"].iloc[1:]} if change == "rows" else tables
    fitter = CountingModel()
    fit_folds(other, tmp_path, [0], fitter, seed=int(change == "seed"))
    assert len(fitter.fits) == 1


def test_a_fold_that_is_not_there_is_refused(tables, tmp_path):
    with pytest.raises(UserError, match=r"fit_folds: expected folds of \[0, 1, 2\], found 5"):
        fit_folds(tables, tmp_path, (5,))


def test_rows_of_the_other_task_are_seen_by_every_fit_and_scored_by_none(tables, tmp_path):
    fitter = CountingModel()
    other = tables["dev"].assign(task="QC", fold=np.int16(0))
    scores = fit_folds(tables, tmp_path, [0], fitter, other_task=other).scores
    ((train, valid),) = fitter.fits
    assert train["task"].value_counts().to_dict() == {"QI": 240, "QC": 50} and set(valid["task"]) == {"QI"}
    assert set(scores["task"]) == {"QI"}


def test_files_beside_a_model_belong_to_it_and_others_make_another_fit(tables, tmp_path):
    (beside := tmp_path / "categories.json").write_text('["a"]')
    fit_folds(tables, tmp_path, (0,), beside=[beside])
    fold = tmp_path / "models" / "fold0"
    assert read_json(fold / "categories.json") == ["a"]
    beside.write_text('["b"]')
    fitter = CountingModel()
    fit_folds(tables, tmp_path, (0,), fitter=fitter, beside=[beside])
    assert len(fitter.fits) == 1 and read_json(fold / "categories.json") == ["b"]
    (fold / "categories.json").write_text("{}")
    with pytest.raises(UserError, match=r"categories\.json"):
        load_model(fold)
