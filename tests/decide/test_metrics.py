import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score as sklearn_f1
from sklearn.metrics import roc_auc_score

from competition_utils.decide.metrics import basic_metrics, evaluate, f1_mean, f1_score, metrics_table
from competition_utils.decide.resample import (
    group_draws,
    interval,
    paired_p_value,
    query_groups,
    resampled_auc,
    resampled_sums,
)
from competition_utils.errors import UserError

BITS = hnp.arrays(np.int64, 12, elements=st.integers(0, 1))


def decided(rows=400, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, rows)
    scores = np.clip(0.4 * labels + 0.6 * rng.random(rows), 0, 1).astype(np.float32)
    return pd.DataFrame(
        {
            "language": rng.choice(["en", "fr", "pl"], rows),
            "query": [f"query {i}" for i in rng.integers(0, rows // 3, rows)],
            "label": labels,
            "score": scores,
            "threshold": 0.5,
            "prediction": (scores >= 0.5).astype(int),
        }
    )


@given(BITS, BITS)
def test_f1_is_the_one_of_scikit_learn(labels, predictions):
    assert f1_score(labels, predictions) == pytest.approx(sklearn_f1(labels, predictions, zero_division=0))


def test_basic_metrics_of_a_case_worked_out_by_hand():
    # Sorted by score: 1 0 1 0; three pairs of four in the right order; precision 1/1 and 2/3 at the relevant
    # rows.
    figures = basic_metrics(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1]), np.array([1, 1, 1, 0]))
    assert figures == pytest.approx(
        {
            "rows": 4,
            "positive_rate": 0.5,
            "f1": 4 / 5,
            "precision": 2 / 3,
            "recall": 1.0,
            "auc": 3 / 4,
            "average_precision": (1 + 2 / 3) / 2,
            "all_positive_f1": 2 / 3,
        }
    )


def test_rows_of_one_class_have_no_auc():
    figures = basic_metrics(np.ones(3, dtype=int), np.array([0.1, 0.2, 0.3]), np.array([0, 1, 1]))
    assert figures["auc"] is None
    assert figures["average_precision"] is None


def test_evaluate_tells_each_language_and_which_were_seen():
    table = decided()
    entry = evaluate(table, seen_languages=["en", "fr"], resamples=50)
    assert list(entry["by_language"]) == ["en", "fr", "pl"]
    assert [figures["seen"] for figures in entry["by_language"].values()] == [True, True, False]
    polish = table[table["language"] == "pl"]
    assert entry["unseen_language_f1"] == pytest.approx(f1_score(polish["label"], polish["prediction"]))
    assert entry["by_language"]["pl"]["rows"] == len(polish)


def test_evaluate_has_the_keys_that_the_contract_names():
    entry = evaluate(decided(), seen_languages=["en"], resamples=20)
    contract = {"f1", "precision", "recall", "auc", "average_precision", "threshold", "all_positive_f1"}
    assert contract | {"by_language", "unseen_language_f1", "rows"} <= set(entry)
    assert contract | {"rows"} <= set(entry["by_language"]["fr"])


def test_without_unseen_languages_their_f1_is_none():
    assert evaluate(decided(), seen_languages=["en", "fr", "pl"], resamples=20)["unseen_language_f1"] is None


def test_the_baseline_stands_beside_every_figure():
    table = decided().assign(linear_score=np.float32(0.5), linear_prediction=1)
    entry = evaluate(table, seen_languages=["en"], resamples=20)
    assert entry["linear_f1"] == pytest.approx(entry["all_positive_f1"])
    assert all(figures["linear_f1"] == figures["all_positive_f1"] for figures in entry["by_language"].values())


def test_figures_are_split_by_category_and_source_where_these_are_known():
    table = decided()
    table = table.assign(category_seen=table["label"] == 1, source="original")
    entry = evaluate(table, resamples=20)
    assert entry["by_category_kind"]["unseen"]["positive_rate"] == 0
    assert entry["by_source"]["original"]["rows"] == len(table)


def test_the_interval_holds_the_figure_and_narrows_with_rows():
    few, many = (evaluate(decided(rows), resamples=200) for rows in (200, 5000))
    for entry in (few, many):
        assert entry["f1_interval"][0] < entry["f1"] < entry["f1_interval"][1]
    assert np.ptp(many["f1_interval"]) < np.ptp(few["f1_interval"]) / 3


@pytest.mark.parametrize("figure", ["precision", "recall", "auc"])
def test_precision_recall_and_auc_have_an_interval_as_f1_has(figure):
    few, many = (evaluate(decided(rows), resamples=200) for rows in (200, 5000))
    for entry in (few, many):
        low, high = entry[f"{figure}_interval"]
        assert low < entry[figure] < high
    assert np.ptp(many[f"{figure}_interval"]) < np.ptp(few[f"{figure}_interval"]) / 3


def test_rows_of_one_class_have_no_interval_of_auc():
    table = decided()
    entry = evaluate(table[table["label"] == 1], resamples=20)
    assert entry["auc"] is None and entry["auc_interval"] is None
    assert metrics_table(entry).loc["all languages", "auc_interval"] == ""


def test_the_table_tells_intervals_as_text():
    entry = evaluate(decided(), resamples=20)
    low, high = entry["by_language"]["en"]["auc_interval"]
    assert metrics_table(entry).loc["en", "auc_interval"] == f"{low:.3f}–{high:.3f}"


# Few different scores, so that many tie; few groups, so that some samples have one class only.
ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 4)), min_size=2, max_size=30)


def columns_of(rows):
    labels, scores, groups = (np.array(column) for column in zip(*rows, strict=True))
    return labels, scores / 6, groups


@settings(max_examples=40)
@given(rows=ROWS, seed=st.integers(0, 5))
def test_resampled_auc_is_that_of_scikit_learn_with_the_draws_as_weights(rows, seed):
    labels, scores, groups = columns_of(rows)
    found = resampled_auc(labels, scores, groups, 10, seed)
    draws = np.concatenate(list(group_draws(groups.max() + 1, 10, seed)))
    for weights, auc in zip(draws[:, groups], found, strict=True):
        if len(set(labels[weights > 0])) == 2:
            assert auc == pytest.approx(roc_auc_score(labels, scores, sample_weight=weights), abs=1e-12)
        else:
            assert np.isnan(auc)


@given(rows=ROWS)
def test_resampled_auc_of_reversed_scores_is_the_rest_to_one(rows):
    labels, scores, groups = columns_of(rows)
    both = resampled_auc(labels, scores, groups, 10) + resampled_auc(labels, -scores, groups, 10)
    np.testing.assert_allclose(both[~np.isnan(both)], 1)


@given(rows=ROWS)
def test_resampled_auc_depends_on_the_order_of_scores_alone(rows):
    labels, scores, groups = columns_of(rows)
    found, bent = (resampled_auc(labels, each, groups, 10) for each in (scores, np.exp(3 * scores)))
    np.testing.assert_array_equal(found, bent)


@given(rows=ROWS, order=st.randoms(use_true_random=False))
def test_resampled_auc_does_not_depend_on_the_order_of_rows(rows, order):
    shuffled = order.sample(rows, len(rows))
    found, again = (resampled_auc(*columns_of(each), 10) for each in (rows, shuffled))
    np.testing.assert_allclose(found, again)


def test_a_missing_score_is_refused():
    table = decided()
    table.loc[3, "score"] = np.nan
    with pytest.raises(UserError, match="finite numbers"):
        evaluate(table)


def test_a_missing_column_is_named():
    with pytest.raises(UserError, match="missing threshold"):
        evaluate(decided().drop(columns="threshold"))


def test_the_table_of_languages_ends_with_all_of_them():
    table = metrics_table(evaluate(decided(), resamples=20))
    assert list(table.index) == ["en", "fr", "pl", "all languages"]
    assert table.loc["all languages", "rows"] == 400


def test_f1_mean_is_the_plain_mean_of_the_tasks():
    assert f1_mean({"QC": {"f1": 0.8}, "QI": {"f1": 0.9}}) == pytest.approx(0.85)


def test_f1_mean_of_one_task_alone_is_none():
    assert f1_mean({"QC": {"f1": 0.8}}) is None


def test_queries_that_differ_in_case_and_blanks_are_one_group():
    assert query_groups(pd.Series(["Red shoe", "nan", " red SHOE "])).tolist() == [0, 1, 0]


def test_each_resample_draws_as_many_groups_as_there_are():
    draws = np.concatenate(list(group_draws(groups=30, resamples=7, seed=1)))
    assert draws.shape == (7, 30)
    assert (draws.sum(axis=1) == 30).all()


def test_resampled_sums_are_those_of_the_rows_drawn():
    values, groups = np.array([[1, 10], [2, 20], [4, 40]]), np.array([0, 1, 0])
    draws = next(group_draws(groups=2, resamples=5, seed=3))
    expected = [[5 * a + 2 * b, 50 * a + 20 * b] for a, b in draws]
    np.testing.assert_allclose(resampled_sums(values, groups, resamples=5, seed=3), expected)


def test_the_bootstrap_interval_of_a_mean_agrees_with_the_normal_one():
    values = np.random.default_rng(0).normal(size=(2000, 1))
    sums = resampled_sums(values, np.arange(2000), resamples=2000)[:, 0] / 2000
    low, high = interval(sums)
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(2000), rel=0.1)


def test_a_difference_that_never_changes_sign_has_the_smallest_p_value():
    assert paired_p_value(np.full(999, 0.1)) == pytest.approx(2 / 1000)
    assert paired_p_value(np.zeros(999)) == 1.0
