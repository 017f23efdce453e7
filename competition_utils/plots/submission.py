"""Figures of notebook 05: is what we are about to upload like what we could measure?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from competition_utils.plots import style


def positive_shares(decisions: Mapping[str, pd.DataFrame], split: str) -> Figure:
    """Share of pairs called relevant by language, in `split` and in validation, a panel a task.

    `decisions`: task name → `language, split, prediction` 0/1. One dot where a language has no validation rows.
    """
    figure, panels = style.panels(decisions.items(), height=4)
    for task, table, ax in panels:
        shares = table.groupby(["language", "split"])["prediction"].mean().unstack()
        shares = shares.reindex(columns=["valid", split]).sort_values(split)
        place = np.arange(len(shares))
        ax.hlines(place, shares["valid"], shares[split], color=style.COLOURS["neutral"], linewidth=1)
        ax.plot(shares["valid"], place, "o", color=style.COLOURS["neutral"], label="validation")
        ax.plot(shares[split], place, "o", color=style.COLOURS["accent"], label=split)
        ax.set_yticks(place, shares.index)
        ax.set(title=f"{task}: share called relevant", xlabel="share of rows", xlim=(0, 1.03))
    style.legend_below(figure)
    return figure


def score_histograms(decisions: Mapping[str, pd.DataFrame], split: str) -> Figure:
    """Scores of `split` and of validation, as densities, with the thresholds in use; a panel a task.

    `decisions`: task name → `split, score` (0–1), `threshold` (dashed; one line for each that occurs).
    """
    figure, panels = style.panels(decisions.items(), height=4)
    for task, table, ax in panels:
        valid, answered = (table[table["split"] == name] for name in ("valid", split))
        style.score_histogram(ax, {"validation": (valid["score"], "neutral"), split: (answered["score"], "accent")})
        for threshold in answered["threshold"].unique():
            ax.axvline(threshold, color=style.COLOURS["negative"], linestyle="--", linewidth=1)
        ax.set(title=f"{task}: scores and threshold")
    style.legend_below(figure)
    return figure
