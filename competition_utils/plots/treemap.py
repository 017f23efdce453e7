"""Rectangles whose areas are numbers, laid out nearly square (Bruls, Huizing and van Wijk 2000)."""

from __future__ import annotations

import numpy as np


def squarify(sizes: np.ndarray, x: float, y: float, width: float, height: float) -> np.ndarray:
    """Rectangles float [n, 4] (`x, y, width, height`) that fill the given one, areas as `sizes` (> 0, descending)."""
    areas = np.asarray(sizes, dtype=float) * width * height / np.sum(sizes)
    placed: list[tuple[float, float, float, float]] = []
    start = 0
    while start < len(areas):
        side = min(width, height)
        end = start + 1
        while end < len(areas) and _worst(areas[start : end + 1], side) <= _worst(areas[start:end], side):
            end += 1
        row, total = areas[start:end], areas[start:end].sum()
        depth = total / side
        along = np.cumsum(row) / depth - row / depth
        if width >= height:
            placed += [(x, y + offset, depth, area / depth) for offset, area in zip(along, row, strict=True)]
            x, width = x + depth, width - depth
        else:
            placed += [(x + offset, y, area / depth, depth) for offset, area in zip(along, row, strict=True)]
            y, height = y + depth, height - depth
        start = end
    return np.array(placed).reshape(-1, 4)


def _worst(row: np.ndarray, side: float) -> float:
    """The largest ratio of a rectangle's sides when `row` is laid along `side`."""
    total = row.sum()
    return max(side**2 * row.max() / total**2, total**2 / (side**2 * row.min()))
