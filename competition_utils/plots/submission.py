"""Figures of notebook 05: is what we are about to upload like what we could measure?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from competition_utils.plots import style

BINS = np.linspace(0, 1, 41)


def positive_shares(decisions: Mapping[str, pd.DataFrame], split: str) -> Figure:
    """Share of pairs called relevant by language, in `split` and in validation, a panel a task.

    `decisions`: task name → `language, split, prediction` 0/1. One dot where a language has no validation rows.
    """
    figure, panels = _panels(decisions)
    for (task, table), ax in zip(decisions.items(), panels, strict=True):
        shares = table.groupby(["language", "split"])["prediction"].mean().unstack()
        shares = shares.reindex(columns=["valid", split]).sort_values(split)
        place = np.arange(len(shares))
        ax.hlines(place, shares["valid"], shares[split], color=style.COLOURS["neutral"], linewidth=1)
        ax.plot(shares["valid"], place, "o", color=style.COLOURS["neutral"], label="validation")
        ax.plot(shares[split], place, "o", color=style.COLOURS["accent"], label=split)
        ax.set_yticks(place, shares.index)
        ax.set(title=f"{task}: share called relevant", xlabel="share of rows", xlim=(0, 1.03))
    _legend(figure, panels[0])
    return figure


def score_histograms(decisions: Mapping[str, pd.DataFrame], split: str) -> Figure:
    """Scores of `split` and of validation, as densities, with the thresholds in use; a panel a task.

    `decisions`: task name → `split, score` (0–1), `threshold` (dashed; one line for each that occurs).
    """
    figure, panels = _panels(decisions)
    for (task, table), ax in zip(decisions.items(), panels, strict=True):
        for part, colour in (("valid", "neutral"), (split, "accent")):
            scores = table.loc[table["split"] == part, "score"]
            name = "validation" if part == "valid" else part
            ax.hist(scores, bins=BINS, density=True, alpha=0.6, color=style.COLOURS[colour], label=name)
        for threshold in table.loc[table["split"] == split, "threshold"].unique():
            ax.axvline(threshold, color=style.COLOURS["negative"], linestyle="--", linewidth=1)
        ax.set(title=f"{task}: scores and threshold", xlabel="score", ylabel="density", xlim=(0, 1))
    _legend(figure, panels[0])
    return figure


def _panels(decisions: Mapping[str, pd.DataFrame]) -> tuple[Figure, list[Axes]]:
    figure, axes = style.new_figure(width=4.8 * len(decisions) + 1, height=4, cols=len(decisions))
    return figure, list(np.atleast_1d(axes))


def _legend(figure: Figure, panel: Axes) -> None:
    """One legend for all panels, beside them, where it hides nothing."""
    figure.legend(*panel.get_legend_handles_labels(), loc="outside lower center", ncols=2)
