"""The tokens of a model's inputs as HTML, coloured by the part of the input that they come from."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

import pandas as pd
from IPython.display import HTML

# Two shades of each colour take turns, so that the borders of tokens are seen without space between them, which would
# take joined letters apart.
SHADES = {
    "query": ("#9CC9EA", "#C6E0F3"),
    "translation": ("#8FD6BC", "#BFE8D9"),
    "hint": ("#C9B8E8", "#E0D6F2"),
    "target": ("#F5CF85", "#FAE4B9"),
    "frame": ("#ECEEF1", "#F6F7F9"),
    "cut": ("#F3B8A1", "#F9DACD"),
}
NAMES = {
    "query": "query",
    "translation": "translation",
    "hint": "category hint",
    "target": "target",
    "frame": "frame",
    "cut": "cut by max_length",
}
BOX = "border:1px solid #D9DCE1;border-radius:4px;padding:6px 10px;margin:6px 0;background:#fff;color:#1F2328"
TEXT = "font-family:'Noto Sans','Noto Sans Thai','Noto Sans CJK JP',sans-serif;line-height:1.9;unicode-bidi:plaintext"


def coloured_tokens(parts: pd.DataFrame, captions: Sequence[str]) -> HTML:
    """A box for each pair with its tokens in their order, and a legend above.

    `parts` has `pair` (row number), `token`, `part`; `captions` a text a pair. Each line of an input is a paragraph
    with a reading direction of its own, from its first letter. Every text is escaped.
    """
    boxes = [
        f'<div style="{BOX}"><div style="font-size:85%;color:#57606A">{html.escape(caption)}, '
        f"{len(own):,} tokens</div>{''.join(_lines(own))}</div>"
        for caption, (_, own) in zip(captions, parts.groupby("pair"), strict=True)
    ]
    return HTML(_legend(parts) + "".join(boxes))


def _legend(parts: pd.DataFrame) -> str:
    there = [part for part in SHADES if (parts["part"] == part).any()]
    entries = [
        f'<span style="background:{SHADES[part][0]};padding:1px 6px;margin-right:8px">{NAMES[part]}</span>'
        for part in there
    ]
    return f'<div style="font-size:85%;color:#1F2328">{"".join(entries)}</div>'


def _lines(tokens: pd.DataFrame) -> Iterator[str]:
    """A paragraph for each line of the input; a line break within a token ends one."""
    line: list[str] = []
    for number, (token, part) in enumerate(zip(tokens["token"], tokens["part"], strict=True)):
        for index, text in enumerate(token.split("\n")):
            if index and line:
                yield _paragraph(line)
                line = []
            if text:
                line.append(_span(text, part, number))
    if line:
        yield _paragraph(line)


def _span(text: str, part: str, number: int) -> str:
    struck = ";text-decoration:line-through" if part == "cut" else ""
    return f'<span title="{part}" style="background:{SHADES[part][number % 2]}{struck}">{html.escape(text)}</span>'


def _paragraph(spans: Sequence[str]) -> str:
    return f'<div dir="auto" style="{TEXT}">{"".join(spans)}</div>'
