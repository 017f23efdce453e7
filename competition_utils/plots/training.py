"""Figures of stage `finetune`."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from competition_utils.plots.style import COLOURS, PALETTE, new_figure

CURVES = {
    "loss": ("Training loss", "mean loss since the last point"),
    "valid_auc": ("AUC on validation rows", "AUC"),
    "valid_f1": ("F1 on validation rows, best threshold", "F1"),
}


def learning_curves(history: pd.DataFrame) -> Figure:
    """Training loss and validation figures over epochs, a panel each, one line a task and fold.

    `history`: `task, fold, epoch` and what the model kind tells of `loss, valid_auc, valid_f1`, each with gaps where
    it was not measured; a fit with a single evaluation shows as a point.
    """
    told = [name for name in CURVES if name in history and history[name].notna().any()]
    figure, axes = new_figure(5.5 * len(told), 4, cols=len(told))
    for axis, name in zip(np.atleast_1d(axes), told, strict=True):
        for colour, ((task, fold), curve) in zip(PALETTE, history.groupby(["task", "fold"]), strict=False):
            points = curve.dropna(subset=name)
            axis.plot(points["epoch"], points[name], color=colour, marker="o", label=f"{task}, fold {fold}")
        title, label = CURVES[name]
        axis.set(title=title, xlabel="epoch", ylabel=label)
        axis.legend()
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
