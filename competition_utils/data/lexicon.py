"""The multilingual lexicon behind the built-in sample competition, and the phrases that it can make.

Four tab-separated tables in `data/lexicon/`, written by hand for this project. A cell of a language holds

- in `concepts.tsv`, one or more names of a product, split by ` / `; where adjectives agree with nouns, each
  name ends in its mark, gender and number: `|m |f |mp |fp` (es fr pt it), `|m |f |n |p` (de pl, p for
  plural), `|m |f` (ar, where plurals of things count as f);
- in `attributes.tsv`, one word: invariant, or its forms split by `~` in the order of the marks above; a
  leading `<` says that the word stands before the noun.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import pandas as pd

from competition_utils import tasks

LANGUAGES = tuple(code for code in tasks.LANGUAGES if code != "ru")  # the columns of the tables
ROMANCE_MARKS = ("m", "f", "mp", "fp")
NEUTER_MARKS = ("m", "f", "n", "p")
AGREEMENT: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("es", "fr", "pt", "it"), ROMANCE_MARKS),
    **dict.fromkeys(("de", "pl"), NEUTER_MARKS),
    "ar": ("m", "f"),
}
UNSPACED = frozenset({"th"})
BEFORE, FORMS, NAMES, MARK = "<", "~", " / ", "|"


@dataclass(frozen=True)
class Lexicon:
    """The four tables; every frame has one column a language, all text, an empty `group` is "".

    concepts: `concept, path, kinds` and the languages.
    attributes: `attribute, kind, group` and the languages; two words of one group contradict each other.
    words: one row a `role` (buy, cheap, gift, …), which is the index, and the languages.
    title_words: language code → filler words of item titles.
    """

    concepts: pd.DataFrame
    attributes: pd.DataFrame
    words: pd.DataFrame
    title_words: dict[str, tuple[str, ...]]

    def pairs(self) -> pd.DataFrame:
        """Return the translation memory from and into English.

        Columns `source_lang, source_text, target_lang, target_text`. Every name and every form of an
        adjective is a source; its target is the first name or form on the other side. A source text has one
        target a language: where rows share a name, the first row's.
        """
        tables = [self.concepts, self.attributes, self.words.reset_index()]
        memory = pd.concat([_pairs_of(table) for table in tables], ignore_index=True)
        return memory.drop_duplicates(["source_lang", "source_text", "target_lang"], ignore_index=True)


@functools.cache
def load_lexicon() -> Lexicon:
    """Read the lexicon that comes with the package. It is shared: copy a frame before changing it."""
    fillers = _read("title_words.tsv").groupby("language", sort=False)["word"].agg(tuple)
    return Lexicon(
        concepts=_read("concepts.tsv"),
        attributes=_read("attributes.tsv"),
        words=_read("words.tsv").set_index("role"),
        title_words=fillers.to_dict(),
    )


def names(cell: str) -> list[str]:
    """Return the names in a concept's cell, without their marks: two of `leggings|mp / mallas|fp`."""
    return [name.partition(MARK)[0] for name in cell.split(NAMES)]


def phrase(concept_cell: str, attribute_cells: Sequence[str], language: str) -> str:
    """Compose a noun with attribute words, agreeing and placed as the language has them.

    concept_cell: a concept's cell, or one of its names with its mark; the first name is used.
    attribute_cells: cells of `attributes.tsv` in the order wanted, which each side of the noun keeps.
    """
    noun, _, mark = concept_cell.split(NAMES)[0].partition(MARK)
    before = [_form(cell, mark, language) for cell in attribute_cells if cell.startswith(BEFORE)]
    after = [_form(cell, mark, language) for cell in attribute_cells if not cell.startswith(BEFORE)]
    return ("" if language in UNSPACED else " ").join([*before, noun, *after])


def _form(attribute_cell: str, mark: str, language: str) -> str:
    forms = attribute_cell.removeprefix(BEFORE).split(FORMS)
    return forms[0] if len(forms) == 1 else forms[AGREEMENT[language].index(mark)]


def _read(name: str) -> pd.DataFrame:
    with resources.files("competition_utils.data").joinpath("lexicon", name).open(encoding="utf-8") as file:
        return pd.read_csv(file, sep="\t", dtype="str", keep_default_na=False, quoting=csv.QUOTE_NONE)


def _pairs_of(table: pd.DataFrame) -> pd.DataFrame:
    texts = _texts(table)
    first = texts.drop_duplicates(["key", "language"])
    sources = texts.rename(columns={"language": "source_lang", "text": "source_text"})
    targets = first.rename(columns={"language": "target_lang", "text": "target_text"})
    both_ways = [
        sources.query("source_lang != 'en'").merge(targets.query("target_lang == 'en'"), on="key"),
        sources.query("source_lang == 'en'").merge(targets.query("target_lang != 'en'"), on="key"),
    ]
    return pd.concat(both_ways, ignore_index=True).drop(columns="key")


def _texts(table: pd.DataFrame) -> pd.DataFrame:
    """Return `key, language, text`: every name and form of a row, without marks, in the order of the cell."""
    rows = table[list(LANGUAGES)].rename_axis("key").reset_index()
    texts = rows.melt("key", var_name="language", value_name="text")
    bare = texts["text"].str.removeprefix(BEFORE).str.split(f"{NAMES}|{FORMS}", regex=True)
    texts = texts.assign(text=bare).explode("text", ignore_index=True)
    return texts.assign(text=texts["text"].astype("str").str.partition(MARK)[0])
