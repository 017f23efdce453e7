"""The plan of the sample competition: how many rows of which language, who asks for what, which targets are wrong.

The rule behind it: the wrong targets of a split are a rearrangement of targets drawn just as the right ones are, so
a target alone, or a query alone, says nothing about the label.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from competition_utils.data.sample_catalogue import Catalogue
from competition_utils.data.sample_noise import spoil
from competition_utils.data.sample_text import (
    BRANDS_PER_FAMILY,
    NONE,
    compose_queries,
    draw_codes_or_measures,
)
from competition_utils.errors import UserError
from competition_utils.tasks import SPLITS, Task

# Share of label 1 by tagged language, as in the competition (COMPETITION facts); others get the task's mean.
POSITIVE_RATES = {
    "QC": {"en": 0.67, "es": 0.71, "fr": 0.70, "ja": 0.79, "ko": 0.59, "pt": 0.70, "other": 0.69},
    "QI": {"en": 0.63, "es": 0.68, "fr": 0.64, "ja": 0.62, "ko": 0.60, "pt": 0.65, "th": 0.55, "other": 0.62},
}
MISTAGGED_SHARE = 0.14  # of the rows tagged `en`: the query is in another language of train
MISTAGGED_DROP = 0.07  # and they are that much less often relevant
UNTRAINED_LANGUAGE, UNTRAINED_SHARE = "tr", 0.02  # in dev and test only, and no language of the competition
NOISE = 0.04  # share of train's labels that are flipped
TARGETS_PER_QUERY = {"QC": (0.55, 0.32, 0.13), "QI": (0.20, 0.25, 0.20, 0.15, 0.12, 0.08)}  # 1, 2, … targets
ATTRIBUTE_SHARE = {"QC": 0.45, "QI": 0.55}
SYNONYM_SHARE = 0.35
BROADER_SHARE = 0.07  # of the queries name what lies above the thing meant
# What a query has beside its noun and attribute. "english": the attribute is said in English.
ADDITIONS = {
    "nothing": 0.665,
    "role": 0.08,
    "brand": 0.09,
    "measure": 0.08,
    "code": 0.03,
    "english": 0.025,
    "only_brand": 0.018,
    "only_code": 0.012,
}
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


def draw_queries(
    rng: np.random.Generator,
    task: Task,
    catalogue: Catalogue,
    brands: np.ndarray,
    held_out: np.ndarray,
    cells: pd.DataFrame,
) -> pd.DataFrame:
    """Queries with different texts, enough of them for the rows of every cell.

    Columns: `cell, text_language, meant` and `asked` (concepts: the one of the right targets, and the one named),
    `name, attribute, addition, brand, extra, targets` (rows that the query gets) and `query` (text). Raises
    UserError where the lexicon cannot make so many different queries.
    """
    batches: list[pd.DataFrame] = []
    lacking = cells["rows"].to_numpy()
    mean = np.dot(TARGETS_PER_QUERY[task.name], np.arange(len(TARGETS_PER_QUERY[task.name])) + 1)
    for _ in range(40):
        cell = np.repeat(
            np.arange(len(cells)), np.ceil(lacking / mean * 1.15).astype(int) + 2 * (lacking > 0)
        )
        cell = rng.permutation(cell)
        batches.append(_some_queries(rng, task, catalogue, brands, held_out, cells, cell))
        queries = pd.concat(batches, ignore_index=True).drop_duplicates("key", ignore_index=True)
        found = queries.groupby("cell")["targets"].sum().reindex(range(len(cells)), fill_value=0)
        lacking = np.maximum(cells["rows"].to_numpy() - found.to_numpy(), 0)
        if not lacking.any():
            return queries
    raise UserError(
        f"sample {task.name}: expected {cells['rows'].sum():,} rows, the lexicon's different queries fall "
        f"{lacking.sum():,} rows short. Ask for fewer rows."
    )


def _some_queries(
    rng: np.random.Generator,
    task: Task,
    catalogue: Catalogue,
    brands: np.ndarray,
    held_out: np.ndarray,
    cells: pd.DataFrame,
    cell: np.ndarray,
) -> pd.DataFrame:
    """One query for each entry of `cell`, repeated texts among them; `key` is what makes two texts the same."""
    count = len(cell)
    everywhere, known = np.arange(len(held_out)), np.flatnonzero(~held_out)
    in_train = (cells["split"] == "train").to_numpy()[cell]
    meant = np.where(in_train, rng.choice(known, size=count), rng.choice(everywhere, size=count))
    broader = np.where(rng.random(count) < BROADER_SHARE, catalogue.broader.draw(rng, meant), NONE)
    addition = rng.choice(list(ADDITIONS), p=list(ADDITIONS.values()), size=count)
    has_attribute = (rng.random(count) < ATTRIBUTE_SHARE[task.name]) | (addition == "english")
    has_attribute &= ~np.isin(addition, ["only_brand", "only_code"])
    with_brand = np.isin(addition, ["brand", "only_brand"])
    brand = brands[catalogue.family[meant] * BRANDS_PER_FAMILY + rng.integers(BRANDS_PER_FAMILY, size=count)]
    is_code = np.isin(addition, ["code", "only_code"])
    extra = draw_codes_or_measures(rng, is_code)
    drawn = pd.DataFrame(
        {
            "cell": cell,
            "text_language": _text_languages(rng, task, cells, cell),
            "meant": meant,
            "asked": np.where(broader == NONE, meant, broader),
            "name": rng.integers(6, size=count) * (rng.random(count) < SYNONYM_SHARE),
            "attribute": np.where(has_attribute, catalogue.attributes.draw(rng, meant), NONE),
            "addition": addition,
            "brand": np.where(with_brand, brand, ""),
            "extra": np.where(is_code | (addition == "measure"), extra, ""),
            "targets": rng.choice(
                len(TARGETS_PER_QUERY[task.name]), p=TARGETS_PER_QUERY[task.name], size=count
            )
            + 1,
        }
    )
    texts = compose_queries(rng, catalogue, drawn)
    drawn["query"] = spoil(rng, texts, drawn["text_language"].to_numpy(object))
    return drawn.assign(key=drawn["query"].str.lower().str.replace(r"[\W_]+", " ", regex=True).str.strip())


def _text_languages(
    rng: np.random.Generator, task: Task, cells: pd.DataFrame, cell: np.ndarray
) -> np.ndarray:
    """object [n]: the tagged language, or for mistagged rows another one of train."""
    others = np.array([language for language in task.train_languages if language != "en"], dtype=object)
    tagged = cells["language"].to_numpy(object)[cell]
    return np.where(cells["mistagged"].to_numpy()[cell], rng.choice(others, size=len(cell)), tagged)


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
    offered: np.ndarray,
    form: np.ndarray,
    level: np.ndarray,
    groups: Sequence[np.ndarray],
    related: np.ndarray,
) -> np.ndarray:
    """The concept of each wrong target: `offered` in another order, so that none fits the query it lands at.

    `asked`, `offered`, `form` and `level` are [n]: the concept asked for, the concept this row would offer if it
    were right, the form of target, and how near the wrong one is to be (an index into `groups`). `groups` holds,
    from near to far, the group of every concept; a row that finds no partner in its group joins the next one.
    `related[form, asked, offered]` is True where the target would fit.
    """
    given = np.full(len(asked), -1)
    rows = targets = np.empty(0, dtype=np.intp)
    for depth, group in enumerate(groups):
        fresh = np.flatnonzero(level == depth)
        rows, targets = np.concatenate([rows, fresh]), np.concatenate([targets, fresh])
        for _ in range(ATTEMPTS):
            rows, targets = (_shuffled_in_groups(rng, some, form, group[offered]) for some in (rows, targets))
            fits = related[form[rows], asked[rows], offered[targets]]
            given[rows[~fits]] = offered[targets[~fits]]
            rows, targets = rows[fits], targets[fits]
    for row in rows:  # a handful at most: any concept that does not fit
        given[row] = rng.choice(np.flatnonzero(~related[form[row], asked[row]]))
    return given


def _shuffled_in_groups(
    rng: np.random.Generator, rows: np.ndarray, form: np.ndarray, group: np.ndarray
) -> np.ndarray:
    return rows[np.lexsort((rng.random(len(rows)), group[rows], form[rows]))]
