"""From clean tables to augmented ones: translate the queries, then run a strategy's steps on train, one by one.

Nothing is changed in place: each function gives new results, so that a notebook's cell can be edited and run again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import pandas as pd

from competition_utils.augment.rows import start_table
from competition_utils.augment.strategies import VALIDATE, Strategy, step_function
from competition_utils.augment.tools import Tools
from competition_utils.category_tree.hints import HintWriter
from competition_utils.category_tree.named import ListedNames
from competition_utils.category_tree.ngrams import NgramVectors
from competition_utils.category_tree.tree import CategoryTree
from competition_utils.settings.strategy import Step
from competition_utils.tasks import QC, Task
from competition_utils.translation import meanings
from competition_utils.translation.gates import GATES, Gate
from competition_utils.translation.interface import Translator, no_pairs, translate_rows
from competition_utils.translation.titles import english_titles

TRANSLATE, TRANSLATE_TITLES = "translate queries to English", "translate titles to English"
HINT = "category hints"
MEANINGS = "words of several meanings"


@dataclass(frozen=True)
class Augmented:
    """A task's tables by split ("train", …), the tools with what the steps logged, and seconds by step."""

    tables: dict[str, pd.DataFrame]
    tools: Tools
    seconds: dict[str, float]


Results = Mapping[str, Augmented]  # task name → its tables


def new_languages(clean: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """Languages that dev or test have and train lacks, sorted."""
    seen = set(clean["train"]["language"])
    asked = {language for split, table in clean.items() if split != "train" for language in table["language"].unique()}
    return tuple(sorted(asked - seen))


def translate_tasks(
    clean: Mapping[tuple[str, str], pd.DataFrame],
    tasks: Sequence[Task],
    translator: Translator | None,
    *,
    seed: int = 0,
    embedding_model: str = "minilm",
) -> dict[str, Augmented]:
    """Clean tables, by (task name, split), as augmented ones with English for every query and no created rows yet."""
    made = {}
    for task in tasks:
        tables = {split: table for (name, split), table in clean.items() if name == task.name}
        made[task.name] = translate_tables(
            tables, Tools(task, translator, new_languages(tables), seed, embedding_model)
        )
    return made


def translate_tables(clean: Mapping[str, pd.DataFrame], tools: Tools) -> Augmented:
    """As `translate_tasks`, for one task: `clean` has "train" and what there is of "dev" and "test"."""
    start = time.perf_counter()
    tables, english_of_train = {}, None
    for split, table in clean.items():
        table = table.reset_index(drop=True)
        english = pd.Series("", index=table.index, dtype="str")
        if tools.translator is not None:
            read = translate_rows(table, tools.translator)
            english = read["translated"]
            if split == "train":
                english_of_train = read.set_index(pd.Index(table["id"]))
        tables[split] = start_table(table, english)
    seconds = {TRANSLATE: time.perf_counter() - start}
    return Augmented(tables, replace(tools, english=english_of_train), seconds)


def use_gates(results: Results, gates: Mapping[str, Gate] = GATES) -> dict[str, Augmented]:
    """Results whose later steps check translations by `gates`."""
    return {task: replace(made, tools=replace(made.tools, gates=dict(gates))) for task, made in results.items()}


def run_steps(results: Results, steps: Iterable[Step]) -> dict[str, Augmented]:
    """Results after the steps, run one after another on the rows of train of every task."""
    for step in steps:
        results = {task: run_step(made, step) for task, made in results.items()}
    return dict(results)


def run_step(made: Augmented, step: Step) -> Augmented:
    """One task's results after one step; only train gets rows."""
    start = time.perf_counter()
    tools = made.tools.copy()
    train = step_function(step)(made.tables["train"], tools, step)
    spent = made.seconds.get(step.step, 0.0) + time.perf_counter() - start
    return Augmented({**made.tables, "train": train}, tools, {**made.seconds, step.step: spent})


def translate_targets(results: Results) -> dict[str, Augmented]:
    """Results with `target_en`, English for titles in other languages, in all tables; after all steps that change
    titles."""
    made = {}
    for task, of_task in results.items():
        start = time.perf_counter()
        tables = {
            split: table.assign(target_en=english_titles(table, of_task.tools.translator))
            for split, table in of_task.tables.items()
        }
        made[task] = replace(
            of_task, tables=tables, seconds={**of_task.seconds, TRANSLATE_TITLES: time.perf_counter() - start}
        )
    return made


def disambiguate(results: Results) -> dict[str, Augmented]:
    """Results whose words of several meanings are read as the pair's other text has them (`translation.meanings`)."""
    made = {}
    for task, of_task in results.items():
        start, translator = time.perf_counter(), of_task.tools.translator
        tables = {split: meanings.disambiguate(table, translator) for split, table in of_task.tables.items()}
        made[task] = replace(of_task, tables=tables, seconds={**of_task.seconds, MEANINGS: time.perf_counter() - start})
    return made


def category_tree(results: Results, category_hints: bool = True) -> CategoryTree:
    """The tree of all categories that QC's tables name, whatever the split; empty without QC, or without hints."""
    tables = results[QC.name].tables.values() if category_hints and QC.name in results else ()
    return CategoryTree(path for table in tables for path in table["target"].unique())


def fit_ngrams(results: Results, tree: CategoryTree) -> NgramVectors | None:
    """N-grams fitted on phrases that the translator knows and on the names of the categories; None without either."""
    tools = next(iter(results.values())).tools
    pairs = _known_pairs(tools)
    if not len(tree) or pairs.empty:
        return None
    names = tree.names["name"].drop_duplicates()
    pairs = pd.concat([pairs, pd.DataFrame({"source_text": names, "target_text": names})], ignore_index=True)
    return NgramVectors.fitted(pairs, tools.embedding_model, tools.seed)


def _known_pairs(tools: Tools) -> pd.DataFrame:
    """The phrases that the translator knows in English; none without a translator."""
    return no_pairs() if tools.translator is None else tools.translator.known_pairs("en")


def hint_writer(results: Results, tree: CategoryTree, ngrams: NgramVectors | None = None) -> HintWriter:
    """What writes hints by the tree, by n-grams where there are some, and by the names that the translator knows; it
    measures nearness on the queries of train.

    By an empty tree every hint is empty.
    """
    trained = pd.concat([made.tables["train"] for made in results.values()], ignore_index=True)
    tools = next(iter(results.values())).tools
    listed = ListedNames.of_pairs(_known_pairs(tools))
    return HintWriter.measured(tree, trained, tools.embedding_model, ngrams, listed)


def add_hints(results: Results, writer: HintWriter) -> dict[str, Augmented]:
    """Results with `category_hint` in all tables, see `category_tree.hints`; after all steps that make rows, since a
    hint is about the English of both texts."""
    made = {}
    for task, of_task in results.items():
        start = time.perf_counter()
        tables = {split: table.assign(category_hint=writer.hints(table)) for split, table in of_task.tables.items()}
        made[task] = replace(of_task, tables=tables, seconds={**of_task.seconds, HINT: time.perf_counter() - start})
    return made


def augment_tasks(
    clean: Mapping[tuple[str, str], pd.DataFrame],
    tasks: Sequence[Task],
    strategy: Strategy,
    translator: Translator | None,
    *,
    seed: int = 0,
    embedding_model: str = "minilm",
) -> dict[str, Augmented]:
    """The whole strategy in one call: what notebook 02 does step by step, with the same result."""
    sections = strategy.sections()
    validation = sections.pop(VALIDATE)
    translated = translate_tasks(clean, tasks, translator, seed=seed, embedding_model=embedding_model)
    results = translate_targets(run_steps(translated, chain.from_iterable(sections.values())))
    results = disambiguate(results)
    tree = category_tree(results)
    hinted = add_hints(results, hint_writer(results, tree, fit_ngrams(results, tree)))
    return run_steps(hinted, validation)
