"""The notebook's small tables and figures, on a run of the strategy `original`."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from competition_utils.augment import summary
from competition_utils.augment.build import augment_tasks, run_steps, use_gates
from competition_utils.augment.rows import add_rows
from competition_utils.augment.strategies import load_strategy
from competition_utils.category_tree import nearest
from competition_utils.category_tree.hints import HintWriter
from competition_utils.category_tree.tree import CategoryTree
from competition_utils.plots import augmentation as plots
from competition_utils.settings.strategy import Balance
from competition_utils.tasks import QC
from competition_utils.translation.gates import GATES
from competition_utils.translation.open import open_translator


def clean(*rows):
    table = pd.DataFrame(rows, columns=["id", "language", "query", "target", "label"])
    return table.assign(task="QC", origin_query=table["query"], origin_target=table["target"])


@pytest.fixture(scope="module")
def results():
    tables = {
        ("QC", "train"): clean((1, "es", "vestido de noche", "dresses", 1), (2, "en", "lamp", "lamps", 0)),
        ("QC", "dev"): clean((1, "it", "vestito da sera", "dresses", 1)),
        ("QC", "test"): clean((1, "de", "xyz", "dresses", 1)).drop(columns="label"),
    }
    made = augment_tasks(tables, [QC], load_strategy("original"), open_translator("built_in", "."))
    train = made["QC"].tables["train"]
    new = train.iloc[[0]].assign(query="abendkleid", language="de")
    made["QC"].tables["train"] = add_rows(train, new, source="translated", step="expand_languages")
    reasons = pd.Series(["", "wrong script"], index=train.index)
    made["QC"].tools.rejections.add("expand_languages", reasons, train, before="query", after="target")
    made["QC"].tools.similarities.append(pd.DataFrame({"kind": ["positive", "easy"], "similarity": [0.8, 0.2]}))
    return made


def test_before_and_after_counts_rows_and_rates(results):
    table = summary.before_and_after(results)
    assert table.loc[("QC", "de"), "rows before"] == 0
    assert table.loc[("QC", "de"), "rows after"] == 1
    assert table.loc[("QC", "en"), "positive rate after"] == 0


def test_coverage_is_a_share_of_the_files_rows(results):
    coverage = summary.translation_coverage(results).set_index(["split", "language"])["translated"]
    assert coverage["train", "es"] == 1
    assert coverage["test", "de"] == 0


def test_a_created_row_stands_beside_its_origin(results):
    row = summary.created_examples(results).iloc[0]
    assert (row["origin query"], row["query"]) == ("vestido de noche", "abendkleid")


def test_rejections_are_counted_by_reason_and_language_with_examples(results):
    assert summary.rejection_counts(results).iloc[0].tolist() == [
        "QC",
        "expand_languages",
        "wrong script",
        "en",
        1,
    ]
    assert summary.rejection_examples(results).iloc[0]["before"] == "lamp"


def test_metrics_hold_no_times(results):
    metrics = summary.metrics(results, "original", "hash")
    assert metrics["tasks"]["QC"]["rows"] == {"original": 2, "translated": 1}
    assert "seconds" not in str(metrics)


def test_every_figure_is_drawn(results):
    figures = [
        plots.rows_by_language(summary.row_counts(results)),
        plots.positive_rates(summary.before_and_after(results)),
        plots.translation_coverage(summary.translation_coverage(results)),
        plots.rejections(summary.rejection_counts(results)),
        plots.similarities(summary.similarity_values(results), {"QC": 0.7}),
    ]
    assert all(isinstance(figure, Figure) for figure in figures)


def test_figures_of_a_strategy_that_mines_nothing_say_so():
    nothing = pd.DataFrame(columns=["task", "kind", "similarity"])
    assert plots.similarities(nothing, {}).axes[0].texts[0].get_text() == "this strategy mines no negatives"


def test_what_steps_did_is_counted_under_their_settings(results):
    steps = [Balance(rows_per_language=1, positive_rate=None)]
    shown = summary.outcome(results, run_steps(results, steps), steps)
    assert shown.caption.startswith("balance: positive_rate=None, rows_per_language=1")
    assert shown.data.loc["QC", ["rows before", "created", "left out", "rows after"]].tolist() == [3, 0, 0, 3]


def test_a_row_that_was_left_out_is_shown_with_its_label(results):
    made = results["QC"]
    fewer = {"QC": replace(made, tables={**made.tables, "train": made.tables["train"].iloc[1:]})}
    (row,) = summary.changed_examples(results, fewer).to_dict("records")
    assert (row["query"], row["label"], row["weight after"]) == ("vestido de noche", 1, 0)


def test_a_section_without_steps_says_so(results):
    assert "no such step" in summary.outcome(results, run_steps(results, []), []).caption


def test_every_gate_says_what_it_rejects_and_how_often(results):
    table = summary.gates_on_english(use_gates(results, GATES), GATES)
    assert table["rejects"].str.len().min() > 20
    assert table.loc["changed number", "es"] == 0


def test_weights_are_summed_by_language_and_label(results):
    table = summary.weights(results, results)
    assert table.loc[("QC", "es"), ("before", 1)] == table.loc[("QC", "es"), ("after", 1)] == 1


def test_translated_titles_are_counted_by_split_and_shown_beside_their_queries(results):
    made = results["QC"]
    titles = made.tables["dev"].assign(target="lampu", target_en="lamp")
    shown = {"QC": replace(made, tables={**made.tables, "dev": titles})}
    assert summary.translated_titles(shown)["translated"].to_dict() == {
        ("QC", "train"): 0,
        ("QC", "dev"): 1,
        ("QC", "test"): 0,
    }
    examples = summary.title_examples(shown)
    assert examples[["query", "target", "target_en"]].values.tolist() == [["vestito da sera", "lampu", "lamp"]]


def test_examples_of_titles_are_none_where_none_was_translated(results):
    assert summary.title_examples(results).empty


def test_queries_that_were_read_otherwise_beside_their_target_are_shown(results):
    made = results["QC"]
    train = made.tables["train"]
    other = train.assign(query_en=train["query_en"].mask(train.index == 0, "charm"))
    after = {"QC": replace(made, tables={**made.tables, "train": other})}
    shown = summary.meaning_examples(results, after)
    assert shown[["query_en", "beside_target"]].values.tolist() == [[train["query_en"].iloc[0], "charm"]]
    assert summary.meaning_examples(results, results).empty


def test_hints_are_counted_by_the_target_s_relation_on_original_rows_of_train(results):
    made = results["QC"]
    train = made.tables["train"].assign(category_hint="same child none 9 dresses", label=1, source="original")
    dev = made.tables["dev"].assign(category_hint="child none none 0 dresses", label=0)
    created = train.assign(source="translated")
    tables = {"train": pd.concat([train, created]), "dev": dev}
    table = summary.hint_relations({"QC": replace(made, tables=tables)})
    assert table[["task", "relation", "rows", "relevant"]].values.tolist() == [["QC", "same", len(train), 1.0]]
    assert plots.hint_relations(table).axes[0].patches[0].get_width() == 1.0


def test_hints_are_counted_by_whether_the_query_names_the_target(results):
    train = results["QC"].tables["train"].assign(source="original", label=1)
    train = train.assign(category_hint=["named same child none 9 dresses"] + ["same none none 0 x"] * (len(train) - 1))
    table = summary.hint_states({"QC": replace(results["QC"], tables={"train": train})})
    assert table[["task", "state", "rows", "relevant"]].values.tolist() == [["QC", "named", 1, 1.0]]
    assert plots.hint_states(table).axes[0].patches[0].get_width() == 1.0


def test_queries_that_letters_place_elsewhere_are_shown_with_both_places(results, monkeypatch):
    axes = {"vases": [1.0, 0.0], "jugs": [0.0, 1.0]}
    monkeypatch.setattr(nearest, "embed", lambda texts, _: np.float32([axes.get(text, [1.0, 0.0]) for text in texts]))
    letters = SimpleNamespace(embed=lambda texts: np.float32([[0.0, 2.0 * ("z" in text)] for text in texts]))
    writer = HintWriter(CategoryTree(["vases", "jugs"]), ngrams=letters)
    train = results["QC"].tables["train"].head(2).assign(query=["krug", "dzban"], source="original")
    made = {"QC": replace(results["QC"], tables={"train": train})}
    shown = summary.placed_otherwise(made, writer, without="ngrams")
    assert shown[["query", "nearest without", "nearest with"]].values.tolist() == [["dzban", "vases", "jugs"]]
    assert summary.placed_otherwise(made, writer, without="listed").empty


def test_a_figure_without_hints_says_why(results):
    made = results["QC"]
    table = summary.hint_relations(
        {"QC": replace(made, tables={"train": made.tables["train"].assign(category_hint="")})}
    )
    assert "no hints" in plots.hint_relations(table).axes[0].texts[0].get_text()


def test_examples_of_hints_show_the_english_that_they_are_about(results):
    made = results["QC"]
    train = made.tables["train"].assign(category_hint="same child none 9 dresses")
    shown = summary.hint_examples({"QC": replace(made, tables={"train": train})})
    assert len(shown) and (shown["query_en"] != "").all() and (shown["category_hint"] != "").all()


def test_categories_whose_path_lost_levels_are_shown_with_what_it_lost(capsys):
    tree = CategoryTree(["home,kitchen,brewing,coffee makers,parts", "home,kitchen,coffee makers,parts,adapters"])
    lost = summary.paths_that_lost_levels(tree)
    assert lost.to_dict("records")[-1] == {"category": "parts", "department": "home", "lost": "brewing"}
    assert "8 categories, 2 of them" in capsys.readouterr().out
    assert summary.paths_that_lost_levels(CategoryTree(["home,kitchen"])) is None
