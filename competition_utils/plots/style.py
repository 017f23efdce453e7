"""How every figure looks: fonts that cover all fourteen languages, colours with one meaning each, panels.

Latin, Cyrillic and Arabic come from matplotlib's own DejaVu Sans (matplotlib ≥ 3.11 shapes Arabic itself);
Thai, Japanese and Korean from the Noto fonts beside this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure

FONTS = Path(__file__).parent / "fonts"
FAMILIES = ["DejaVu Sans", "Noto Sans Thai", "Noto Sans CJK JP"]

# A colour keeps its meaning in all notebooks; the hues differ for colour-blind readers too (Okabe and Ito).
COLOURS = {
    "positive": "#0072B2",
    "negative": "#D55E00",
    "neutral": "#8A8F98",
    "accent": "#009E73",
    "seen": "#0072B2",
    "unseen": "#E69F00",
    "baseline": "#4D4D4D",
}
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8A8F98", "#B8A100"]
PANEL_WIDTH = 5.3  # inches
SCORE_BINS = np.linspace(0, 1, 41)

T = TypeVar("T")


@cache
def use() -> None:
    """Register the fonts and set matplotlib's defaults, once a process.

    The Noto fonts have no bold face: their regular one is registered as bold too, so that a bold title in Thai or
    Japanese finds it without a warning.
    """
    fonts = font_manager.fontManager
    for font in sorted(FONTS.glob("*.[ot]tf")):
        fonts.addfont(font)
        fonts.ttflist.append(replace(fonts.ttflist[-1], weight=700))
    mpl.rcParams.update(
        {
            "font.family": FAMILIES,
            "font.size": 10,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.grid": True,
            "grid.color": "#E6E8EB",
            "grid.linewidth": 0.8,
            "axes.prop_cycle": mpl.cycler(color=PALETTE),
            "legend.frameon": False,
            "figure.dpi": 100,
            "savefig.dpi": 130,
            "savefig.bbox": "tight",
            "text.parse_math": False,  # a $ in a query, a token or a category is a dollar sign
        }
    )


def new_figure(width: float = 9, height: float = 4.5, rows: int = 1, cols: int = 1) -> tuple[Figure, Axes | np.ndarray]:
    """A figure in the house's style, `width` × `height` inches, and its axes (an array when several).

    Made without pyplot, so that nothing stays open in a long run; a notebook shows it as the cell's value.
    """
    use()
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, cols)


def panels(
    parts: Iterable[tuple[str, T]], height: float, *, width: float = PANEL_WIDTH, rows: int = 1
) -> tuple[Figure, list[tuple[str, T, Any]]]:
    """A figure of `height` inches with a panel for each `(name, data)` of `parts`, side by side.

    Gives the figure and a list of `(name, data, axes)`; `axes` is an array of `rows` axes below each other where
    `rows` > 1. A figure without parts holds one empty panel.
    """
    parts = list(parts)
    cols = max(len(parts), 1)
    figure, axes = new_figure(max(width * cols, 7), height, rows, cols)
    columns = np.reshape(axes, (rows, cols)).T
    chosen = columns if rows > 1 else columns[:, 0]
    return figure, [(name, data, own) for (name, data), own in zip(parts, chosen, strict=False)]


def by_task(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each task of a table with the column `task`, in the order in which the tasks occur."""
    return list(table.groupby("task", sort=False))


def legend_below(figure: Figure, title: str | None = None) -> None:
    """One legend for all panels, below them, where it hides nothing."""
    entries: dict[str, Any] = {}
    for axes in figure.axes:
        handles, names = axes.get_legend_handles_labels()
        entries |= dict(zip(names, handles, strict=True))
    if entries:
        columns = min(len(entries), 6)
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=columns, title=title)


def score_histogram(axes: Axes, scores: Mapping[str, tuple[pd.Series, str]], *, density: bool = True) -> None:
    """Draw histograms of scores (0–1) over each other: `scores` maps a name to the scores and a key of COLOURS."""
    for name, (values, colour) in scores.items():
        if len(values):
            axes.hist(values, SCORE_BINS, density=density, alpha=0.6, color=COLOURS[colour], label=name)
    axes.set(xlabel="score", ylabel="density" if density else "rows", xlim=(0, 1))


def say(axes: Axes, message: str) -> None:
    """Write into a panel why it shows nothing."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, message, ha="center", va="center", wrap=True, transform=axes.transAxes)


def only_says(message: str) -> Figure:
    """A small figure that says why there is nothing to see."""
    figure, axes = new_figure(7, 1)
    say(axes, message)
    return figure
