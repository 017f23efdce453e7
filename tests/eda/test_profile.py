import numpy as np
import pandas as pd
import pytest

from competition_utils.data.prepare import prepare
from competition_utils.eda import profile, text_profile
from competition_utils.eda.findings import findings, summary
from competition_utils.errors import DataError, UserError
from competition_utils.tasks import QC, QI, TASKS


def rows_of(*rows: dict) -> pd.DataFrame:
    """Rows of all splits from what matters in each; the rest is filled in."""
    usual = {"task": "QC", "split": "train", "language": "en", "query": "lamp", "target": "home,lamps", "label": 1}
    frame = pd.DataFrame([{**usual, **row} for row in rows])
    frame.insert(0, "id", range(1, len(frame) + 1))
    frame["text_language"] = frame.get("text_language", frame["language"])
    frame["language_confidence"] = 0.9
    frame["origin_target"] = frame["target"].where(frame["target"] != "")
    texts = ["task", "split", "language", "query", "target", "text_language", "origin_target"]
    return frame.astype({"label": "Int8", **dict.fromkeys(texts, "str")})


def test_the_interval_of_a_rate_is_wilsons():
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611.
    low, high = profile.wilson_interval(pd.Series([81, 0]), pd.Series([263, 20]))
    assert np.allclose(low, [0.2553, 0.0], atol=5e-5)
    assert np.allclose(high, [0.3662, 0.1611], atol=5e-5)


def test_without_rows_the_interval_is_everything():
    low, high = profile.wilson_interval(pd.Series([0]), pd.Series([0]))
    assert (low[0], high[0]) == (0.0, 1.0)


def test_shape_counts_nulls_and_labels_of_each_file():
    rows = rows_of({}, {"target": "", "label": 0}, {"split": "test", "label": None})
    table = profile.shape(rows).set_index("split")
    assert table.loc["train", ["rows", "queries", "null_targets", "positive_rate"]].tolist() == [2, 1, 1, 0.5]
    assert table.loc["test", "labelled"] == 0


def test_positive_rates_are_those_of_train_alone():
    rows = rows_of({"label": 1}, {"label": 0}, {"split": "dev", "label": 1})
    table = profile.positive_rate_by_language(rows)
    assert table[["language", "rows", "rate"]].values.tolist() == [["en", 2, 0.5]]


def test_rows_by_language_tells_which_languages_train_has():
    table = profile.rows_by_language(rows_of({}, {"split": "dev"}, {"split": "dev", "language": "de"}))
    assert table.set_index(["split", "language"])["in_train"].to_dict() == {
        ("dev", "de"): False,
        ("dev", "en"): True,
        ("train", "en"): True,
    }


def test_fan_out_counts_different_pairs_once():
    rows = rows_of({"target": "a"}, {"target": "a"}, {"target": "b"}, {"query": "cup", "target": "a"})
    table = profile.fan_out(rows).set_index(["of", "count"])["number"]
    assert table["targets per query"].to_dict() == {1: 1, 2: 1}
    assert table["queries per target"].to_dict() == {1: 1, 2: 1}


def test_the_category_tree_respects_commas_inside_a_level():
    table = profile.category_tree(rows_of({"target": "cars, parts,lights,leds"}, {"target": "cars, parts,doors"}))
    assert table[["top", "prefix"]].values.tolist() == [
        ["cars, parts", "cars, parts,doors"],
        ["cars, parts", "cars, parts,lights"],
    ]


def test_unseen_means_that_train_of_the_same_task_lacks_it():
    rows = rows_of(
        {"query": "lamp", "target": "home,lamps"},
        {"task": "QI", "query": "cup"},
        {"split": "dev", "query": "LAMP", "target": "home,cups,tea"},
        {"split": "dev", "query": "cup", "target": "toys", "language": "de"},
    )
    table = profile.unseen_in_train(rows).set_index(["kind", "language"])["share"]
    assert table[[("query", "en"), ("query", "de")]].tolist() == [0.0, 1.0]
    assert table[[("language", "en"), ("language", "de")]].tolist() == [0.0, 1.0]
    assert table[[("first level", "en"), ("first level", "de")]].tolist() == [0.0, 1.0]
    assert table["first two levels", "en"] == 1.0


def test_rates_of_mis_tagged_rows_stand_beside_those_that_fit():
    rows = rows_of({"text_language": "es", "label": 0}, {"text_language": "en"}, {"text_language": "und"})
    table = profile.rate_of_mis_tagged(rows).set_index("tag")
    assert table.loc["does not fit", ["rows", "rate"]].tolist() == [1, 0.0]
    assert table.loc["fits", ["rows", "rate"]].tolist() == [2, 1.0]


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("%%", 0), ("Red-Boots 42", 3), ("商品カバーの", 3), ("usbケース", 2), ("ขาว", 1), ("น้ำหอม", 2)],
)
def test_tokens_are_words_and_what_stands_for_words_where_there_are_no_blanks(text, count):
    assert text_profile.count_tokens(pd.Series([text], dtype="str")).tolist() == [count]


def test_lengths_have_quantiles_by_language_and_label():
    table = text_profile.lengths(rows_of({"query": "a b"}, {"query": "a b c d"}))
    own = table[(table["field"] == "query") & (table["unit"] == "tokens")].iloc[0]
    assert (own["p50"], own["mean"]) == (3.0, 3.0)


def test_a_token_counts_once_a_row():
    table = text_profile.token_counts(rows_of({"query": "red red"}, {"query": "Red lamp", "label": 0}))
    assert table.set_index("token")[["rows", "positive"]].T.to_dict("list") == {"red": [2, 1], "lamp": [1, 0]}


def test_the_most_skewed_token_comes_first_and_rare_ones_are_left_out():
    rows = rows_of(*[{"query": "bad", "label": 0}] * 12, *[{"query": "good"}] * 12, *[{"query": "rare"}] * 3)
    rates = profile.positive_rate_by_language(rows)
    table = text_profile.skewed_tokens(text_profile.token_counts(rows), rates)
    assert table["token"].tolist() == ["bad", "good"]
    assert table["z"].iloc[0] < 0 < table["z"].iloc[1]


def test_unseen_tokens_are_counted_by_occurrence():
    table = text_profile.unseen_tokens(rows_of({"query": "red lamp"}, {"split": "dev", "query": "Red cup"}))
    assert table[["tokens", "unseen", "share"]].values.tolist() == [[2, 1, 0.5]]


def test_shared_words_rise_with_the_translation():
    rows = rows_of({"query": "lampe rouge", "target": "home,red lamp"})
    table = text_profile.shared_words(text_profile.draw(rows), pd.Series(["red lamp"], dtype="str")).set_index("text")
    assert table.loc["query", ["jaccard", "any"]].tolist() == [0.0, 0.0]
    # query and translation have four words, the target three, two are common: 2 / 5
    assert table.loc["with translation", "jaccard"] == pytest.approx(0.4)


@pytest.fixture
def folder(tmp_path):
    """A tiny QI folder: a mis-tagged row, a null title, a duplicate, a conflict, a test language without labels."""
    line = '{{"id": {0}, "task": "QI", "language": "{1}", "origin_query": "{2}", "item_title": {3}{4}}}'
    train = [("en", f"red boots {number}", f'"boots {number}"', number % 2) for number in range(40)]
    train += [("en", "zapatillas de mujer para correr", "null", 0)]
    train += [
        ("en", "lamp", '"lamp"', 1),
        ("en", "lamp", '"lamp"', 1),
        ("en", "cup", '"a"', 1),
        ("en", "cup", '"a"', 0),
    ]
    labelled = [line.format(i, *row[:3], f', "label": {row[3]}') for i, row in enumerate(train, 1)]
    (tmp_path / "train_QI.txt").write_text("\n".join(labelled) + "\n", encoding="utf-8")
    (tmp_path / "test_QI.txt").write_text(
        line.format(1, "de", "Rote  Stiefel", '"boots 1"', "") + "\n", encoding="utf-8"
    )
    return tmp_path


@pytest.mark.filterwarnings("ignore:.*null item_title")
def test_a_folder_becomes_clean_tables_in_the_contract(folder):
    prepared = prepare(folder, TASKS.values(), n_folds=2)
    assert list(prepared.tables) == ["QI_train", "QI_test"]
    train = prepared.tables["QI_train"]
    clean = ["query", "target", "text_language", "language_confidence"]
    assert train.columns.tolist() == [
        "id",
        "task",
        "language",
        "origin_query",
        "origin_target",
        "label",
        *clean,
        "fold",
    ]
    assert len(train) == 42
    assert train["fold"].dtype == np.int16
    assert prepared.tables["QI_test"]["query"].tolist() == ["Rote Stiefel"]
    assert prepared.tables["QI_test"]["origin_query"].tolist() == ["Rote  Stiefel"]


@pytest.mark.filterwarnings("ignore:.*null item_title")
def test_what_a_folder_shows_is_put_in_sentences(folder):
    prepared = prepare(folder, [QI], n_folds=2)
    rows = prepared.rows()
    table = findings(prepared, rows, text_profile.shared_words(text_profile.draw(rows)))
    assert "100% of dev and test are in languages without a label: de." in table["finding"].tolist()
    assert summary(prepared, rows)["tasks"]["QI"]["dropped"] == {"label conflict (majority)": 2, "exact duplicate": 1}


@pytest.mark.filterwarnings("ignore:.*null item_title")
def test_rows_of_train_are_drawn_at_random_and_the_rest_is_counted_as_left_out(folder):
    everything = prepare(folder, [QI], n_folds=2).tables["QI_train"]
    prepared = prepare(folder, [QI], n_folds=2, conflict_rule="keep_all", train_rows=20, seed=3)
    again = prepare(folder, [QI], n_folds=2, conflict_rule="keep_all", train_rows=20, seed=3)
    drawn, left_out = prepared.tables["QI_train"], prepared.found("resolved").set_index("reason")["rows"]
    assert left_out["not drawn"] == 25
    assert len(drawn) + left_out["exact duplicate"] == 20
    assert drawn["id"].is_monotonic_increasing
    assert drawn["id"].max() > everything["id"].iloc[20]
    assert drawn.equals(again.tables["QI_train"])


def test_a_negative_number_of_rows_to_draw_is_an_error(folder):
    with pytest.raises(UserError, match="train_rows: expected 0 for all rows, or a number of rows, found -1"):
        prepare(folder, [QI], train_rows=-1)


def test_a_folder_without_a_train_file_of_the_task_is_an_error(folder):
    with pytest.raises(DataError, match=r"neither train_QC\.txt nor the same with \.gz"):
        prepare(folder, [QC])
