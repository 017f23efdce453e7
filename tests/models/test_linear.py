import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.metrics import roc_auc_score

from competition_utils.models.base import load_model, new_model
from competition_utils.models.linear import HINT_BITS, cross_words


def test_it_learns_which_words_go_together(pair_maker, tmp_path):
    model = new_model("linear", {})
    model.fit(pair_maker(1500, 0), pair_maker(300, 1), work_dir=tmp_path, seed=0)
    held = pair_maker(500, 2)
    assert roc_auc_score(held["label"].astype(int), model.score(held)) > 0.95


def test_a_saved_model_scores_as_before(pair_maker, tmp_path):
    model = new_model("linear", {})
    model.fit(pair_maker(600, 0), pair_maker(200, 1), work_dir=tmp_path, seed=0)
    held = pair_maker(100, 2)
    model.save(tmp_path)
    np.testing.assert_array_equal(load_model(tmp_path).score(held), model.score(held))


@pytest.mark.parametrize("text", ["query", "target"])
def test_the_english_of_a_query_or_title_counts_where_there_is_one(text, pair_maker, tmp_path):
    model = new_model("linear", {})
    model.fit(pair_maker(1500, 0), pair_maker(300, 1), work_dir=tmp_path, seed=0)
    held = pair_maker(400, 2)
    foreign = held.assign(**{f"{text}_en": held[text], text: "ไม่รู้"})
    assert roc_auc_score(held["label"].astype(int), model.score(foreign)) > 0.9


def test_titles_that_are_english_are_scored_as_without_the_column(pair_maker, tmp_path):
    model = new_model("linear", {})
    model.fit(pair_maker(600, 0), pair_maker(200, 1), work_dir=tmp_path, seed=0)
    held = pair_maker(100, 2)
    np.testing.assert_array_equal(model.score(held.assign(target_en="")), model.score(held))


def test_crossed_words_are_each_query_word_with_each_target_word():
    queries = sparse.csr_matrix(np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]]))
    targets = sparse.csr_matrix(np.array([[0, 1, 1], [1, 0, 0], [1, 1, 1]]))
    crossed = cross_words(queries, targets)
    assert np.diff(crossed.indptr).tolist() == [4, 1, 0]
    np.testing.assert_allclose(crossed.multiply(crossed).sum(axis=1).A1 if hasattr(crossed, "A1") else
                               np.asarray(crossed.multiply(crossed).sum(axis=1)).ravel(), [1, 1, 0])  # fmt: skip


def test_the_same_two_words_cross_to_the_same_feature_in_every_row():
    one = sparse.csr_matrix(np.array([[1, 0], [1, 1]]))
    crossed = cross_words(one, sparse.csr_matrix(np.array([[0, 1], [0, 1]])))
    assert set(crossed[0].indices) <= set(crossed[1].indices)


def test_a_light_row_moves_the_fit_less(pair_maker, tmp_path):
    clean, wrong = pair_maker(800, 0), pair_maker(800, 3)
    wrong = wrong.assign(label=1 - wrong["label"], weight=np.float32(0.01))
    model = new_model("linear", {})
    model.fit(pd.concat([clean, wrong]), pair_maker(200, 1), work_dir=tmp_path, seed=0)
    held = pair_maker(400, 2)
    assert roc_auc_score(held["label"].astype(int), model.score(held)) > 0.9


def test_a_hint_decides_where_the_words_say_nothing(pair_maker, tmp_path):
    def hinted(rows):
        said = np.where(rows["label"] == 1, "same parent none 9 lamps", "sibling cousin none 9 lamps")
        return rows.assign(query="a", query_en="", target="b", category_hint=said)

    model = new_model("linear", {})
    model.fit(hinted(pair_maker(300, 0)), hinted(pair_maker(100, 1)), work_dir=tmp_path, seed=0)
    held = hinted(pair_maker(100, 2))
    assert roc_auc_score(held["label"].astype(int), model.score(held)) == 1.0


def test_a_model_of_a_release_without_hints_is_read_and_scores_as_before(pair_maker, tmp_path):
    model = new_model("linear", {})
    model.fit(pair_maker(300, 0), pair_maker(100, 1), work_dir=tmp_path, seed=0)
    held, whole = pair_maker(50, 2), model.weights
    model.weights = whole[: -(2**HINT_BITS)]  # as that release saved them
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    model.weights = whole
    np.testing.assert_array_equal(loaded.score(held), model.score(held))
