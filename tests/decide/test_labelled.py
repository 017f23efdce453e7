import numpy as np
import pandas as pd
import pytest

from competition_utils.decide.labelled import category_seen, join_scores
from competition_utils.errors import DataError, UserError


def scores_of(ids, split="dev", **changes):
    table = pd.DataFrame({"id": ids, "task": "QC", "language": "en", "score": np.float32(0.5)})
    return table.assign(fold=-1, split=split, **changes)


def rows_of(ids, **changes):
    return pd.DataFrame({"id": ids, "language": "en", "query": [f"q{i}" for i in ids]}).assign(**changes)


def test_scores_get_their_labels_and_texts_in_their_own_order():
    joined = join_scores(scores_of([2, 1]), rows_of([1, 2], label=[0, 1]), "dev", "scores")
    assert joined["label"].tolist() == [1, 0]
    assert joined["query"].tolist() == ["q2", "q1"]


def test_a_table_without_labels_gives_rows_without_labels():
    assert "label" not in join_scores(scores_of([1]), rows_of([1]), "dev", "scores")


def test_a_table_labelled_in_part_counts_as_unlabelled():
    table = rows_of([1, 2], label=pd.array([1, None], dtype="Int8"))
    assert "label" not in join_scores(scores_of([1, 2]), table, "dev", "scores")


def test_valid_may_hold_some_rows_of_train_only():
    joined = join_scores(scores_of([2], split="valid"), rows_of([1, 2, 3], label=[0, 1, 0]), "valid", "scores")
    assert joined["id"].tolist() == [2]


@pytest.mark.parametrize(
    ("scores", "table", "message"),
    [
        (scores_of([1], score=np.nan), rows_of([1]), "a score that is missing or outside 0–1: 1"),
        (scores_of([1], score=1.5), rows_of([1]), "a score that is missing or outside 0–1: 1"),
        (scores_of([1, 1]), rows_of([1]), "an id twice in a split: 1"),
        (scores_of([1], split="train"), rows_of([1]), "a split other than valid, dev, test: 1"),
        (scores_of([1, 7]), rows_of([1]), "a scored id that the table lacks: 1"),
        (scores_of([1]), rows_of([1], language="fr"), "a language other than in the table: 1"),
        (scores_of([1]), rows_of([1, 2, 3]), "a row without a score: 2"),
    ],
)
def test_scores_that_do_not_fit_their_rows_are_refused(scores, table, message):
    with pytest.raises(DataError, match=message):
        join_scores(scores, table, "dev", "RUN/finetune/QC_scores.parquet")


def test_many_faults_are_counted_and_five_are_shown():
    with pytest.raises(DataError, match=r"a row without a score: 29\n(.*\n){5}    … and 24 more"):
        join_scores(scores_of([1]), rows_of(range(1, 31)), "dev", "scores")


def test_a_split_without_scores_is_refused():
    with pytest.raises(UserError, match="expected rows of split 'test'"):
        join_scores(scores_of([1]), rows_of([1]), "test", "scores")


def test_a_missing_column_is_named():
    with pytest.raises(UserError, match="missing fold"):
        join_scores(scores_of([1]).drop(columns="fold"), rows_of([1]), "dev", "scores")


def test_a_category_is_seen_where_train_has_its_first_two_levels():
    seen = category_seen(pd.Series(["a,b,x", "a,c"]), pd.Series(["a,b,y", "d,c"]))
    assert seen.tolist() == [True, False]
