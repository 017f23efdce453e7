import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competition_utils.data.folds import check_no_leak, fold_groups, leave_one_language_out, make_folds
from competition_utils.errors import DataError, UserError
from competition_utils.tasks import QC, QI


def table_of(rows: list[tuple]) -> pd.DataFrame:
    """(language, query, target, label) → a clean table."""
    frame = pd.DataFrame(rows, columns=["language", "query", "target", "label"])
    frame.insert(0, "id", range(1, len(frame) + 1))
    return frame.astype({"language": "str", "query": "str", "target": "str", "label": "Int8"})


@st.composite
def tables(draw) -> pd.DataFrame:
    row = st.tuples(
        st.sampled_from(["en", "es", "ja"]),
        st.integers(0, 40).map("query {}".format),
        st.sampled_from(["shoes,boots", "shoes,sandals", "food,snacks, chips", "toys"]),
        st.integers(0, 1),
    )
    enough_groups = [("en", f"own {number}", "toys,own", 1) for number in range(5)]
    return table_of(draw(st.lists(row, max_size=120)) + enough_groups)


folds_of_any = settings(max_examples=60, deadline=None)


@folds_of_any
@given(tables(), st.sampled_from([QC, QI]), st.integers(2, 5), st.integers(0, 3))
def test_no_query_is_in_two_folds_and_every_row_is_in_one(table, task, n_folds, seed):
    folds, _ = make_folds(table, task, n_folds=n_folds, seed=seed)
    assert folds.dtype == np.int16
    assert len(folds) == len(table)
    assert set(folds) <= set(range(n_folds))
    assert pd.Series(folds).groupby(table["query"]).nunique().max() == 1


@folds_of_any
@given(tables(), st.sampled_from([QC, QI]), st.integers(2, 5))
def test_balance_stays_within_the_stated_bound(table, task, n_folds):
    folds, report = make_folds(table, task, n_folds=n_folds)
    cells = table.assign(fold=folds).groupby(["language", "label", "fold"]).size()
    wide = cells.unstack("fold", fill_value=0).reindex(columns=range(n_folds), fill_value=0)
    worst = (wide.sub(wide.sum(axis=1) / n_folds, axis=0)).abs().to_numpy().max()
    assert report.worst_rows == pytest.approx(worst)
    assert worst <= report.bound_rows + 1e-9


@folds_of_any
@given(tables(), st.sampled_from([QC, QI]), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(table, task, random):
    order = list(range(len(table)))
    random.shuffle(order)
    folds, _ = make_folds(table, task)
    shuffled, _ = make_folds(table.iloc[order], task)
    assert (shuffled == folds[order]).all()


@folds_of_any
@given(tables())
def test_qc_groups_hold_together_what_shares_a_query_or_a_prefix(table):
    groups = fold_groups(table, QC, prefix_depth=1, max_share=1.0)
    assert groups.by == "query and 1 levels"
    by_top = pd.Series(groups.codes).groupby(table["target"].str.split(r",(?! )", regex=True).str[0])
    assert by_top.nunique().max() == 1
    assert pd.Series(groups.codes).groupby(table["query"]).nunique().max() == 1


def test_equal_seeds_give_equal_folds_and_another_seed_gives_others():
    table = table_of([("en", f"query {number}", "toys", number % 2) for number in range(200)])
    first, _ = make_folds(table, QI, seed=1)
    again, _ = make_folds(table, QI, seed=1)
    other, _ = make_folds(table, QI, seed=2)
    assert (first == again).all()
    assert (first != other).any()


def test_queries_that_differ_in_case_accents_and_blanks_stay_together():
    variants = ["Café tisse", "cafe TISSE", "cafe-tisse", "cafétisse "]
    rows = [("fr", variant, "toys", 1) for variant in variants]
    rows += [("fr", f"autre {number}", "toys", number % 2) for number in range(40)]
    folds, _ = make_folds(table_of(rows), QI)
    assert len(set(folds[: len(variants)])) == 1


def test_qc_keeps_a_category_in_one_fold_where_groups_stay_small():
    rows = [("en", f"query {number}", f"top {number % 10},level", number % 2) for number in range(100)]
    folds, report = make_folds(table_of(rows), QC, n_folds=5)
    assert report.grouped_by == "query and 2 levels"
    assert pd.Series(folds).groupby(np.arange(100) % 10).nunique().max() == 1
    assert report.notes == []


def test_qc_deepens_the_prefix_when_one_group_swallows_too_much():
    rows = [("en", f"query {number}", f"top,level,leaf {number % 10}", number % 2) for number in range(100)]
    _, report = make_folds(table_of(rows), QC, prefix_depth=2)
    assert report.grouped_by == "query and 3 levels"
    assert "100% of the rows" in report.notes[0]


def test_qc_falls_back_to_the_query_alone_and_says_so():
    rows = [("en", f"query {number}", "top,level", number % 2) for number in range(100)]
    _, report = make_folds(table_of(rows), QC)
    assert report.grouped_by == "query"
    assert "the query alone groups the rows" in report.notes[-1]


def test_a_level_that_holds_a_comma_counts_as_one_level():
    rows = [("en", f"query {number}", f"parts, tools,kind {number % 10}", 1) for number in range(100)]
    _, report = make_folds(table_of(rows), QC, prefix_depth=2)
    assert report.grouped_by == "query and 2 levels"


def test_each_language_and_label_is_spread_evenly_over_single_queries():
    rows = [(("en", "ja")[number % 2], f"query {number}", "toys", number % 3 == 0) for number in range(600)]
    _, report = make_folds(table_of(rows), QI)
    assert report.balance["share"].between(0.19, 0.21).all()
    assert report.rows_per_fold == [120] * 5


def test_the_leak_test_fails_loudly_on_a_planted_leak():
    table = table_of([("en", "lamp", "toys", 1), ("en", "lamp", "toys", 0), ("en", "boot", "toys", 1)])
    with pytest.raises(DataError, match="group in two folds: 1"):
        check_no_leak(table, np.array([0, 1, 1]), table["query"].to_numpy())


def test_the_leak_test_fails_on_a_row_without_a_fold():
    table = table_of([("en", "lamp", "toys", 1), ("en", "boot", "toys", 0)])
    with pytest.raises(DataError, match=r"row without a fold: 1\n    id 2: -1"):
        check_no_leak(table, np.array([0, -1]), table["query"].to_numpy())


def test_a_missing_label_is_reported_with_its_id():
    table = table_of([("en", "lamp", "toys", 1), ("en", "boot", "toys", None)])
    with pytest.raises(DataError, match="id 2: no label"):
        make_folds(table, QI)


def test_more_folds_than_groups_is_an_error():
    with pytest.raises(DataError, match="1 groups for 5 folds"):
        make_folds(table_of([("en", "lamp", "toys", 1)] * 9), QI)


def test_a_single_fold_is_refused():
    with pytest.raises(UserError, match="expected 2 or more, found 1"):
        make_folds(table_of([("en", "lamp", "toys", 1)]), QI, n_folds=1)


def test_leaving_a_language_out_leaves_out_its_queries_in_other_languages_too():
    table = table_of([("en", "Zara", "a", 1), ("en", "lamp", "a", 1), ("es", "zara", "a", 1), ("es", "bota", "a", 0)])
    held_out = {language: (train, test) for language, train, test in leave_one_language_out(table)}
    assert list(held_out) == ["en", "es"]
    train, test = held_out["es"]
    assert test.tolist() == [False, False, True, True]
    assert train.tolist() == [False, True, False, False]


def test_leaving_a_language_out_leaves_out_rows_that_are_written_in_it():
    table = table_of([("en", "botas rojas", "a", 1), ("en", "lamp", "a", 1), ("es", "bota", "a", 0)])
    table["text_language"] = ["es", "en", "es"]
    train = {language: train for language, train, _ in leave_one_language_out(table)}["es"]
    assert train.tolist() == [False, True, False]


def test_a_full_size_train_set_is_folded_in_seconds():
    rng = np.random.default_rng(0)
    size = 340_000
    table = pd.DataFrame(
        {
            "id": np.arange(1, size + 1),
            "language": pd.Series(rng.choice(["en", "es", "fr", "ja", "ko", "pt", "th"], size), dtype="str"),
            "query": pd.Series(rng.integers(0, 120_000, size)).astype("str"),
            "target": "toys",
            "label": rng.integers(0, 2, size).astype("int8"),
        }
    )
    _, report = make_folds(table, QI)
    assert report.rows_per_fold == pytest.approx([size / 5] * 5, abs=report.bound_rows)
    assert report.worst_rows < 20
