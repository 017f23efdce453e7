import numpy as np
import pandas as pd
import pytest

from competition_utils.decide.decisions import DEV, VALID, decide, read_scores
from competition_utils.decide.metrics import f1_score
from competition_utils.errors import DataError, UserError


@pytest.fixture
def decided(make_run, read_from):
    def from_run(resamples=50, **how):
        given = read_scores(how.get("task", "QC"), read_from(make_run(**how)))
        return given, decide(given, resamples=resamples)

    return from_run


def test_every_scored_row_is_decided_once(decided):
    given, made = decided()
    pd.testing.assert_frame_equal(
        made.decisions[["id", "split"]].sort_values(["split", "id"], ignore_index=True),
        given.scores[["id", "split"]].sort_values(["split", "id"], ignore_index=True),
    )
    assert set(made.decisions["prediction"]) == {0, 1}


def test_figures_are_taken_on_dev_where_dev_is_labelled(decided):
    given, made = decided()
    dev = made.decisions[made.decisions["split"] == "dev"]
    assert made.metrics["measured_on"] == DEV
    assert made.metrics["f1"] == f1_score(given.dev["label"].to_numpy(), dev["prediction"].to_numpy())
    assert made.metrics["unseen_language_f1"] is not None


def test_labels_of_dev_never_change_a_decision(decided, make_run, read_from):
    _, made = decided()
    tables = make_run()
    dev = tables["augmentation", "QC_dev"]
    tables["augmentation", "QC_dev"] = dev.assign(label=1 - dev["label"])
    turned = decide(read_scores("QC", read_from(tables)), resamples=50)
    pd.testing.assert_frame_equal(turned.decisions, made.decisions)


def test_without_labels_in_dev_figures_are_nested_ones_on_valid(decided):
    given, made = decided(dev_labelled=False)
    valid = made.decisions[made.decisions["split"] == "valid"]
    assert made.metrics["measured_on"] == VALID
    assert made.metrics["f1"] == f1_score(given.valid["label"].to_numpy(), valid["prediction"].to_numpy())
    assert made.metrics["unseen_language_f1"] is None


@pytest.mark.parametrize("dev_labelled", [True, False])
def test_the_baseline_stands_beside_the_figures_where_its_scores_are(decided, dev_labelled):
    _, with_linear = decided(dev_labelled=dev_labelled)
    _, without = decided(dev_labelled=dev_labelled, linear=False)
    assert 0 < with_linear.metrics["linear_f1"] < with_linear.metrics["f1"]
    assert "linear_f1" not in without.metrics


def test_seen_languages_are_those_of_original_train_rows(make_run, read_from):
    tables = make_run()
    train = tables["augmentation", "QC_train"]
    created = train.head(5).assign(id=train["id"].max() + np.arange(1, 6), language="pl", source="translated")
    tables["augmentation", "QC_train"] = pd.concat([train, created], ignore_index=True)
    assert "pl" not in read_scores("QC", read_from(tables)).seen_languages


def test_the_overview_tells_each_split(decided):
    given, _ = decided(dev_labelled=False)
    overview = given.overview()
    assert overview["rows"].tolist() == [1500, 1500, 1500]
    assert overview["labelled"].tolist() == [True, False, False]


def test_the_same_scores_give_the_same_decisions(decided):
    (_, first), (_, again) = decided(shift=0.4), decided(shift=0.4)
    assert first.metrics == again.metrics
    pd.testing.assert_frame_equal(first.decisions, again.decisions)


def test_constant_scores_are_refused(make_run, read_from):
    tables = make_run()
    tables["finetune", "QC_scores"]["score"] = np.float32(0.5)
    with pytest.raises(UserError, match="expected values that differ"):
        decide(read_scores("QC", read_from(tables)))


def test_a_missing_score_is_refused(make_run, read_from):
    tables = make_run()
    tables["finetune", "QC_scores"].loc[7, "score"] = np.nan
    with pytest.raises(DataError, match=r"QC_scores\.parquet, id 8"):
        read_scores("QC", read_from(tables))


def test_unlabelled_valid_rows_are_refused(make_run, read_from):
    tables = make_run()
    tables["augmentation", "QC_train"] = tables["augmentation", "QC_train"].drop(columns="label")
    with pytest.raises(UserError, match="expected a label in every row"):
        read_scores("QC", read_from(tables))
