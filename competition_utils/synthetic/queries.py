"""The queries of the sample competition: who asks for what, in which words, with no text twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from competition_utils.data.lexicon import Lexicon
from competition_utils.errors import UserError
from competition_utils.synthetic.catalogue import Catalogue
from competition_utils.synthetic.noise import make_brands, spoil
from competition_utils.synthetic.text import (
    BRANDS_PER_FAMILY,
    GENERAL,
    NONE,
    compose_queries,
    draw_codes_or_measures,
)
from competition_utils.tasks import Task

TARGETS_PER_QUERY = {"QC": (0.55, 0.32, 0.13), "QI": (0.20, 0.25, 0.20, 0.15, 0.12, 0.08)}  # 1, 2, … targets
ATTRIBUTE_SHARE = {"QC": 0.45, "QI": 0.55}
SYNONYM_SHARE = 0.35
GENERAL_SHARE = 0.4  # of the queries whose concept has a general word
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
MOST_ROUNDS = 40  # of drawing queries until there are enough different ones


@dataclass(frozen=True)
class World:
    """What both tasks share: the catalogue, its made-up brands, and which concepts train never shows (bool [n])."""

    catalogue: Catalogue
    brands: np.ndarray
    held_out: np.ndarray

    @classmethod
    def of(cls, rng: np.random.Generator, lexicon: Lexicon) -> World:
        catalogue = Catalogue.of(lexicon)
        held_out = catalogue.held_out(rng)
        return cls(catalogue, make_brands(rng, (catalogue.family.max() + 1) * BRANDS_PER_FAMILY), held_out)


def draw_queries(rng: np.random.Generator, task: Task, world: World, cells: pd.DataFrame) -> pd.DataFrame:
    """Queries with different texts, enough of them for the rows of every cell of `synthetic.rows.plan_cells`.

    Columns: `cell, text_language, concept, name, attribute, addition, brand, extra, targets` (rows that the query
    gets) and `query` (text). Raises UserError where the lexicon cannot make so many different queries.
    """
    batches: list[pd.DataFrame] = []
    lacking = cells["rows"].to_numpy()
    shares = TARGETS_PER_QUERY[task.name]
    mean = np.dot(shares, np.arange(len(shares)) + 1)
    for _ in range(MOST_ROUNDS):
        wanted = np.ceil(lacking / mean * 1.15).astype(int) + 2 * (lacking > 0)
        # In random order, so that each split keeps its share of the texts that more than one of them drew.
        cell = rng.permutation(np.repeat(np.arange(len(cells)), wanted))
        batches.append(_some_queries(rng, task, world, cells, cell))
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
    rng: np.random.Generator, task: Task, world: World, cells: pd.DataFrame, cell: np.ndarray
) -> pd.DataFrame:
    """One query for each entry of `cell`, repeated texts among them; `key` is what makes two texts the same."""
    languages = _text_languages(rng, task, cells, cell)
    concept = _concepts(rng, world, (cells["split"] == "train").to_numpy()[cell])
    addition = rng.choice(list(ADDITIONS), p=list(ADDITIONS.values()), size=len(cell))
    shares = TARGETS_PER_QUERY[task.name]
    drawn = pd.DataFrame(
        {
            "cell": cell,
            "text_language": languages,
            "concept": concept,
            "name": _names(rng, world.catalogue, languages, concept),
            "attribute": _attributes(rng, task, world.catalogue, concept, addition),
            "addition": addition,
            "brand": _brands(rng, world, concept, addition),
            "extra": _extras(rng, addition),
            "targets": 1 + rng.choice(len(shares), p=shares, size=len(cell)),
        }
    )
    drawn["query"] = spoil(rng, compose_queries(rng, world.catalogue, drawn), languages)
    return drawn.assign(key=drawn["query"].str.lower().str.replace(r"[\W_]+", " ", regex=True).str.strip())


def _text_languages(rng: np.random.Generator, task: Task, cells: pd.DataFrame, cell: np.ndarray) -> np.ndarray:
    """object [n]: the tagged language, or for mistagged rows another one of train."""
    other_languages = np.array([language for language in task.train_languages if language != "en"], dtype=object)
    tagged = cells["language"].to_numpy(object)[cell]
    return np.where(cells["mistagged"].to_numpy()[cell], rng.choice(other_languages, size=len(cell)), tagged)


def _concepts(rng: np.random.Generator, world: World, in_train: np.ndarray) -> np.ndarray:
    known, count = np.flatnonzero(~world.held_out), len(in_train)
    return np.where(in_train, rng.choice(known, size=count), rng.integers(len(world.held_out), size=count))


def _names(rng: np.random.Generator, catalogue: Catalogue, languages: np.ndarray, concept: np.ndarray) -> np.ndarray:
    """int [n]: 0 for the first name, higher for synonyms, GENERAL for the general word."""
    has_general = {language: np.array([bool(word) for word in words]) for language, words in catalogue.general.items()}
    able = np.zeros(len(concept), dtype=bool)
    for language, has in has_general.items():
        some = languages == language
        able[some] = has[concept[some]]
    synonym = rng.integers(6, size=len(concept)) * (rng.random(len(concept)) < SYNONYM_SHARE)
    return np.where(able & (rng.random(len(concept)) < GENERAL_SHARE), GENERAL, synonym)


def _attributes(
    rng: np.random.Generator, task: Task, catalogue: Catalogue, concept: np.ndarray, addition: np.ndarray
) -> np.ndarray:
    wanted = (rng.random(len(concept)) < ATTRIBUTE_SHARE[task.name]) | (addition == "english")
    wanted &= ~np.isin(addition, ["only_brand", "only_code"])
    return np.where(wanted, catalogue.attributes.draw(rng, concept), NONE)


def _brands(rng: np.random.Generator, world: World, concept: np.ndarray, addition: np.ndarray) -> np.ndarray:
    first = world.catalogue.family[concept] * BRANDS_PER_FAMILY
    brands = world.brands[first + rng.integers(BRANDS_PER_FAMILY, size=len(concept))]
    return np.where(np.isin(addition, ["brand", "only_brand"]), brands, "")


def _extras(rng: np.random.Generator, addition: np.ndarray) -> np.ndarray:
    is_code = np.isin(addition, ["code", "only_code"])
    extras = draw_codes_or_measures(rng, is_code)
    return np.where(is_code | (addition == "measure"), extras, "")
