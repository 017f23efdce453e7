import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit

from competition_utils.decide.blend import HOWS, align, blend, simplex_weights, to_ranks
from competition_utils.errors import DataError, UserError

ROWS = 1500


def member(noise, seed, labels, **changes):
    """Scores of one run: valid rows, then half as many of dev."""
    rng = np.random.default_rng(seed)
    scores = expit(2 * (labels - 0.5) + rng.normal(0, noise, len(labels)))
    table = pd.DataFrame({"id": np.arange(len(labels)) + 1, "task": "QC", "language": "en"})
    split = np.where(np.arange(len(labels)) < ROWS, "valid", "dev")
    fold = np.where(split == "valid", np.arange(len(labels)) % 5, -1)
    return table.assign(score=scores.astype(np.float32), fold=fold, split=split).assign(**changes)


@pytest.fixture(scope="module")
def labels():
    return np.random.default_rng(9).integers(0, 2, ROWS + ROWS // 2)


@pytest.fixture(scope="module")
def runs(labels):
    """Two runs that err independently, and one that only echoes the first."""
    first = member(1.0, 1, labels)
    echo = first.assign(score=(first["score"] * 0.9).astype(np.float32))
    return {"first": first, "second": member(1.0, 2, labels), "echo": echo}


def blended(runs, labels, **how):
    return blend(align(runs), labels[:ROWS], np.arange(ROWS), resamples=200, **how)


@pytest.mark.parametrize("how", HOWS)
def test_independent_runs_are_certainly_better_together(runs, labels, how):
    made = blended({name: runs[name] for name in ("first", "second")}, labels, how=how)
    assert made.gain.significant
    assert made.members["kept"].all()


@pytest.fixture(scope="module")
def three(runs, labels):
    return blended(runs, labels)


def test_a_member_that_only_echoes_another_is_dropped_but_for_bad_luck():
    kept = 0
    for seed in range(4):
        labels = np.random.default_rng(seed).integers(0, 2, ROWS)
        first, second = member(1.0, 10 + seed, labels), member(1.0, 50 + seed, labels)
        echo = first.assign(score=(first["score"] * 0.9).astype(np.float32))
        made = blended({"first": first, "second": second, "echo": echo}, labels)
        assert made.members.loc["second", "kept"]
        kept += made.members["kept"].all()
    assert kept <= 1


def test_a_dropped_member_has_no_weight(labels):
    runs = {"good": member(0.7, 1, labels), "noise": member(200.0, 2, labels)}
    assert blended(runs, labels).members["weight"].tolist() == [1, 0]


def test_weights_lie_on_the_simplex(three):
    assert three.members["weight"].sum() == pytest.approx(1)
    assert (three.members["weight"] >= 0).all()


def test_correlation_tells_who_echoes_whom(three):
    assert three.correlation.loc["first", "echo"] == pytest.approx(1)
    assert three.correlation.loc["first", "second"] < 0.9


def test_the_blend_is_a_scores_table_of_all_rows(three, runs):
    assert list(three.scores) == ["id", "task", "language", "score", "fold", "split"]
    assert three.scores[["id", "fold", "split"]].equals(runs["first"][["id", "fold", "split"]])
    assert three.scores["score"].between(0, 1).all()
    assert three.scores["score"].dtype == np.float32


def test_where_no_member_helps_the_best_one_stays_as_it_is(labels):
    runs = {"good": member(0.7, 1, labels), "noise": member(200.0, 2, labels)}
    made = blended(runs, labels)
    assert made.members["kept"].tolist() == [True, False]
    np.testing.assert_allclose(made.scores["score"], runs["good"]["score"])
    assert made.gain.value == 0


@given(hnp.arrays(np.float64, (10, 2), elements=st.integers(0, 100).map(lambda i: i / 100), unique=True))
def test_ranks_keep_the_order_of_scores(scores):
    ranks = to_ranks(scores, scores)
    assert (np.argsort(ranks, axis=0) == np.argsort(scores, axis=0)).all()


def test_a_rank_does_not_hang_on_the_other_rows():
    valid = np.array([[0.1], [0.2], [0.3], [0.4]])
    assert to_ranks(valid, np.array([[0.25]])).tolist() == to_ranks(valid, np.array([[0.25], [0.9]]))[:1].tolist()


def test_a_useless_input_gets_no_weight(labels):
    inputs = np.column_stack([member(0.5, 1, labels)["score"], np.random.default_rng(0).random(len(labels))])
    assert simplex_weights(labels, inputs)[0] >= 0.9


def test_a_stack_scores_a_language_that_it_has_no_labels_of(runs, labels):
    pair = {name: runs[name].copy() for name in ("first", "second")}
    for table in pair.values():
        table.loc[table["split"] == "dev", "language"] = "pl"
    made = blended(pair, labels, how="stack")
    assert made.scores.loc[made.scores["language"] == "pl", "score"].nunique() > 100


@pytest.mark.parametrize(
    "changes",
    [{"fold": 0}, {"language": "fr"}, {"id": np.arange(ROWS + ROWS // 2) + 2}],
    ids=["folds", "languages", "ids"],
)
def test_runs_whose_rows_differ_are_refused(labels, changes):
    runs = {"one": member(1.0, 1, labels), "two": member(1.0, 2, labels, **changes)}
    with pytest.raises(DataError, match="same rows in the same folds"):
        align(runs)


def test_one_run_cannot_be_blended(labels):
    with pytest.raises(UserError, match="two runs or more"):
        align({"one": member(1.0, 1, labels)})


def test_an_unknown_way_is_refused(runs, labels):
    with pytest.raises(UserError, match="found 'magic'"):
        blended(runs, labels, how="magic")
