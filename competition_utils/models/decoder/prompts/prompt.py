"""What a decoder is asked about a pair, as data: an instruction a task, then a line for each thing known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from string import Formatter
from typing import Any

import pandas as pd

from competition_utils.errors import UserError

INSTRUCTIONS = {
    "QC": "Does this product category fit the shopping query? Answer {yes} or {no}.",
    "QI": "Does this product match the shopping query? Answer {yes} or {no}.",
}
LABEL_WORDS = (("no", "yes"), ("No", "Yes"), ("0", "1"), ("B", "A"))
AFTER_A_COLON = ((" no", " yes"), *LABEL_WORDS)


@dataclass
class Prompt:
    """What the model reads: an instruction a task, then a line for each thing known of the pair.

    `{…}` stand for the answers, the language's name, and the texts of a pair. The line of the translation is left out
    where a row has none, and where it is None; `tags` are columns that get a line `name: value` each (a field NAME of
    the file is the column `extra_NAME`). `answer` precedes the answer where the tokenizer has no chat template.
    `label_words` are (negative, positive) candidates: the first that the tokenizer writes as one token each are taken.
    """

    instructions: dict[str, str] = field(default_factory=lambda: dict(INSTRUCTIONS))
    query: str = "Query ({language}): {query}"
    translation: str | None = "English: {translation}"
    tags: list[str] = field(default_factory=list)
    targets: dict[str, str] = field(default_factory=lambda: {"QC": "Category: {target}", "QI": "Product: {target}"})
    answer: str = "Answer:\n"
    label_words: list[tuple[str, str]] = field(default_factory=lambda: list(LABEL_WORDS))

    @classmethod
    def short(cls) -> Prompt:
        """Nothing but the pair: a base model follows no instruction, and learns from the rows what is asked."""
        return cls(
            instructions=dict.fromkeys(INSTRUCTIONS, ""),
            query="{query}",
            translation="{translation}",
            targets=dict.fromkeys(INSTRUCTIONS, "{target}"),
            answer="Relevant:",
            label_words=list(AFTER_A_COLON),
        )

    def __str__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in asdict(self).items())


def pieces(template: str, allowed: Sequence[str]) -> list[tuple[str, str | None]]:
    """A line of a prompt as (text, name of the place behind it or None).

    Raises UserError for a place that is not among `allowed`.
    """
    try:
        found = [(text, name) for text, name, _, _ in Formatter().parse(template)]
    except ValueError as error:
        raise UserError(f"prompt: expected a line with places in braces, found {template!r} ({error}).") from None
    unknown = [name for _, name in found if name is not None and name not in allowed]
    if unknown:
        places = ", ".join(f"{{{name}}}" for name in allowed)
        raise UserError(f"prompt: expected only {places} in {template!r}, found {{{unknown[0]}}}.")
    return found


def fill(template: str, **columns: pd.Series) -> pd.Series:
    """The line for each row; a column has the name of its place."""
    text: Any = ""
    for before, name in pieces(template, list(columns)):
        text = text + before + (columns[name] if name else "")
    return text if isinstance(text, pd.Series) else pd.Series(text, index=next(iter(columns.values())).index)
