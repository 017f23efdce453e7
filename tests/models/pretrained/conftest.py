"""What the tests of the converted models share: texts of the fourteen languages, and the models where their extras
are installed."""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path

import pytest

from competition_utils.models.pretrained import PRETRAINED, folder_of

LANGUAGES = ("en", "es", "fr", "ja", "ko", "pt", "th", "ar", "de", "it", "pl", "id", "vn", "tr")


def product_names(language: str) -> list[str]:
    """The built-in lexicon's names of products in a language, as they are written there."""
    with (files("competition_utils.data") / "lexicon" / "concepts.tsv").open(encoding="utf-8") as stream:
        return [row[language] for row in csv.DictReader(stream, delimiter="\t") if row[language]]


def needs(name: str):
    """A mark that skips tests where a model's extra is not installed."""
    model = PRETRAINED[name]
    return pytest.mark.skipif(not model.installed, reason=f"the extra [{model.extra}] is not installed")


@pytest.fixture(scope="session")
def gemma_folder() -> Path:
    return folder_of("gemma-3-270m")


@pytest.fixture(scope="session")
def e5_folder() -> Path:
    return folder_of("multilingual-e5-small")
