"""Figures of stage `finetune`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
import pandas as pd
from IPython.display import Image, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from competition_utils.plots import style
from competition_utils.plots.style import COLOURS, PALETTE

SCREEN_DPI = 90
BEYOND = 1.03  # of the last epoch; all panels have one range, also that of a single evaluation
MOST_MARKERS = 20  # a curve of more points is drawn as a line alone
CURVES = {
    "loss": ("Training loss", "mean loss since the last point"),
    "valid_auc": ("AUC on validation rows", "AUC"),
    "valid_f1": ("F1 on validation rows, best threshold", "F1"),
}


def learning_curves(history: pd.DataFrame) -> Figure:
    """Training loss and validation figures over epochs, a panel each, one line a task and fold.

    `history`: `task, fold, epoch` and what the model kind reports of `loss, valid_auc, valid_f1`, each with gaps where
    it was not measured; a fit with a single evaluation shows as a point. Where fits have several stages (column
    `stage`, numbered from 1), their epochs run on from one to the next, and the stages before the last are shaded.
    """
    history = _running_on(history)
    measured = [(name, CURVES[name]) for name in _curves_in(history)]
    figure, panels = style.panels(measured, height=4)
    for name, (title, label_of_y), axis in panels:
        _shade_first_stages(axis, history)
        for colour, ((task, fold), curve) in zip(PALETTE, history.groupby(["task", "fold"]), strict=False):
            for stage, points in curve.dropna(subset=name).groupby("stage"):
                label = f"{task}, fold {fold}" if stage == curve["stage"].max() else None
                marker = "o" if len(points) <= MOST_MARKERS else None
                axis.plot(points["epoch"], points[name], color=colour, marker=marker, label=label)
        if name == "valid_auc":
            axis.axhline(0.5, color=COLOURS["baseline"], linestyle=":", linewidth=1)
            axis.annotate("chance", (1, 0.5), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)
        axis.set(title=title, xlabel="epoch", ylabel=label_of_y, xlim=(0, BEYOND * history["epoch"].max()))
        axis.legend()
    return figure


class LiveCurves:
    """The learning curves of one fit, drawn anew in place while it runs; an executed notebook keeps the last of them.

    Call it with the history so far (rows of `step, epoch, loss, …`).
    """

    def __init__(self, name: str, fold: int, every_seconds: float = 5):
        self.fit, self.every_seconds = {"task": name, "fold": fold}, every_seconds
        self._handle, self._drawn = None, 0.0

    def __call__(self, history: Sequence[Mapping[str, float]], last: bool = False) -> None:
        """Draw the curves, unless that was done a moment ago; at the end of a fit in any case."""
        table = pd.DataFrame(history)
        drawn_just_now = time.monotonic() - self._drawn < self.every_seconds
        if not _curves_in(table) or (drawn_just_now and not last):
            return
        self._drawn = time.monotonic()
        image = BytesIO()
        figure = learning_curves(table.assign(**self.fit))
        figure.savefig(image, format="png")
        picture = Image(image.getvalue(), format="png", width=int(figure.get_figwidth() * SCREEN_DPI))
        if self._handle is None:
            self._handle = display(picture, display_id=True)
        else:
            self._handle.update(picture)


def length_histogram(lengths: Mapping[str, np.ndarray], max_length: int | None) -> Figure:
    """How many tokens the inputs have before anything is cut, a panel a task, with the share over `max_length`.

    `lengths`: task → int64 [n].
    """
    figure, panels = style.panels(lengths.items(), height=3.4)
    for task, tokens, axis in panels:
        widest = max(int(np.percentile(tokens, 99.9)), max_length or 0) + 2
        step = max(1, widest // 60)
        axis.hist(np.minimum(tokens, widest), bins=np.arange(0, widest + 2 * step, step), color=COLOURS["neutral"])
        title = f"{task}: {np.median(tokens):.0f} tokens at the median"
        if max_length is not None:
            axis.axvline(max_length, color=COLOURS["negative"], linestyle="--", linewidth=1.5)
            title += f", {np.mean(tokens > max_length):.1%} over max_length {max_length}"
        axis.set(title=title, xlabel="tokens", ylabel="pairs")
    return figure


def _curves_in(history: pd.DataFrame) -> list[str]:
    """The curves that were measured at all."""
    return [name for name in CURVES if name in history and history[name].notna().any()]


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
    figure, panels = style.panels(style.by_task(scored), height=3.8)
    for task, rows, axis in panels:
        relevant = rows["label"] == 1
        parts = {"relevant": (relevant, "positive"), "not relevant": (~relevant, "negative")}
        style.score_histogram(axis, {name: (rows.loc[part, "score"], colour) for name, (part, colour) in parts.items()})
        axis.set(title=f"{task}: validation scores by label")
        axis.legend()
    return figure


def auc_by_language(table: pd.DataFrame) -> Figure:
    """AUC on validation rows by language, the model beside the linear baseline, a panel a task.

    `table`: `task, language, model, baseline`.
    """
    figure, panels = style.panels(style.by_task(table), height=3.8)
    for task, rows, axis in panels:
        rows = rows.sort_values("model")
        place = np.arange(len(rows))
        axis.hlines(place, rows["baseline"], rows["model"], color=COLOURS["neutral"], linewidth=2)
        axis.scatter(rows["baseline"], place, color=COLOURS["baseline"], label="linear", zorder=3)
        axis.scatter(rows["model"], place, color=COLOURS["positive"], label="this model", zorder=3)
        axis.set_yticks(place, rows["language"])
        axis.set(title=f"{task}: AUC by language, validation rows", xlabel="AUC")
        axis.legend(loc="lower right")
    return figure
