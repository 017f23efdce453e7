"""The plan of the sample competition: how many rows of which language, who asks for what, which targets are wrong.

The rule behind it: the wrong targets of a split are a rearrangement of targets drawn just as the right ones are, so
a target alone, or a query alone, says nothing about the label.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from competition_utils.tasks import SPLITS, Task

# Share of label 1 by tagged language, as the organisers report it; other languages get the task's mean.
POSITIVE_RATES = {
    "QC": {"en": 0.67, "es": 0.71, "fr": 0.70, "ja": 0.79, "ko": 0.59, "pt": 0.70, "other": 0.69},
    "QI": {"en": 0.63, "es": 0.68, "fr": 0.64, "ja": 0.62, "ko": 0.60, "pt": 0.65, "th": 0.55, "other": 0.62},
}
MISTAGGED_SHARE = 0.14  # of the rows tagged `en`: the query is in another language of train
MISTAGGED_DROP = 0.07  # and they are that much less often relevant
UNTRAINED_LANGUAGE, UNTRAINED_SHARE = "tr", 0.02  # in dev and test only, and no language of the competition
NOISE = 0.04  # share of train's labels that are flipped
WRONG_LEVELS = (0.40, 0.35, 0.25)  # a wrong target's concept: same family, same top level, anywhere
ATTEMPTS = 8


def plan_cells(task: Task, sizes: dict[str, int]) -> pd.DataFrame:
    """One row per split, tagged language and "mistagged or not": `split, language, mistagged, rows, rate`.

    `rate` is the share of label 1 before noise, such that after the noise of train it is the competition's.
    """
    cells = []
    for split in SPLITS:
        for language, rows in _language_rows(task, split, sizes[split]).items():
            rate = POSITIVE_RATES[task.name].get(language, POSITIVE_RATES[task.name]["other"])
            mistagged = round(rows * MISTAGGED_SHARE) if language == "en" else 0
            share = mistagged / rows if rows else 0
            cells.append((split, language, False, rows - mistagged, rate + share * MISTAGGED_DROP))
            cells.append((split, language, True, mistagged, rate - (1 - share) * MISTAGGED_DROP))
    plan = pd.DataFrame(cells, columns=["split", "language", "mistagged", "rows", "rate"])
    noise = np.where(plan["split"] == "train", NOISE, 0)
    plan["rate"] = (plan["rate"] - noise) / (1 - 2 * noise)
    return plan[plan["rows"] > 0].reset_index(drop=True)


def _language_rows(task: Task, split: str, rows: int) -> dict[str, int]:
    """Rows of each language: equal shares, the first languages get what is left over."""
    languages = task.train_languages if split == "train" else task.languages
    counts = {} if split == "train" else {UNTRAINED_LANGUAGE: max(1, round(rows * UNTRAINED_SHARE))}
    share, left = divmod(rows - sum(counts.values()), len(languages))
    return {language: share + (i < left) for i, language in enumerate(languages)} | counts


def draw_labels(rng: np.random.Generator, cell: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """int8 [n] labels: in each cell exactly the planned share of ones, in random order."""
    order = np.lexsort((rng.random(len(cell)), cell))
    counts = np.bincount(cell, minlength=len(rates))
    place = np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts)
    labels = np.empty(len(cell), dtype=np.int8)
    labels[order] = place < np.round(counts * rates)[cell[order]]
    return labels


def draw_forms(rng: np.random.Generator, asker: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """int8 [n] the form of each row's target; the rows of one query, which lie together, get forms that differ.

    Drawing without repetition is Gumbel's trick: the k-th row takes the form whose logarithmic weight, with noise
    drawn once for the query, is the k-th highest.
    """
    rows = np.arange(len(asker))
    first = np.maximum.accumulate(np.where(np.diff(asker, prepend=-1) != 0, rows, 0))
    noisy = np.log(np.asarray(weights)) + rng.gumbel(size=(len(asker), len(weights)))
    ranked = np.argsort(-noisy[first], axis=1)
    return ranked[rows, (rows - first) % len(weights)].astype(np.int8)


def rearrange(
    rng: np.random.Generator,
    asked: np.ndarray,
    form: np.ndarray,
    general: np.ndarray,
    level: np.ndarray,
    groups: Sequence[np.ndarray],
    related: np.ndarray,
) -> np.ndarray:
    """int [n]: the concepts of the wrong targets, which are the asked concepts in another order, so that none fits.

    `asked`, `form`, `general` and `level` are [n]: the concept that the row's query asks for, the form of target,
    whether (1) or not (0) the query uses the general word, and how near the wrong concept is to be (an index into
    `groups`). `groups` holds, from near to far, the group of every concept; a row that finds no partner in its group
    joins the next one. `related[general, form, asked, offered]` is True where the target would fit.
    """
    given = np.full(len(asked), -1)
    rows = givers = np.empty(0, dtype=np.intp)
    for depth, group in enumerate(groups):
        fresh = np.flatnonzero(level == depth)
        rows, givers = np.concatenate([rows, fresh]), np.concatenate([givers, fresh])
        for _ in range(ATTEMPTS):
            rows, givers = (_shuffled_in_groups(rng, some, form, group[asked]) for some in (rows, givers))
            fits = related[general[rows], form[rows], asked[rows], asked[givers]]
            given[rows[~fits]] = asked[givers[~fits]]
            rows, givers = rows[fits], givers[fits]
    known = np.unique(asked)
    for row in rows:  # a handful at most: any concept that does not fit
        given[row] = rng.choice(known[~related[general[row], form[row], asked[row], known]])
    return given


def _shuffled_in_groups(rng: np.random.Generator, rows: np.ndarray, form: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The rows by form and group, in random order within each, so that equally composed tables match row by row."""
    return rows[np.lexsort((rng.random(len(rows)), group[rows], form[rows]))]
