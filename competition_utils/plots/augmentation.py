"""Figures of notebook 02: what went into the augmented tables, what was rejected, how close negatives are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from competition_utils.plots import style

SOURCES = ["original", "translated", "translated_title", "negative", "minority", "balanced"]


def rows_by_language(counts: pd.DataFrame) -> Figure:
    """Rows of train by language, stacked by source, a panel a task.

    `counts`: `task, language, source, label, rows` (`summary.row_counts`).
    """
    tasks = counts["task"].unique()
    figure, axes = style.new_figure(width=4.8 * len(tasks) + 1, height=4.2, cols=len(tasks))
    for task, ax in zip(tasks, np.atleast_1d(axes), strict=True):
        rows = counts[counts["task"] == task].pivot_table(
            index="language", columns="source", values="rows", aggfunc="sum", fill_value=0
        )
        _stack(ax, rows.reindex(columns=_in_order(rows.columns)))
        ax.set(title=f"{task}: rows of train by language", ylabel="rows", xlabel="language tag")
    _legend(figure, axes, title="source")
    return figure


def positive_rates(rates: pd.DataFrame) -> Figure:
    """Positive rate of each language before and after, a panel a task (`summary.before_and_after`)."""
    tasks = rates.index.unique("task")
    figure, axes = style.new_figure(width=4.8 * len(tasks) + 1, height=3.8, cols=len(tasks))
    for task, ax in zip(tasks, np.atleast_1d(axes), strict=True):
        part = rates.loc[task]
        place = np.arange(len(part))
        ax.hlines(place, part["positive rate before"], part["positive rate after"], color=style.COLOURS["neutral"])
        ax.plot(part["positive rate before"], place, "o", color=style.COLOURS["neutral"], label="before")
        ax.plot(part["positive rate after"], place, "o", color=style.COLOURS["accent"], label="after")
        ax.set_yticks(place, part.index)
        ax.set(title=f"{task}: positive rate by language", xlabel="positive rate", xlim=(0, 1))
    _legend(figure, axes)
    return figure


def hint_relations(relations: pd.DataFrame) -> Figure:
    """Share of relevant rows by how the target lies to the category nearest to the query, a panel a task.

    `relations`: `task, relation, rows, relevant` (`summary.hint_relations`).
    """
    return _relevant_by(relations, "relation", "relevant by the target's relation")


def hint_states(states: pd.DataFrame) -> Figure:
    """Share of relevant rows by whether the query names the target, a panel a task.

    `states`: `task, state, rows, relevant` (`summary.hint_states`).
    """
    return _relevant_by(states, "state", "relevant by what the query names")


def _relevant_by(table: pd.DataFrame, by: str, title: str) -> Figure:
    if table.empty:
        return _nothing("no hints: they need rows of QC, and category_hints: true")
    tasks = table["task"].unique()
    figure, axes = style.new_figure(width=4.8 * len(tasks) + 1, height=3.8, cols=len(tasks))
    for task, ax in zip(tasks, np.atleast_1d(axes), strict=True):
        part = table[table["task"] == task]
        names = part[by].astype("str") + part["rows"].map("  ({:,})".format)
        ax.barh(names, part["relevant"], color=style.COLOURS["accent"])
        every = np.average(part["relevant"], weights=part["rows"])
        ax.axvline(every, color=style.COLOURS["neutral"], linestyle="--", label="all rows")
        ax.invert_yaxis()
        ax.set(title=f"{task}: {title}", xlabel="share of relevant rows", xlim=(0, 1))
    _legend(figure, axes)
    return figure


def translation_coverage(coverage: pd.DataFrame) -> Figure:
    """Share of queries with an English translation by language and split, a panel a task.

    `coverage`: `task, split, language, rows, translated` (`summary.translation_coverage`).
    """
    tasks = coverage["task"].unique()
    figure, axes = style.new_figure(width=4.8 * len(tasks) + 1, height=3.8, cols=len(tasks))
    for task, ax in zip(tasks, np.atleast_1d(axes), strict=True):
        shares = coverage[coverage["task"] == task].pivot(index="language", columns="split", values="translated")
        place = np.arange(len(shares))
        splits = [split for split in ("train", "dev", "test") if split in shares]
        for number, split in enumerate(splits):
            offset = (number - (len(splits) - 1) / 2) * 0.26
            ax.bar(place + offset, shares[split].fillna(0), 0.24, label=split, color=style.PALETTE[number])
        ax.set_xticks(place, shares.index)
        ax.set(title=f"{task}: queries with an English translation", ylabel="share", ylim=(0, 1))
    _legend(figure, axes)
    return figure


def rejections(counts: pd.DataFrame) -> Figure:
    """Rejected rows by reason and language, a panel a task; darker is more (`summary.rejection_counts`)."""
    if counts.empty:
        return _nothing("no row was rejected")
    tasks = counts["task"].unique()
    figure, axes = style.new_figure(
        width=12, height=0.32 * counts["reason"].nunique() * len(tasks) + 2, rows=len(tasks)
    )
    for task, ax in zip(tasks, np.atleast_1d(axes), strict=True):
        rows = counts[counts["task"] == task].pivot_table(
            index="reason", columns="language", values="rows", aggfunc="sum", fill_value=0
        )
        shade = np.log1p(rows.to_numpy(dtype=np.float64))
        ax.imshow(shade, aspect="auto", cmap="Blues", vmax=1.6 * max(shade.max(), 1))
        for (reason, language), count in np.ndenumerate(rows.to_numpy()):
            ax.text(language, reason, f"{count:,}" if count else "·", ha="center", va="center", fontsize=9)
        ax.set_xticks(range(rows.shape[1]), rows.columns)
        ax.set_yticks(range(rows.shape[0]), rows.index)
        ax.grid(False)
        ax.set(title=f"{task}: rows rejected, by reason and language")
    return figure


def similarities(values: pd.DataFrame, limits: Mapping[str, float]) -> Figure:
    """Cosine of query and target for positives and each kind of negative, with the limit, a panel a task.

    `values`: `task, kind, similarity`; `limits`: task → max_similarity, above which no target was taken.
    """
    if values.empty:
        return _nothing("this strategy mines no negatives")
    tasks = values["task"].unique()
    figure, axes = style.new_figure(width=4.8 * len(tasks) + 1, height=3.8, cols=len(tasks))
    bins = np.linspace(-0.2, 1, 61)
    for task, ax in zip(tasks, np.atleast_1d(axes), strict=True):
        part = values[values["task"] == task]
        for number, kind in enumerate(sorted(part["kind"].unique())):
            colour = style.COLOURS["positive"] if kind == "positive" else _colour(number + 3)
            shown = part.loc[part["kind"] == kind, "similarity"]
            ax.hist(shown, bins, density=True, histtype="step", linewidth=1.8, label=kind, color=colour)
        if task in limits:
            ax.axvline(limits[task], color=style.COLOURS["negative"], linestyle="--", label="max_similarity")
        ax.set(title=f"{task}: similarity of query and target", xlabel="cosine", ylabel="density")
        ax.legend()
    return figure


def _stack(ax: Axes, rows: pd.DataFrame) -> None:
    bottom = np.zeros(len(rows))
    for source in rows.columns:
        ax.bar(rows.index, rows[source], bottom=bottom, label=source, color=_colour(SOURCES.index(source)))
        bottom += rows[source].to_numpy()
    ax.margins(y=0.05)


def _in_order(sources: pd.Index) -> list[str]:
    return [source for source in SOURCES if source in sources]


def _legend(figure: Figure, axes: np.ndarray | Axes, title: str | None = None) -> None:
    """One legend for all panels, above them, where it covers no bar."""
    entries: dict[str, object] = {}
    for ax in np.atleast_1d(axes):
        handles, labels = ax.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    figure.legend(entries.values(), entries.keys(), loc="outside upper right", ncols=len(entries), title=title)


def _colour(number: int) -> str:
    return style.PALETTE[number % len(style.PALETTE)]


def _nothing(text: str) -> Figure:
    figure, ax = style.new_figure(width=6, height=1.2)
    ax.axis("off")
    ax.text(0.5, 0.5, text, ha="center", va="center", color=style.COLOURS["neutral"])
    return figure
