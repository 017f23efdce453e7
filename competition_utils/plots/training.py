"""Figures of stage `finetune`."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from competition_utils.plots.style import COLOURS, PALETTE, new_figure


def learning_curves(history: pd.DataFrame) -> Figure:
    """Training loss and validation AUC over epochs, one line a task and fold.

    `history`: `task, fold, epoch, loss, valid_auc`; a fit with a single evaluation shows as a point.
    """
    figure, (left, right) = new_figure(11, 4, cols=2)
    for colour, ((task, fold), curve) in zip(PALETTE, history.groupby(["task", "fold"]), strict=False):
        style = {"color": colour, "marker": "o", "label": f"{task}, fold {fold}"}
        if "loss" in curve:
            left.plot(curve["epoch"], curve["loss"], **style)
        right.plot(curve["epoch"], curve["valid_auc"], **style)
    left.set(title="Training loss", xlabel="epoch", ylabel="mean loss since the last point")
    right.set(title="AUC on validation rows", xlabel="epoch", ylabel="AUC")
    right.axhline(0.5, color=COLOURS["baseline"], linestyle=":", linewidth=1)
    right.annotate("chance", (1, 0.5), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)
    right.legend()
    return figure


def score_distributions(scored: pd.DataFrame) -> Figure:
    """Scores of relevant and irrelevant validation rows, a panel a task: the further apart, the better.

    `scored`: `task, score, label` with labels 0/1.
    """
    tasks = scored["task"].unique()
    figure, axes = new_figure(5.5 * len(tasks), 3.8, cols=len(tasks))
    for axis, task in zip(np.atleast_1d(axes), tasks, strict=True):
        rows = scored[scored["task"] == task]
        for label, name in ((1, "positive"), (0, "negative")):
            axis.hist(
                rows.loc[rows["label"] == label, "score"],
                bins=np.linspace(0, 1, 41),
                density=True,
                alpha=0.65,
                color=COLOURS[name],
                label={1: "relevant", 0: "not relevant"}[label],
            )
        axis.set(title=f"{task}: validation scores by label", xlabel="score", ylabel="density")
        axis.legend()
    return figure


def auc_by_language(table: pd.DataFrame) -> Figure:
    """AUC on validation rows by language, the model beside the linear yardstick, a panel a task.

    `table`: `task, language, model, yardstick`.
    """
    tasks = table["task"].unique()
    figure, axes = new_figure(5.5 * len(tasks), 3.8, cols=len(tasks))
    for axis, task in zip(np.atleast_1d(axes), tasks, strict=True):
        rows = table[table["task"] == task].sort_values("model")
        place = np.arange(len(rows))
        axis.hlines(place, rows["yardstick"], rows["model"], color=COLOURS["neutral"], linewidth=2)
        axis.scatter(rows["yardstick"], place, color=COLOURS["baseline"], label="linear", zorder=3)
        axis.scatter(rows["model"], place, color=COLOURS["positive"], label="this model", zorder=3)
        axis.set_yticks(place, rows["language"])
        axis.set(title=f"{task}: AUC by language, validation rows", xlabel="AUC")
        axis.legend(loc="lower right")
    return figure
