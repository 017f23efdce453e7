"""Figures of stage `finetune`."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from competition_utils.plots.style import COLOURS, PALETTE, new_figure

MOST_MARKERS = 20  # a curve of more points is drawn as a line alone
CURVES = {
    "loss": ("Training loss", "mean loss since the last point"),
    "valid_auc": ("AUC on validation rows", "AUC"),
    "valid_f1": ("F1 on validation rows, best threshold", "F1"),
}


def learning_curves(history: pd.DataFrame) -> Figure:
    """Training loss and validation figures over epochs, a panel each, one line a task and fold.

    `history`: `task, fold, epoch` and what the model kind tells of `loss, valid_auc, valid_f1`, each with gaps where
    it was not measured; a fit with a single evaluation shows as a point. Where fits have several stages (column
    `stage`, numbered from 1), their epochs run on from one to the next, and the stages before the last are shaded.
    """
    history = _running_on(history)
    told = [name for name in CURVES if name in history and history[name].notna().any()]
    figure, axes = new_figure(5.5 * len(told), 4, cols=len(told))
    for axis, name in zip(np.atleast_1d(axes), told, strict=True):
        _shade_first_stages(axis, history)
        for colour, ((task, fold), curve) in zip(PALETTE, history.groupby(["task", "fold"]), strict=False):
            for stage, points in curve.dropna(subset=name).groupby("stage"):
                label = f"{task}, fold {fold}" if stage == curve["stage"].max() else None
                marker = "o" if len(points) <= MOST_MARKERS else None
                axis.plot(points["epoch"], points[name], color=colour, marker=marker, label=label)
        title, label = CURVES[name]
        if name == "valid_auc":
            axis.axhline(0.5, color=COLOURS["baseline"], linestyle=":", linewidth=1)
            axis.annotate("chance", (1, 0.5), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)
        axis.set(title=title, xlabel="epoch", ylabel=label)
        axis.legend()
    return figure


def _running_on(history: pd.DataFrame) -> pd.DataFrame:
    """The history with a `stage` in every row, and epochs counted over all stages of a fit."""
    if "stage" not in history:
        return history.assign(stage=1)
    of_fit = ["task", "fold"]
    lengths = history.groupby([*of_fit, "stage"])["epoch"].max()
    before = (lengths.groupby(of_fit).cumsum() - lengths).rename("before").reset_index()
    history = history.merge(before, on=[*of_fit, "stage"], how="left")
    return history.assign(epoch=history["epoch"] + history["before"])


def _shade_first_stages(axis: Axes, history: pd.DataFrame) -> None:
    first = history[history["stage"] < history["stage"].max()]
    if len(first):
        label = "first stage: the other task's rows"
        axis.axvspan(0, first["epoch"].max(), color=COLOURS["neutral"], alpha=0.15, linewidth=0, label=label)


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
