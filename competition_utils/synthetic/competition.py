"""The built-in sample competition: official files in the official format, out of the lexicon and a seed.

It stands in for the competition's data, which is not freely available, and behaves like it: languages, positive
rates, several targets a query, traps and noise. Scores on it are not scores on the competition.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.data import lexicon as lexicon_module
from competition_utils.data.lexicon import Lexicon, load_lexicon, names
from competition_utils.errors import UserError
from competition_utils.progress import progress
from competition_utils.storage import atomic_write, hash_file, read_json, write_json
from competition_utils.synthetic.catalogue import Catalogue
from competition_utils.synthetic.items import draw_conflicts, draw_items
from competition_utils.synthetic.queries import World, draw_queries
from competition_utils.synthetic.rows import (
    NOISE,
    WRONG_LEVELS,
    draw_forms,
    draw_labels,
    plan_cells,
    rearrange,
)
from competition_utils.synthetic.text import GENERAL, NONE, compose_paths, compose_titles
from competition_utils.tasks import SPLITS, TASKS, Task

MARK = "sample.json"
FEWEST_ROWS = 100
FORM_SHARES = (0.55, 0.32, 0.13)  # of category paths: the concept's own, its parent, a child
LEXICON_SHARE = 0.85
TEXT_LABEL_SHARE = 0.02  # labels written "0" or "1"
# Queries that read like a missing value; each split has its own, as no query of train occurs in dev or test.
MISSING_LOOKALIKES = {"train": ("nan", "null", "none"), "dev": ("n/a", "na"), "test": ("nil", "undefined")}


def make_sample(
    folder: Path | str, rows: int = 6000, dev_rows: int = 2000, test_rows: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Write a sample competition into `folder`; equal arguments give equal bytes.

    rows, dev_rows, test_rows: rows a task of train (labelled, 4% of the labels wrong), dev (labelled) and test.

    Files: `{train,dev,test}_{QC,QI}.txt` (official JSON lines), `test_{QC,QI}_answers.csv` (`id, label`, for
    measuring only), `lexicon.tsv` (`source_lang, source_text, target_lang, target_text`, about 85% of the terms)
    and `sample.json`, the mark by which a later call knows the folder. Returns the mark's content: `settings`,
    `files` (rows of each) and `complete`; plus `written`, False where the same sample was there already.
    Raises UserError for too few rows, or a folder that holds anything and was not written by this function.
    """
    folder = Path(folder)
    settings = _checked_settings(rows=rows, dev_rows=dev_rows, test_rows=test_rows, seed=seed)
    mark = _read_mark(folder)
    if mark.get("complete") and mark.get("settings") == settings:
        return mark | {"written": False}
    write_json(folder / MARK, {"settings": settings, "files": {}, "complete": False})
    sizes = dict(zip(SPLITS, (rows, dev_rows, test_rows), strict=True))
    files = dict(_write_files(folder, sizes, seed))
    mark = {"settings": settings, "files": files, "complete": True}
    write_json(folder / MARK, mark)
    return mark | {"written": True}


def _checked_settings(**numbers: int) -> dict[str, Any]:
    few = [name for name in ("rows", "dev_rows", "test_rows") if numbers[name] < FEWEST_ROWS]
    if few or numbers["seed"] < 0:
        found = ", ".join(f"{name} {value}" for name, value in numbers.items())
        raise UserError(
            f"sample: expected at least {FEWEST_ROWS} rows a file and a seed of 0 or more, found {found}. "
            "Ask for more rows."
        )
    return numbers | {"made_with": fingerprint()}


def fingerprint() -> str:
    """Changes with the lexicon and the generator, so that a folder of an older version is written anew."""
    tables, generator = Path(lexicon_module.__file__).parent.glob("lexicon/*.tsv"), Path(__file__).parent.glob("*.py")
    return "".join(hash_file(path)[:8] for path in sorted([*tables, *generator]))


def _read_mark(folder: Path) -> dict[str, Any]:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return {}
    if not (folder / MARK).is_file():
        raise UserError(
            f"sample: expected an empty folder or one written by this command, found {folder} with other content. "
            "Give another folder."
        )
    return read_json(folder / MARK)


def _write_files(folder: Path, sizes: dict[str, int], seed: int) -> Iterator[tuple[str, int]]:
    lexicon = load_lexicon()
    # One generator for what the tasks share, one for each task: neither disturbs the other.
    shared = np.random.default_rng([seed, 0])
    world = World.of(shared, lexicon)
    terms = _known_terms(lexicon, shared)
    _write_table(folder / "lexicon.tsv", terms, sep="\t")
    yield "lexicon.tsv", len(terms)
    for number, task in enumerate(progress(list(TASKS.values()), what="sample", unit="tasks"), start=1):
        table = _make_task(np.random.default_rng([seed, number]), task, world, sizes)
        for split in SPLITS:
            part = table[table["split"] == split]
            _write_lines(folder / task.file_name(split), task, part, labelled=split != "test")
            yield task.file_name(split), len(part)
        answers = table.loc[table["split"] == "test", ["id", "label"]]
        _write_table(folder / f"test_{task.name}_answers.csv", answers, sep=",")
        yield f"test_{task.name}_answers.csv", len(answers)


def _known_terms(lexicon: Lexicon, rng: np.random.Generator) -> pd.DataFrame:
    """The pairs of a random 85% of the terms: a term is a text of another language than English.

    A name's English is any of the concept's English names, as dictionaries give it, not always the category's own.
    """
    pairs = lexicon.pairs()
    into_english = pairs["target_lang"] == "en"
    foreign = pairs["source_text"].where(into_english, pairs["target_text"])
    language = pairs["source_lang"].where(into_english, pairs["target_lang"])
    term = (language + "\t" + foreign).factorize()[0]
    synonyms = {some[0]: some for some in map(names, lexicon.concepts["en"])}
    dice = rng.random(len(pairs))
    english = [
        some[int(die * len(some))]
        for some, die in zip((synonyms.get(text, [text]) for text in pairs["target_text"]), dice, strict=True)
    ]
    pairs = pairs.assign(target_text=pairs["target_text"].where(~into_english, english))
    return pairs[(rng.random(term.max() + 1) < LEXICON_SHARE)[term]]


def _make_task(rng: np.random.Generator, task: Task, world: World, sizes: dict[str, int]) -> pd.DataFrame:
    """All rows of a task in file order: `split, id, language, query, target, label`."""
    cells = plan_cells(task, sizes)
    queries = draw_queries(rng, task, world, cells)
    rows = _rows_of(rng, queries, cells)
    rows["label"] = draw_labels(rng, rows["cell"].to_numpy(), cells["rate"].to_numpy())
    make_targets = _category_targets if task.name == "QC" else _item_targets
    rows["target"] = make_targets(rng, world, rows)
    return _with_traps(rng, task, rows)


def _rows_of(rng: np.random.Generator, queries: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """One row a target, as many a cell as planned; the rows of a query lie together."""
    queries = queries.sort_values("cell", kind="stable", ignore_index=True)
    rows = queries.loc[queries.index.repeat(queries["targets"])].rename_axis("asker").reset_index()
    rows = rows[rows.groupby("cell").cumcount() < rows["cell"].map(cells["rows"])].reset_index(drop=True)
    return rows.assign(split=rows["cell"].map(cells["split"]), language=rows["cell"].map(cells["language"]))


def _offered_concepts(
    rng: np.random.Generator, catalogue: Catalogue, rows: pd.DataFrame, form: np.ndarray, wrong: np.ndarray
) -> np.ndarray:
    """int [n]: the concept of every target; where `wrong` (bool [n]), one that does not fit the query."""
    asked, general = rows["concept"].to_numpy(), (rows["name"] == GENERAL).to_numpy().astype(np.int8)
    groups = [catalogue.family, catalogue.top, np.zeros_like(catalogue.top)]
    level = rng.choice(len(groups), p=WRONG_LEVELS, size=len(rows))
    offered = asked.copy()
    for split in SPLITS:  # within a split, so that train never shows what is held out
        some = np.flatnonzero(wrong & (rows["split"] == split).to_numpy())
        offered[some] = rearrange(rng, asked[some], form[some], general[some], level[some], groups, catalogue.related)
    return offered


def _category_targets(rng: np.random.Generator, world: World, rows: pd.DataFrame) -> np.ndarray:
    catalogue, wanted = world.catalogue, rows["attribute"].to_numpy()
    form = draw_forms(rng, rows["asker"].to_numpy(), FORM_SHARES)
    concept = _offered_concepts(rng, catalogue, rows, form, wrong=(rows["label"] == 0).to_numpy())
    child = catalogue.child_attributes.draw(rng, concept)
    # A child category never contradicts the query, be it the right concept's or a wrong one's.
    clash = (child != NONE) & (wanted != NONE) & (catalogue.group[child] != NONE)
    clash &= catalogue.group[child] == catalogue.group[wanted]
    return compose_paths(catalogue, concept, form, np.where(clash, wanted, child))


def _item_targets(rng: np.random.Generator, world: World, rows: pd.DataFrame) -> np.ndarray:
    conflict = draw_conflicts(rng, world.catalogue, rows)
    form = np.zeros(len(rows), dtype=np.int8)
    wrong = (rows["label"] == 0).to_numpy() & ~conflict
    offered = _offered_concepts(rng, world.catalogue, rows, form, wrong)
    items = draw_items(rng, world, rows.assign(offered=offered, conflict=conflict))
    return compose_titles(rng, world.catalogue, items)


def _with_traps(rng: np.random.Generator, task: Task, rows: pd.DataFrame) -> pd.DataFrame:
    """Queries that read like a missing value, null titles, wrong labels in train; rows in random order, with ids."""
    rows = rows.iloc[rng.permutation(len(rows))].sort_values("split", kind="stable", ignore_index=True)
    rows["id"] = rows.groupby("split").cumcount() + 1
    train = (rows["split"] == "train").to_numpy()
    flipped = train & (rng.random(len(rows)) < NOISE)
    rows["label"] = np.where(flipped, 1 - rows["label"], rows["label"])
    for split, texts in MISSING_LOOKALIKES.items():
        askers = rows.loc[rows["split"] == split, "asker"].unique()
        chosen = dict(zip(rng.choice(askers, size=len(texts), replace=False), texts, strict=True))
        rows["query"] = rows["asker"].map(chosen).fillna(rows["query"])
    if task.name == "QI":
        counts = {"train": max(2, round(0.0013 * train.sum())), "dev": 1}
        for split, count in counts.items():
            null = rng.choice(np.flatnonzero(rows["split"] == split), size=count, replace=False)
            rows.loc[null, "target"] = None
    return rows.assign(text_label=rng.random(len(rows)) < TEXT_LABEL_SHARE)


def _write_lines(path: Path, task: Task, rows: pd.DataFrame, labelled: bool) -> None:
    fields = [*task.fields, "label"] if labelled else task.fields
    labels = [str(label) if text else label for label, text in zip(rows["label"], rows["text_label"], strict=True)]
    encode = json.JSONEncoder(ensure_ascii=False).encode
    targets = rows["target"].astype(object).where(rows["target"].notna(), None)
    columns = zip(rows["id"], rows["language"], rows["query"], targets, labels, strict=True)
    with atomic_write(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as stream:
        for number, language, query, target, label in columns:
            values = (number, task.name, language, query, target, label)
            stream.write(encode(dict(zip(fields, values, strict=False))) + "\n")


def _write_table(path: Path, table: pd.DataFrame, sep: str) -> None:
    with atomic_write(path) as beside:
        table.to_csv(beside, sep=sep, index=False, lineterminator="\n")
