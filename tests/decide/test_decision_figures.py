import io

import pytest

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
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert any(text.startswith("everything relevant 0.7") for text in legend)


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
