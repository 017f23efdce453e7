"""Runs beside each other: against the first of them, and by the rows that they were fitted on; a panel a task."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from competition_utils.plots import style

KEYS = {"seen languages": "seen", "unseen languages": "unseen"}
APART = 0.18  # lines of one run, in rows of the figure
BESIDE = 1.05  # each kind of model as many times the rows of the one before, so that whiskers do not cover each other


def differences(tables: Mapping[str, Mapping[str, pd.DataFrame]]) -> Figure:
    """{task: {part of the rows: table}}, tables as in `decide.compare.Comparison`, the first run on top of each.

    Differences of F1 are in points, whiskers 95% intervals; an interval that does not touch the line is significant.
    """
    names = {task: list(next(iter(parts.values())).index) for task, parts in tables.items()}
    figure, panels = style.panels(tables.items(), height=1.4 + 0.5 * max(map(len, names.values())))
    for task, parts, ax in panels:
        runs = names[task]
        for number, (part, table) in enumerate(parts.items()):
            compared = table.iloc[1:]
            place = np.arange(1, len(runs)) + (number - (len(parts) - 1) / 2) * APART
            middle = 100 * compared["difference"].to_numpy(float)
            ends = 100 * compared[["difference_low", "difference_high"]].to_numpy(float).T
            colour = style.COLOURS[KEYS.get(part, "baseline")]
            reach = np.abs(ends - middle)
            ax.errorbar(middle, place, xerr=reach, fmt="o", ms=5, lw=1.6, color=colour, label=part)
        ax.axvline(0, color=style.COLOURS["baseline"], lw=1)
        ax.set(title=task, xlabel=f"points of F1 against {runs[0]}", ylim=(len(runs) - 0.4, 0.4))
        ax.set_yticks(range(1, len(runs)), runs[1:])
        ax.grid(axis="y", visible=False)
    style.legend_below(figure)
    return figure


def f1_by_rows(table: pd.DataFrame) -> Figure:
    """F1 with its 95% interval against the rows that were fitted, a line a kind of model and a panel a task.

    `table` has `task, model, rows, f1, low, high, all_positive_f1`, all F1 in 0–1; the dotted line is "all relevant".
    """
    figure, panels = style.panels(style.by_task(table), height=4.2)
    for task, rows, ax in panels:
        for number, (model, own) in enumerate(rows.groupby("model", sort=False)):
            own = own.sort_values("rows")
            place = own["rows"] * BESIDE ** (number - (rows["model"].nunique() - 1) / 2)
            reach = (own["f1"] - own["low"], own["high"] - own["f1"])
            ax.errorbar(place, own["f1"], yerr=reach, fmt="o-", color=style.PALETTE[number], capsize=3, label=model)
        base = rows["all_positive_f1"].iloc[0]
        ax.axhline(base, color=style.COLOURS["baseline"], lw=1, ls=":", label="all relevant")
        ax.set(title=task, xscale="log", xlabel="training rows", ylabel="F1 on dev")
        sizes = sorted(rows["rows"].unique())
        ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
        ax.minorticks_off()
    style.legend_below(figure)
    return figure
