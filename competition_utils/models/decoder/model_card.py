"""The README that lies beside an adapter: what it was made from, how, and how good it is.

Not by `huggingface_hub.ModelCard`: its Jinja templates keep the blank lines of loops, which takes tables apart, and
the same card was four lines longer.
"""

from __future__ import annotations

from typing import Any

from competition_utils.models.base import FitReport

CARD = """---
base_model: {base}
library_name: peft
tags: [query-relevance, e-commerce, multilingual, lora]
---

# Relevance of {tasks} pairs: {base} with a LoRA adapter

Gives the probability that a category or an item is relevant to a shopping query: the model answers one prompt
with `{positive}` or `{negative}`, and the score is the first one's probability against the second's.

Load it with `competition_utils.models.base.load_model(FOLDER)`.

## Data

{rows:,} training rows; sha256 of the training and validation rows: `{data_hash}`

## Scores on the validation rows

{scores}

## Settings

{settings}

## Notes

{notes}
"""


def write_card(
    *,
    base: str,
    tasks: list[str],
    label_words: tuple[str, str],
    rows: int,
    data_hash: str,
    settings: dict[str, Any],
    report: FitReport,
) -> str:
    """The card as Markdown; `label_words` are (negative, positive), the scores those of the best
    evaluation."""
    return CARD.format(
        base=base,
        tasks=" and ".join(tasks),
        negative=label_words[0],
        positive=label_words[1],
        rows=rows,
        data_hash=data_hash,
        scores=_table(("figure", "value"), best_evaluation(report).items()),
        settings=_table(("setting", "value"), settings.items()),
        notes="\n".join(f"- {note}" for note in [f"seed {report.seed}", *report.notes]),
    )


def best_evaluation(report: FitReport) -> dict[str, float]:
    """The history row with the best validation F1; empty where nothing was evaluated."""
    evaluated = [row for row in report.history if "valid_f1" in row]
    return max(evaluated, key=lambda row: row["valid_f1"], default={})


def _table(head: tuple[str, str], rows: Any) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "| --- | --- |"]
    values = [(name, f"{value:.4f}" if isinstance(value, float) and value >= 1e-3 else value) for name, value in rows]
    return "\n".join(lines + [f"| {name} | {value} |" for name, value in values]) if values else "none were made"
