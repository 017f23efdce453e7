"""The one progress bar: rate and time left, in terminals, notebooks and logs."""

from __future__ import annotations

from collections.abc import Iterable

from tqdm import tqdm


def progress(
    items: Iterable | None = None, *, total: int | None = None, initial: int = 0, what: str, unit: str = "rows"
) -> tqdm:
    """A text bar that shows itself only when the work takes over two seconds; within another bar, none.

    Plain text on purpose: a widget leaves an executed notebook with an empty box, and nested bars a page of lines.
    """
    inside_another = any(not bar.disable for bar in getattr(tqdm, "_instances", ()))
    return tqdm(
        items,
        total=total,
        initial=initial,
        desc=what,
        unit=f" {unit}",
        delay=2,
        mininterval=1,
        leave=False,
        dynamic_ncols=True,
        disable=inside_another,
    )
