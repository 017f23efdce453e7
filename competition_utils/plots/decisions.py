"""Figures of stage threshold_tuning: curves, thresholds, rules, calibration, F1 by language, mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from sklearn.metrics import precision_recall_curve

from competition_utils.decide.calibrate import CalibrationReport
from competition_utils.decide.rules import ThresholdRule
from competition_utils.decide.selection import Gain
from competition_utils.f1 import f1_curve
from competition_utils.plots import style

CURVE_POINTS = 2000  # a curve of a million cuts is drawn through this many


def _thin(*columns: np.ndarray) -> list[np.ndarray]:
    keep = np.unique(np.linspace(0, len(columns[0]) - 1, CURVE_POINTS).astype(int))
    return [column[keep] for column in columns]


def score_distributions(tables: Mapping[str, pd.DataFrame], rules: Mapping[str, ThresholdRule]) -> Figure:
    """The out-of-fold scores of relevant and other rows around the threshold; {task: rows with `label, score`}."""
    figure, panels = style.panels(tables.items(), height=3.6)
    for task, rows, ax in panels:
        relevant = rows.loc[rows["label"] == 1, "score"]
        other = rows.loc[rows["label"] == 0, "score"]
        parts = {
            "relevant": (relevant, "positive"),
            "not relevant": (other, "negative"),
        }
        style.score_histogram(ax, parts, density=False)
        _threshold_line(ax, rules[task].common)
        ax.set_title(f"{task}: out-of-fold scores, {len(relevant):,} rows relevant, {len(other):,} not")
    style.legend_below(figure)
    return figure


def f1_curves(tables: Mapping[str, pd.DataFrame], rules: Mapping[str, ThresholdRule]) -> Figure:
    """F1, precision and recall at every threshold, the chosen one, and what "everything relevant" reaches."""
    figure, panels = style.panels(tables.items(), height=4.2)
    for task, rows, ax in panels:
        curve = f1_curve(rows["label"].to_numpy(), rows["score"].to_numpy())
        thresholds, f1, precision, recall = _thin(curve.thresholds, curve.f1, curve.precision, curve.recall)
        ax.plot(thresholds, precision, color=style.COLOURS["neutral"], lw=1.2, ls="--", label="precision")
        ax.plot(thresholds, recall, color=style.COLOURS["neutral"], lw=1.2, ls=":", label="recall")
        ax.plot(thresholds, f1, color=style.COLOURS["positive"], lw=2.4, label="F1")
        everything = float(curve.f1[-1])
        ax.axhline(everything, color=style.COLOURS["baseline"], lw=1, label="everything relevant")
        best = float(curve.f1.max())
        ax.plot(rules[task].common, best, "o", ms=8, color=style.COLOURS["accent"], zorder=5)
        _threshold_line(ax, rules[task].common)
        title = f"{task}: best F1 {best:.4f}, everything relevant {everything:.4f}"
        ax.set(title=title, xlabel="threshold", xlim=(0, 1), ylim=(None, 1.01))
    style.legend_below(figure)
    return figure


def _threshold_line(ax: Axes, threshold: float) -> None:
    ax.axvline(threshold, color=style.COLOURS["accent"], lw=1.5)
    near_right = threshold > 0.75
    ax.annotate(
        f"{threshold:.3f}",
        (threshold, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if near_right else 4, -2),
        textcoords="offset points",
        ha="right" if near_right else "left",
        va="top",
        color=style.COLOURS["accent"],
        fontweight="bold",
        fontsize=9,
    )


def thresholds_by_language(tables: Mapping[str, pd.DataFrame], rules: Mapping[str, ThresholdRule]) -> Figure:
    """The shrunk threshold of each language with its interval (`threshold_intervals`' table by task) and the
    common one."""
    figure, panels = style.panels(tables.items(), height=1.5 + 0.36 * max(map(len, tables.values())))
    for task, table, ax in panels:
        table, at = table[::-1], np.arange(len(table))
        ax.hlines(at, table["low"], table["high"], color=style.COLOURS["seen"], lw=5, alpha=0.35)
        ax.plot(table["threshold"], at, "o", color=style.COLOURS["seen"], ms=7, label="threshold, 95% interval")
        ax.axvline(rules[task].common, color=style.COLOURS["accent"], lw=1.5, label="common threshold")
        names = [f"{name}  ({rows:,} rows)" for name, rows in table["rows"].items()]
        ax.set_yticks(at, names)
        ax.set(title=f"{task}: applied is {rules[task].name}", xlabel="threshold", ylim=(-0.7, len(table) - 0.3))
    style.legend_below(figure)
    return figure


def rule_gains(gains: Mapping[str, Gain]) -> Figure:
    """What each freer rule gains over the simpler one, in points of F1, with its interval; {what: gain}."""
    if not gains:
        return style.only_says("one language has labels, so there is no rule to choose")
    figure, ax = style.new_figure(width=9, height=1.3 + 0.46 * len(gains))
    for at, gain in enumerate(reversed(gains.values())):
        colour = style.COLOURS["accent" if gain.significant else "neutral"]
        ax.hlines(at, 100 * gain.low, 100 * gain.high, color=colour, lw=5, alpha=0.4)
        ax.plot(100 * gain.value, at, "o", color=colour, ms=8)
        place = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center", "fontsize": 8}
        ax.annotate(str(gain), (100 * gain.value, at), **place)
    ax.axvline(0, color=style.COLOURS["baseline"], lw=1)
    ax.set_yticks(range(len(gains)), list(gains)[::-1])
    ax.set(title="Gain over the simpler rule", xlabel="points of F1", ylim=(-0.6, len(gains) - 0.2))
    ax.margins(x=0.1)
    return figure


def calibration(reports: Mapping[str, CalibrationReport]) -> Figure:
    """Reliability before and after the best calibration, on rows not used for fitting it, with intervals by query."""
    figure, panels = style.panels(reports.items(), height=4.6)
    for task, report, ax in panels:
        ax.plot([0, 1], [0, 1], color=style.COLOURS["baseline"], lw=1, ls="--")
        for table, way, key in ((report.before, "none", "negative"), (report.after, report.best, "positive")):
            colour, ece = style.COLOURS[key], report.table.loc[way, "ece"]
            label = f"{'as scored' if way == 'none' else way}, ECE {ece:.3f}"
            ax.fill_between(table["score"], table["low"], table["high"], color=colour, alpha=0.18, lw=0)
            ax.plot(table["score"], table["positive_rate"], "o-", ms=4, lw=1.6, color=colour, label=label)
        ax.set(title=f"{task}: reliability", xlabel="mean score of a bin", ylabel="share of relevant rows")
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        ax.legend(loc="upper left", fontsize=8.5)
    return figure


def f1_by_language(metrics: Mapping[str, Mapping[str, Any]]) -> Figure:
    """F1 of each language with its interval, coloured by whether train has labels of it, baselines drawn beside."""
    most = max(len(entry["by_language"]) for entry in metrics.values())
    figure, panels = style.panels(metrics.items(), height=1.9 + 0.36 * most)
    for task, entry, ax in panels:
        languages = dict(sorted(entry["by_language"].items(), key=lambda item: (item[1]["seen"], item[1]["f1"])))
        for at, figures in enumerate(languages.values()):
            _language_row(ax, at, figures)
        ax.set_yticks(range(len(languages)), [f"{name}  ({f['rows']:,})" for name, f in languages.items()])
        ax.axvline(entry["f1"], color=style.COLOURS["accent"], lw=1.2)
        title = f"{task}: F1 {entry['f1']:.4f} on {entry['measured_on'].split(' (')[0]}"
        ax.set(title=title, xlabel="F1", ylim=(-0.7, len(languages) - 0.3))
    figure.legend(handles=_language_legend(metrics), loc="outside lower center", ncols=5, fontsize=8.5)
    return figure


def _language_row(ax: Axes, at: int, figures: Mapping[str, Any]) -> None:
    colour = style.COLOURS["seen" if figures["seen"] else "unseen"]
    ax.hlines(at, *figures["f1_interval"], color=colour, lw=6, alpha=0.4)
    ax.plot(figures["f1"], at, "o", color=colour, ms=7)
    ax.plot(figures["all_positive_f1"], at, "|", color=style.COLOURS["baseline"], ms=14, mew=2)
    if "linear_f1" in figures:
        ax.plot(figures["linear_f1"], at, "d", color=style.COLOURS["neutral"], ms=6)


def _language_legend(metrics: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    from matplotlib.lines import Line2D

    def mark(marker: str, key: str, name: str, **more: Any) -> Line2D:
        return Line2D([], [], ls="", marker=marker, color=style.COLOURS[key], label=name, **more)

    marks = [mark("o", "seen", "labels in train"), mark("o", "unseen", "no labels in train")]
    marks.append(mark("|", "baseline", "everything relevant", ms=12, mew=2))
    if any("linear_f1" in entry for entry in metrics.values()):
        marks.append(mark("d", "neutral", "linear"))
    return [*marks, Line2D([], [], color=style.COLOURS["accent"], label="all languages")]


def precision_recall(tables: Mapping[str, pd.DataFrame], metrics: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Precision against recall on the measured rows, lines of equal F1 behind, the decision made as a dot."""
    figure, panels = style.panels(tables.items(), height=4.4)
    for task, rows, ax in panels:
        if rows["label"].nunique() < 2:
            style.say(ax, f"{task}: rows of one class only, so no curve")
            continue
        floor = 0.9 * rows["label"].mean()
        _equal_f1_lines(ax, floor)
        for column, key, name in (("linear_score", "neutral", "linear"), ("score", "positive", "model")):
            if column in rows:
                precision, recall, _ = precision_recall_curve(rows["label"], rows[column])
                recall, precision = _thin(recall, precision)
                ax.plot(recall, precision, color=style.COLOURS[key], lw=2, label=name)
        entry = metrics[task]
        ax.plot(entry["recall"], entry["precision"], "o", ms=9, color=style.COLOURS["accent"], label="decision")
        title = f"{task}: average precision {entry['average_precision']:.3f}"
        ax.set(title=title, xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(floor, 1.005))
        ax.legend(loc="lower left")
    return figure


def _equal_f1_lines(ax: Axes, floor: float) -> None:
    recall = np.linspace(0.01, 1, 300)
    for f1 in (0.6, 0.7, 0.8, 0.9):
        with np.errstate(divide="ignore"):
            precision = np.where(2 * recall > f1, f1 * recall / (2 * recall - f1), np.nan)
        visible = (precision <= 1) & (precision >= floor)
        if visible.any():
            ax.plot(recall[visible], precision[visible], color="#D5D9DE", lw=0.9, zorder=0)
            end = (recall[visible][-1], precision[visible][-1])
            ax.annotate(f"F1 {f1} ", end, fontsize=7.5, color=style.COLOURS["neutral"], ha="right", va="bottom")


def mistakes_by(tables: Mapping[str, pd.DataFrame], what: str) -> Figure:
    """The share of rows that are false alarms and missed, by `what`; {task: `confusion_by`'s table}."""
    figure, panels = style.panels(tables.items(), height=1.5 + 0.3 * max(map(len, tables.values())))
    for task, table, ax in panels:
        if table.empty:
            style.say(ax, f"{task}: no {what} has enough rows")
            continue
        table = table.assign(wrong=(table["false_alarms"] + table["missed"]) / table["rows"]).sort_values("wrong")
        at = np.arange(len(table))
        alarms, missed = table["false_alarms"] / table["rows"], table["missed"] / table["rows"]
        ax.barh(at, alarms, color=style.COLOURS["negative"], label="false alarms", height=0.7)
        ax.barh(at, missed, left=alarms, color=style.COLOURS["positive"], label="missed", height=0.7)
        ax.set_yticks(at, list(map(str, table.index)))
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.grid(axis="y", visible=False)
        ax.set(title=f"{task}: mistakes by {what}", xlabel="share of rows")
    style.legend_below(figure)
    return figure


def similarity(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean score and positive rate by the words that query and target share; {task: `scores_by_similarity`'s table}."""
    figure, panels = style.panels(tables.items(), height=3.6)
    for task, table, ax in panels:
        at = np.arange(len(table))
        ax.bar(at - 0.2, table["score"], 0.38, color=style.COLOURS["neutral"], label="mean score")
        ax.bar(at + 0.2, table["positive_rate"], 0.38, color=style.COLOURS["positive"], label="share relevant")
        ax.plot(at, table["f1"], "D", color=style.COLOURS["accent"], label="F1")
        ax.set_xticks(at, [f"{name}\n{rows:,} rows" for name, rows in table["rows"].items()])
        ax.set(title=f"{task}: words of the query in the target", ylim=(0, 1.05))
    style.legend_below(figure)
    return figure


def expected_on_unseen(table: pd.DataFrame) -> Figure:
    """F1 of seen languages, F1 to expect on unseen ones with its interval, and what was measured there; `table` is
    `decide.expect.expectation_table`'s."""
    if table.empty:
        return style.only_says("dev holds no language without labels in train")
    figure, ax = style.new_figure(width=9, height=1.7 + 0.5 * len(table))
    table, at = table[::-1], np.arange(len(table))
    ax.plot(table["seen"], at, "o", color=style.COLOURS["seen"], ms=8, label="seen languages, measured")
    ax.hlines(at, table["low"], table["high"], color=style.COLOURS["neutral"], lw=6, alpha=0.4)
    ax.plot(table["expected"], at, "D", color=style.COLOURS["neutral"], ms=7, label="unseen languages, to expect")
    ax.plot(table["measured"], at, "o", color=style.COLOURS["unseen"], ms=8, label="unseen languages, measured")
    ax.set_yticks(at, list(table.index))
    ax.set(title="What to expect on languages without labels", xlabel="F1", ylim=(-0.6, len(table) - 0.4))
    style.legend_below(figure)
    return figure


def left_out_languages(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """The F1 to expect without labels: {title: table with one row a language left out and columns named f1_…}."""
    height = 1.6 + 0.36 * max(map(len, tables.values()))
    figure, panels = style.panels(tables.items(), height=height)
    for title, table, ax in panels:
        if table.empty:
            style.say(ax, f"{title}: fewer than three languages have labels")
            continue
        table, at = table[::-1], np.arange(len(table))
        columns = [name for name in table if name.startswith("f1_")]
        for shift, (name, colour) in enumerate(zip(columns, style.PALETTE, strict=False)):
            offset = 0.12 * (shift - (len(columns) - 1) / 2)
            label = name.removeprefix("f1_").replace("_", " ")
            ax.plot(table[name], at + offset, "o", color=colour, ms=6.5, label=label)
        ax.set_yticks(at, list(table.index))
        ax.set(title=title, xlabel="F1 on the language left out", ylim=(-0.7, len(table) - 0.3))
    style.legend_below(figure)
    return figure
