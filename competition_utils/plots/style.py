"""How every figure looks: fonts that cover all fourteen languages, colours with one meaning each, sizes.

Latin, Cyrillic and Arabic come from matplotlib's own DejaVu Sans (matplotlib ≥ 3.11 shapes Arabic itself);
Thai, Japanese and Korean from the Noto fonts beside this file.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
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


@cache
def use() -> None:
    """Register the fonts and set matplotlib's defaults, once a process."""
    for font in sorted(FONTS.glob("*.[ot]tf")):
        font_manager.fontManager.addfont(font)
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
        }
    )


def new_figure(width: float = 9, height: float = 4.5, rows: int = 1, cols: int = 1) -> tuple[Figure, Axes | np.ndarray]:
    """A figure in the house's style, `width` × `height` inches, and its axes (an array when several).

    Made without pyplot, so that nothing stays open in a long run; a notebook shows it as the cell's value.
    """
    use()
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, cols)
