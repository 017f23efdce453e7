import io
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from competition_utils.decide import mistakes
from competition_utils.decide.calibrate import compare_calibrations
from competition_utils.decide.decisions import decide, read_scores
from competition_utils.decide.selection import Gain, threshold_intervals
from competition_utils.plots import decisions as plots


@pytest.fixture(scope="module")
def both(make_run, read_from):
    """Both tasks decided: what the stage gets, and what it made of it."""
    given = {task: read_scores(task, read_from(make_run(task, rows=900))) for task in ("QC", "QI")}
    return given, {task: decide(each, resamples=30) for task, each in given.items()}


def titles(figure):
    figure.savefig(io.BytesIO(), format="png")  # what cannot be drawn fails here
    return [ax.get_title(loc="left") for ax in figure.axes]


def labels_of(figure):
    return {text.get_text() for legend in figure.legends for text in legend.get_texts()}


def test_the_f1_curve_names_its_best_value_and_the_line_everything_relevant(both):
    given, made = both
    rules = {task: each.rule for task, each in made.items()}
    figure = plots.f1_curves({task: each.valid for task, each in given.items()}, rules)
    assert [title.split(":")[0] for title in titles(figure)] == ["QC", "QI"]
    assert all(re.search(r": best F1 0\.\d{4}, everything relevant 0\.[78]\d{3}$", title) for title in titles(figure))
    assert "everything relevant" in labels_of(figure)


def test_f1_by_language_has_a_row_a_language_and_says_what_the_colours_mean(both):
    _, made = both
    figure = plots.f1_by_language({task: each.metrics for task, each in made.items()})
    titles(figure)
    assert len(figure.axes[1].get_yticklabels()) == 13
    assert {"labels in train", "no labels in train", "everything relevant", "linear"} <= labels_of(figure)


def test_thresholds_by_language_tell_the_rule_applied(both):
    given, made = both
    tables = {"QC": threshold_intervals(*given["QC"].known, prior_rows=300, resamples=10)}
    assert titles(plots.thresholds_by_language(tables, {"QC": made["QC"].rule})) == ["QC: applied is single"]


def test_gains_are_written_beside_their_intervals():
    figure = plots.rule_gains({"a": Gain(0.01, 0.002, 0.02, 0.01), "b": Gain(-0.01, -0.02, 0.0, 0.3)})
    titles(figure)
    assert {text.get_text() for text in figure.axes[0].texts} == {
        "+1.00 points [+0.20, +2.00]",
        "-1.00 points [-2.00, +0.00]",
    }


def test_reliability_is_drawn_before_and_after_the_best_method(both):
    given, _ = both
    report = compare_calibrations(*given["QC"].known)
    figure = plots.calibration({"QC": report})
    assert titles(figure) == ["QC: reliability"]
    legend = [text.get_text().split(",")[0] for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["as scored", report.best]


def test_distributions_curves_mistakes_and_left_out_languages_can_be_drawn_for_one_task(both):
    given, made = both
    one, rows = {"QC": given["QC"].valid}, made["QC"].measured
    figures = [
        plots.score_distributions(one, {"QC": made["QC"].rule}),
        plots.precision_recall({"QC": rows}, {"QC": made["QC"].metrics}),
        plots.mistakes_by({"QC": mistakes.confusion_by(rows, mistakes.top_category(rows))}, "top category"),
        plots.similarity({"QC": mistakes.scores_by_similarity(rows)}),
        plots.left_out_languages({"QC": made["QC"].unlabelled.by_language}),
    ]
    assert all(title.startswith("QC") for figure in figures for title in titles(figure))


def test_text_of_users_is_no_mathematics(both):
    given, made = both
    tag = r"$\frac$"
    rows = made["QC"].measured
    entry = made["QC"].metrics
    languages = {tag: entry["by_language"]["en"]}
    figures = [
        plots.thresholds_by_language(
            {"QC": threshold_intervals(*given["QC"].known, prior_rows=300, resamples=10).rename({"en": tag})},
            {"QC": made["QC"].rule},
        ),
        plots.f1_by_language({"QC": entry | {"by_language": languages}}),
        plots.mistakes_by({"QC": mistakes.confusion_by(rows, pd.Series(tag, rows.index))}, "top category"),
        plots.left_out_languages({"QC": made["QC"].unlabelled.by_language.rename({"en": tag})}),
    ]
    for figure in figures:
        titles(figure)
        drawn = figure.findobj(Text)
        assert any(tag in text.get_text() for text in drawn)
        assert not any(text.get_parse_math() for text in drawn)


def with_dev(tables, rows):
    """The run with these rows of dev only, `rows` a mask."""
    dev = tables["augmentation", "QC_dev"][rows]
    changed = {("augmentation", "QC_dev"): dev}
    for name in ("QC_scores", "QC_linear_scores"):
        table = tables["finetune", name]
        changed["finetune", name] = table[(table["split"] != "dev") | table["id"].isin(dev["id"])]
    return tables | changed


@pytest.mark.parametrize("case", ["dev of one class", "dev of one row"])
def test_figures_of_too_few_rows_say_why_there_is_nothing_to_see(make_run, read_from, case):
    tables = make_run("QC", rows=600)
    dev = tables["augmentation", "QC_dev"]
    rows = dev["label"] == 1 if case == "dev of one class" else np.arange(len(dev)) == 0
    given = read_scores("QC", read_from(with_dev(tables, rows)))
    made = decide(given, resamples=20)
    metrics, measured = {"QC": made.metrics}, {"QC": made.measured}
    figure = plots.precision_recall(measured, metrics)
    titles(figure)
    assert figure.axes[0].texts[0].get_text() == "QC: rows of one class only, so no curve"
    by_category = mistakes.confusion_by(made.measured, mistakes.top_category(made.measured), at_least=1000)
    rest = [
        plots.f1_by_language(metrics),
        plots.similarity({"QC": mistakes.scores_by_similarity(made.measured)}),
        plots.mistakes_by({"QC": by_category}, "top category"),
    ]
    for figure in rest:
        titles(figure)
    assert rest[-1].axes[0].texts[0].get_text() == "QC: no top category has enough rows"


def test_what_one_language_cannot_answer_is_said_in_its_figure():
    assert "one language" in plots.rule_gains({}).axes[0].texts[0].get_text()
    left_out = plots.left_out_languages({"QC": pd.DataFrame()})
    assert left_out.axes[0].texts[0].get_text() == "QC: fewer than three languages have labels"
