import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competition_utils.data.duplicates import (
    CONFLICT_RULES,
    conflicts,
    exact_duplicates,
    near_duplicate_queries,
    near_key,
    overlap,
    resolve,
)
from competition_utils.errors import UserError


def table_of(*rows: tuple[str, str, int]) -> pd.DataFrame:
    """(query, target, label) → a clean table with ids from 1."""
    frame = pd.DataFrame(rows, columns=["query", "target", "label"])
    frame.insert(0, "id", range(1, len(frame) + 1))
    return frame.astype({"query": "str", "target": "str", "label": "Int8"})


def key_of(text: str) -> str:
    return near_key(pd.Series([text], dtype="str"))[0]


any_rows = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 1)), max_size=30)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Café", "cafe"),
        ("t-shirt", "T shirt"),
        ("Łódź", "lodz"),
        ("ｇｏｐｒｏ１２", "gopro 12"),
        ("straße", "strasse"),
    ],
)
def test_case_accents_blanks_punctuation_and_width_do_not_count(one, other):
    assert key_of(one) == key_of(other)


@pytest.mark.parametrize(("one", "other"), [("ガ", "カ"), ("น้า", "นา"), ("a1", "a2"), ("%", "*"), ("كوب", "كتب")])
def test_what_tells_words_apart_counts(one, other):
    assert key_of(one) != key_of(other)


@settings(deadline=None)
@given(st.text(max_size=12))
def test_a_key_is_never_empty_unless_the_text_is(text):
    assert bool(key_of(text)) == bool(text)


def test_later_rows_of_an_exact_duplicate_are_found():
    table = table_of(("a", "x", 1), ("a", "x", 1), ("a", "x", 0), ("a", "y", 1))
    assert exact_duplicates(table).tolist() == [False, True, False, False]


def test_a_conflict_shows_its_votes_and_ids():
    table = table_of(("a", "x", 1), ("b", "x", 1), ("a", "x", 0), ("a", "x", 1))
    assert conflicts(table).to_dict("records") == [
        {"query": "a", "target": "x", "positive": 2, "negative": 1, "ids": [1, 3, 4]}
    ]


def test_near_duplicate_queries_are_grouped_with_their_rows():
    found = near_duplicate_queries(pd.Series(["Boot", "boot", "boot", "lamp"], dtype="str"))
    assert found.to_dict("records") == [{"key": "boot", "queries": ("Boot", "boot"), "rows": 3}]


def test_overlap_of_splits_is_share_by_pair_query_and_near_query():
    train = table_of(("boot", "x", 1), ("lamp", "x", 1))
    dev = table_of(("boot", "x", 1), ("boot", "y", 1), ("LAMP", "x", 0), ("cup", "x", 1))
    share = overlap({"train": train, "dev": dev}).set_index(["split", "other", "kind"])["share"]
    assert share["dev", "train", "pair"] == 0.25
    assert share["dev", "train", "query"] == 0.5
    assert share["dev", "train", "near query"] == 0.75
    assert share["train", "dev", "near query"] == 1.0


def test_majority_keeps_one_row_of_the_label_that_most_rows_have():
    table = table_of(("a", "x", 0), ("a", "x", 1), ("a", "x", 1))
    kept, report = resolve(table, "majority")
    assert kept["id"].tolist() == [2]
    assert report.set_index("reason")["rows"].to_dict() == {
        "label conflict (majority)": 1,
        "exact duplicate": 1,
    }


def test_a_tie_drops_both_labels():
    kept, _ = resolve(table_of(("a", "x", 0), ("a", "x", 1), ("b", "x", 1)), "majority")
    assert kept["query"].tolist() == ["b"]


def test_the_rule_drop_drops_all_rows_of_a_conflict():
    kept, _ = resolve(table_of(("a", "x", 1), ("a", "x", 1), ("a", "x", 0), ("b", "x", 1)), "drop")
    assert kept["query"].tolist() == ["b"]


def test_the_rule_keep_all_drops_exact_duplicates_only():
    kept, _ = resolve(table_of(("a", "x", 1), ("a", "x", 0), ("a", "x", 1)), "keep_all")
    assert kept["id"].tolist() == [1, 2]


@settings(deadline=None, max_examples=60)
@given(any_rows, st.sampled_from(sorted(CONFLICT_RULES)))
def test_every_dropped_row_is_counted_and_nothing_else_changes(rows, rule):
    table = table_of(*rows)
    kept, report = resolve(table, rule)
    assert len(kept) + report["rows"].sum() == len(table)
    pd.testing.assert_frame_equal(kept, table[table["id"].isin(kept["id"])].reset_index(drop=True))


@settings(deadline=None, max_examples=60)
@given(any_rows, st.sampled_from(["majority", "drop"]))
def test_no_duplicate_and_no_conflict_is_left(rows, rule):
    kept, _ = resolve(table_of(*rows), rule)
    assert not kept.duplicated(["query", "target"]).any()


def test_an_unknown_rule_is_refused():
    with pytest.raises(UserError, match="expected one of majority, drop, keep_all, found 'newest'"):
        resolve(table_of(), "newest")
