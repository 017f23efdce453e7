import numpy as np
import pandas as pd
import pytest

from competition_utils.decide.compare import check_same_labels, common_rows, compare_means, compare_predictions
from competition_utils.errors import DataError, UserError


def labelled(rows=600):
    labels = np.random.default_rng(0).integers(0, 2, rows)
    return pd.DataFrame({"id": range(rows), "query": [f"q{i // 2}" for i in range(rows)], "label": labels})


def decided(table, wrong):
    """Decisions of which a share is wrong."""
    flip = np.random.default_rng(1).random(len(table)) < wrong
    return pd.DataFrame({"id": table["id"], "prediction": table["label"].to_numpy() ^ flip})


def test_a_run_that_is_better_has_a_small_p_value_and_an_interval_above_zero():
    table = labelled()
    compared = compare_predictions(common_rows({"a": decided(table, 0.3), "b": decided(table, 0.05)}, table))
    better = compared.table.loc["b"]
    assert better["p_value"] < 0.01
    assert 0 < better["difference_low"] < better["difference"] < better["difference_high"]


def test_a_run_does_not_differ_from_its_copy():
    table = labelled()
    copies = {"a": decided(table, 0.2), "b": decided(table, 0.2)}
    assert compare_predictions(common_rows(copies, table)).table.loc["b", "p_value"] == 1


def test_p_values_of_runs_that_do_not_truly_differ_are_spread_evenly():
    rng, values = np.random.default_rng(3), []
    for _ in range(60):
        table = labelled(300).assign(label=rng.integers(0, 2, 300))
        runs = {name: table["label"] ^ (rng.random(300) < 0.2) for name in "ab"}
        values.append(compare_predictions(table.assign(**runs), resamples=200).table.loc["b", "p_value"])
    assert np.mean(np.array(values) < 0.1) < 0.25
    assert 0.35 < np.mean(values) < 0.65


def test_only_rows_that_all_runs_decided_are_compared():
    table = labelled(10)
    runs = {"a": decided(table, 0.1).head(7), "b": decided(table, 0.1).tail(6)}
    assert common_rows(runs, table)["id"].tolist() == [4, 5, 6]


def test_runs_without_a_row_in_common_are_refused():
    table = labelled(10)
    with pytest.raises(UserError, match="found none"):
        common_rows({"a": decided(table, 0.1).head(3), "b": decided(table, 0.1).tail(3)}, table)


def test_one_run_has_nothing_to_be_compared_with():
    with pytest.raises(UserError, match="two runs or more"):
        common_rows({"a": decided(labelled(), 0.1)}, labelled())


@pytest.mark.parametrize("changes", [{"label": 2}, {"query": "other"}])
def test_runs_on_other_data_are_refused(changes):
    with pytest.raises(DataError, match="same data"):
        check_same_labels(labelled(), labelled().assign(**changes), "run b, QC dev")


def test_the_mean_of_tasks_is_compared_too():
    table = labelled()
    rows = common_rows({"a": decided(table, 0.3), "b": decided(table, 0.1)}, table)
    one, other = compare_predictions(rows, seed=0), compare_predictions(rows.iloc[::2], seed=1)
    mean = compare_means({"QC": one, "QI": other})
    assert mean.loc["b", "f1"] == pytest.approx((one.table.loc["b", "f1"] + other.table.loc["b", "f1"]) / 2)
    assert mean.loc["b", "difference_low"] > 0
