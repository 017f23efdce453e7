"""Rows of QI's minority class, the negatives: a query's near miss, or a query that asks for what the title is not."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from competition_utils.augment.known_pairs import KnownPairs
from competition_utils.augment.rows import add_rows, originals, sample_stratified
from competition_utils.augment.tools import Tools
from competition_utils.data.columns import english_query
from competition_utils.data.lexicon import load_lexicon
from competition_utils.models.embeddings import embed
from competition_utils.settings.strategy import Counterfactuals, SwappedTargets
from competition_utils.tasks import QC
from competition_utils.translation.interface import translate_table
from competition_utils.translation.words import UNSEGMENTED, fold

NEIGHBOURS = 24
# Words that are as often part of a thing's name ("paper towels") as a property of it …
NAMES = frozenset({"paper", "glass", "baby", "dogs", "cats"})
# … or of another property ("rose gold").
LONGER = re.compile("ros[aeé]|ローズ|로즈|โรส|róż|hồng|ورد", re.IGNORECASE)
NUMBER = r"(?<![\w.,])(\d{1,4})(?![\w.,])"
CODE = r"(?<![\w-])((?=\w*\d)(?=\w*[a-z])[a-z0-9]+-?[0-9]+[a-z]{0,2})(?![\w-])"


class Attribute(NamedTuple):
    """A word of the attribute table as it stands in a query: which attribute, and which of its forms."""

    name: str
    form: int


def swapped_targets(table: pd.DataFrame, tools: Tools, settings: SwappedTargets) -> pd.DataFrame:
    """For QI: give a positive row's query the target of a close query, with label 0.

    A close query has a similarity from `low` to below `high`: nearer ones often ask for the same thing. The other
    target must be less similar to the query than its own by `margin`, which keeps out targets that serve both. Fold
    and known pairs as in `semantic_negatives`.
    """
    if tools.task.name == QC.name:
        return table
    first = originals(table)
    positive = first[(first["label"] == 1) & (first["target"] != "")]
    rng = tools.rng("swapped targets")
    known = KnownPairs(table, tools.task)
    tried = sample_stratified(positive, int(settings.share * len(positive)), ["language"], rng)
    made = [tried.iloc[:0]]
    for number, part in tried.groupby(tried.get("fold", pd.Series(0, index=tried.index)), sort=True):
        lenders = positive[positive["fold"] == number] if "fold" in positive else positive
        made.append(_swap(part, lenders, known, settings, tools, rng))
    created = pd.concat(made)
    missed = tried.loc[tried.index.difference(created.index)]
    reasons = pd.Series("no close query whose target is worse", index=missed.index, dtype="str")
    tools.rejections.add("swapped_targets", reasons, missed, before="query", after="target")
    created = _labelled_zero(created, table, settings.weight)
    return add_rows(table, created, source="minority", step="swapped_targets")


def _swap(
    rows: pd.DataFrame,
    lenders: pd.DataFrame,
    known: KnownPairs,
    settings: SwappedTargets,
    tools: Tools,
    rng: np.random.Generator,
) -> pd.DataFrame:
    import faiss

    queries = embed(english_query(rows), tools.embedding_model)
    others = lenders.sample(frac=1, random_state=rng).assign(english=english_query).drop_duplicates("english")
    vectors = embed(others["english"], tools.embedding_model)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    close, place = index.search(queries, min(NEIGHBOURS, len(others)))
    targets = known.target_places(others)[place]
    fits = (close >= settings.low) & (close < settings.high) & known.allowed(known.query_groups(rows), targets)
    fits &= others["language"].to_numpy()[place] == rows["language"].to_numpy()[:, None]
    pick = np.argmax(rng.random(fits.shape) * fits, axis=1)
    lines = np.arange(len(rows))
    found = fits[lines, pick]
    swapped = rows[found].assign(target=pd.array(known.targets[targets[lines, pick][found]], dtype="str"))
    own, new = (
        np.einsum("nd,nd->n", queries[found], embed(targets, tools.embedding_model, kind="document"))
        for targets in (rows.loc[found, "target"], swapped["target"])
    )
    swapped["gate"] = [f"close query, {value:.2f} below its own target" for value in own - new]
    return swapped[own - new >= settings.margin]


def counterfactuals(table: pd.DataFrame, tools: Tools, settings: Counterfactuals) -> pd.DataFrame:
    """For QI: change one thing that a positive row's query asks for and its title states; the label becomes 0.

    A word is changed into another of its group (words of one group contradict each other) and in the same form, in
    the query's own language; the title must state the old one, in English or in that language, and not the new one.
    At most `share` of the positive rows are made, kinds and languages in their proportion.
    """
    if tools.task.name == QC.name:
        return table
    first = originals(table)
    positive = first[(first["label"] == 1) & (first["target"] != "")]
    rng = tools.rng("counterfactuals")
    edited = [_edit_words(rows, str(language), settings.kinds, rng) for language, rows in positive.groupby("language")]
    edited += [_edit_digits(positive, kind, rng) for kind in ("number", "code") if kind in settings.kinds]
    created = pd.concat([positive.iloc[:0].assign(gate=""), *edited])
    created = created[~created.index.duplicated()].sort_index()
    created = sample_stratified(created, int(settings.share * len(positive)), ["language"], rng)
    if tools.translator is not None and len(created):
        created["query_en"] = translate_table(created, tools.translator)
    return add_rows(table, _labelled_zero(created, table, settings.weight), source="minority", step="counterfactuals")


def _edit_words(rows: pd.DataFrame, language: str, kinds: list[str], rng: np.random.Generator) -> pd.DataFrame:
    """Rows in which one attribute word was changed; `gate` says what into what."""
    forms = _forms(language)
    if not forms:
        return rows.iloc[:0]
    attributes = load_lexicon().attributes.set_index("attribute")
    folded = rows["query"].map(fold)
    word = _found(folded, _any_of(forms, language))
    old = pd.DataFrame([forms[text] for text in word], index=word.index, columns=["name", "form"])
    old["word"] = word
    wanted = attributes.loc[old["name"], "kind"].isin(kinds).to_numpy() & ~old["name"].isin(NAMES).to_numpy()
    part = np.array([bool(LONGER.search(text)) for text in folded[old.index]], dtype=bool)
    old = old[wanted & ~((old["name"] == "gold").to_numpy() & part)]
    edited, notes, places = [], [], []
    for place, name, form, text in old.itertuples():
        group = attributes.index[(attributes["group"] == attributes.at[name, "group"]) & (attributes.index != name)]
        new = str(rng.choice(group))
        title = fold(rows.at[place, "target"])
        if _stated(name, title, language) and not _stated(new, title, language):
            replacement = _cell_forms(attributes.at[new, language])
            chosen = replacement[min(form, len(replacement) - 1)]
            edited.append(folded[place].replace(text, chosen, 1))
            notes.append(f"{attributes.at[name, 'kind']}: {name} → {new}")
            places.append(place)
    return rows.loc[places].assign(query=pd.array(edited, dtype="str"), gate=pd.array(notes, dtype="str"))


def _edit_digits(rows: pd.DataFrame, kind: str, rng: np.random.Generator) -> pd.DataFrame:
    """Rows in which a number, or the number inside a model code, that the title states was changed."""
    found = _found(rows["query"], NUMBER if kind == "number" else f"(?i){CODE}")
    step = rng.integers(1, 5, len(found))
    changed = [
        re.sub(r"\d+", lambda digits, add=add: str(int(digits[0]) + add), old, count=1)
        for old, add in zip(found, step, strict=True)
    ]
    pairs = pd.DataFrame({"old": found, "new": pd.array(changed, dtype="str")})
    titles = rows.loc[pairs.index, "target"].map(fold)
    both = zip(pairs["old"].map(fold), pairs["new"].map(fold), titles, strict=True)
    fits = [_has_word(title, old) and not _has_word(title, new) for old, new, title in both]
    pairs = pairs[np.array(fits, dtype=bool)]
    queries = rows.loc[pairs.index, "query"]
    edited = [query.replace(old, new, 1) for query, old, new in zip(queries, pairs["old"], pairs["new"], strict=True)]
    notes = kind + ": " + pairs["old"] + " → " + pairs["new"]
    return rows.loc[pairs.index].assign(query=pd.array(edited, dtype="str"), gate=notes)


@cache
def _forms(language: str) -> dict[str, Attribute]:
    """Folded word of a language → the attribute it stands for; only attributes of a group have an opposite."""
    attributes = load_lexicon().attributes
    if language not in attributes:
        return {}
    grouped = attributes[attributes["group"] != ""]
    return {
        form: Attribute(name, number)
        for name, cell in zip(grouped["attribute"], grouped[language], strict=True)
        for number, form in reversed(list(enumerate(_cell_forms(cell))))
    }


def _cell_forms(cell: str) -> list[str]:
    return [fold(form) for form in cell.removeprefix("<").split("~")]


def _found(texts: pd.Series, pattern: str) -> pd.Series:
    """What the pattern's group matches first in each text, without the texts where it matches nothing."""
    search = re.compile(pattern).search
    matches = pd.Series([search(text) for text in texts], index=texts.index, dtype=object).dropna()
    return pd.Series([match[1] for match in matches], index=matches.index, dtype="str")


def _any_of(forms: dict[str, Attribute], language: str) -> str:
    longest_first = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
    return f"({longest_first})" if language in UNSEGMENTED else rf"(?<!\w)({longest_first})(?!\w)"


def _stated(name: str, title: str, language: str) -> bool:
    """Whether a folded title states an attribute, in English or in the language."""
    row = load_lexicon().attributes.set_index("attribute").loc[name]
    return any(_has_word(title, form) for code in {"en", language} for form in _cell_forms(row[code]))


def _has_word(text: str, word: str) -> bool:
    word = word.removeprefix("for ")
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)" if word.isascii() else re.escape(word), text) is not None


def _labelled_zero(rows: pd.DataFrame, table: pd.DataFrame, weight: float) -> pd.DataFrame:
    label = pd.array(np.zeros(len(rows)), dtype=table["label"].dtype)
    return rows.assign(label=label, weight=np.float32(weight))
