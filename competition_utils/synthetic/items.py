"""The content of the sample's item titles: attribute, brand and size, for right and for wrong items."""

from __future__ import annotations

import numpy as np
import pandas as pd

from competition_utils.synthetic.catalogue import Catalogue
from competition_utils.synthetic.queries import World
from competition_utils.synthetic.text import BRANDS_PER_FAMILY, NONE, draw_codes_or_measures

CONFLICT_SHARE = 0.5  # of the wrong items, where the query asks for an attribute that another contradicts
SHARED_SHARE = 0.6  # of the wrong items have the attribute, brand or size asked for all the same
TITLE_LANGUAGES = {
    "th": (0.40, 0.035),
    "id": (0.30, 0.012),
}  # share for queries of that language, and of the rest
FILIPINO_SHARE = 0.01


def draw_conflicts(rng: np.random.Generator, catalogue: Catalogue, rows: pd.DataFrame) -> np.ndarray:
    """bool [n]: rows whose wrong item is to be the right thing with a contradicting attribute."""
    attribute = rows["attribute"].to_numpy()
    able = (attribute != NONE) & (catalogue.contrary.counts[attribute] > 0)
    return able & (rows["label"].to_numpy() == 0) & (rng.random(len(rows)) < CONFLICT_SHARE)


def draw_items(rng: np.random.Generator, world: World, rows: pd.DataFrame) -> pd.DataFrame:
    """`title_language, concept, attribute, second, brand, extra` for `synthetic.text.compose_titles`.

    `rows` has the query's `attribute, addition, brand, extra`, the `label`, `offered` (the concept of the item),
    `conflict` and `language`. A right item has all that the query asks for.
    """
    right = (rows["label"] == 1).to_numpy()
    attribute = _attributes(rng, world.catalogue, rows, right)
    return pd.DataFrame(
        {
            "title_language": _title_languages(rng, rows["language"].to_numpy(object)),
            "concept": rows["offered"].to_numpy(),
            "attribute": attribute,
            "second": _second_attributes(rng, world.catalogue, rows, attribute),
            "brand": _brands(rng, world, rows, right),
            "extra": _extras(rng, rows, right),
        }
    )


def _kept(rng: np.random.Generator, right: np.ndarray) -> np.ndarray:
    return right | (rng.random(len(right)) < SHARED_SHARE)


def _attributes(rng: np.random.Generator, catalogue: Catalogue, rows: pd.DataFrame, right: np.ndarray) -> np.ndarray:
    wanted, concept = rows["attribute"].to_numpy(), rows["offered"].to_numpy()
    free = catalogue.attributes.draw(rng, concept)
    unasked = np.where(rng.random(len(rows)) < 0.75, free, NONE)
    kept = right | (_kept(rng, right) & catalogue.attributes.holds(concept, wanted))
    found = np.where(wanted == NONE, unasked, np.where(kept, wanted, free))
    return np.where(rows["conflict"], catalogue.contrary.draw(rng, wanted), found)


def _second_attributes(
    rng: np.random.Generator, catalogue: Catalogue, rows: pd.DataFrame, first: np.ndarray
) -> np.ndarray:
    """Another attribute for half of the items, of no group that the first one or the query speaks of."""
    second = catalogue.attributes.draw(rng, rows["offered"].to_numpy())
    wanted = rows["attribute"].to_numpy()
    group = catalogue.group[second]
    clash = (second == first) | (second == wanted)
    for other in (first, wanted):
        clash |= (group != NONE) & (other != NONE) & (group == catalogue.group[other])
    return np.where(clash | (rng.random(len(rows)) < 0.5), NONE, second)


def _brands(rng: np.random.Generator, world: World, rows: pd.DataFrame, right: np.ndarray) -> np.ndarray:
    wanted = rows["brand"].to_numpy(object)
    brands, first = world.brands, world.catalogue.family[rows["offered"].to_numpy()] * BRANDS_PER_FAMILY
    place = rng.integers(BRANDS_PER_FAMILY, size=len(rows))
    other = brands[first + place]
    other = np.where(other == wanted, brands[first + (place + 1) % BRANDS_PER_FAMILY], other)
    # Where the brand is all that was asked for, an item of that brand is never wrong.
    kept = right | (_kept(rng, right) & (rows["addition"] != "only_brand").to_numpy())
    unasked = np.where(rng.random(len(rows)) < 0.65, other, "")
    return np.where(wanted == "", unasked, np.where(kept, wanted, other))


def _extras(rng: np.random.Generator, rows: pd.DataFrame, right: np.ndarray) -> np.ndarray:
    wanted, addition = rows["extra"].to_numpy(object), rows["addition"].to_numpy()
    asked_code = np.isin(addition, ["code", "only_code"])
    is_code = np.where(wanted == "", rng.random(len(rows)) < 0.4, asked_code)
    other = draw_codes_or_measures(rng, is_code)
    kept = right | (_kept(rng, right) & (addition != "only_code"))
    unasked = np.where(rng.random(len(rows)) < 0.6, other, "")
    return np.where(wanted == "", unasked, np.where(kept, wanted, other))


def _title_languages(rng: np.random.Generator, languages: np.ndarray) -> np.ndarray:
    titles = np.where(rng.random(len(languages)) < FILIPINO_SHARE, "fil", "en").astype(object)
    for language, (own, other) in TITLE_LANGUAGES.items():
        chosen = rng.random(len(languages)) < np.where(languages == language, own, other)
        titles[chosen] = language
    return titles
