"""What a machine translator must not touch: model codes, numbers with units, brands."""

from __future__ import annotations

import re
from collections.abc import Sequence

UNITS = r"(?:mm|cm|ml|mah|gb|tb|mb|kg|mg|hz|kw|inch|oz|ft|m|g|l|v|w|k)"
PROTECTED = re.compile(
    rf"(?<!\w)(?:\d+(?:[.,x×*/-]\d+)*\s?{UNITS}?|(?=\w*\d)(?=\w*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*)(?!\w)", re.IGNORECASE
)
MARK = "X{}X"  # seen to pass through NLLB, M2M-100 and Opus as it is, where brackets get lost
MARK_FOUND = re.compile(r"x\s?(\d)\s?x", re.IGNORECASE)
MOST_MARKS = 10  # one digit


def protect(text: str, brands: Sequence[str] = ()) -> tuple[str, list[str]]:
    """A text with marks in place of what must stay, and what the marks stand for.

    `brands` are words that stay too, whatever their case.
    """
    held: list[str] = []

    def hold(found: re.Match[str]) -> str:
        if len(held) == MOST_MARKS:
            return found[0]
        held.append(found[0])
        return MARK.format(len(held) - 1)

    named = "|".join(re.escape(brand) for brand in sorted(brands, key=len, reverse=True))
    if named:
        text = re.sub(rf"(?<!\w)(?:{named})(?!\w)", hold, text, flags=re.IGNORECASE)
        return PROTECTED.sub(lambda found: found[0] if MARK_FOUND.fullmatch(found[0]) else hold(found), text), held
    return PROTECTED.sub(hold, text), held


def restore(text: str, held: Sequence[str]) -> str | None:
    """The translation with what the marks stand for; None where a mark was lost, doubled or made up."""
    found = [int(digit) for digit in MARK_FOUND.findall(text)]
    if sorted(found) != list(range(len(held))):
        return None
    return MARK_FOUND.sub(lambda mark: held[int(mark[1])], text)
