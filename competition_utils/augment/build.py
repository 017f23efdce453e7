"""From clean tables to augmented ones: translate the queries, then run a strategy's steps on train."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from competition_utils.augment.rows import start_table
from competition_utils.augment.strategies import Strategy
from competition_utils.augment.tools import Judge, Tools
from competition_utils.data.files import find_lexicon
from competition_utils.data.lexicon import load_lexicon
from competition_utils.tasks import Task
from competition_utils.translation.interface import Translator, translate_rows
from competition_utils.translation.lexicon import COLUMNS, LexiconTranslator
from competition_utils.translation.neural import FOUR_BIT, InstructLoader, open_model_translator
from competition_utils.translation.neural_families import FAMILIES

AUTO, NONE, BUILT_IN = "auto", "none", "built_in"
CACHE_FILE = "translations.sqlite"


@dataclass(frozen=True)
class Augmented:
    """Tables by split ("train", …), the tools with what the steps noted, and seconds by step."""

    tables: dict[str, pd.DataFrame]
    tools: Tools
    seconds: dict[str, float]


def open_translator(
    choice: str,
    data_dir: Path | str,
    cache_dir: Path | str | None = None,
    *,
    load_instruct: InstructLoader | None = None,
) -> Translator | None:
    """The translator that a setting means.

    "auto": the data folder's `lexicon.tsv[.gz]`, none where there is none; "built_in": the words of the built-in
    sample; "none"; "nllb:MODEL", "m2m100:MODEL", "madlad:MODEL", "opus:MODEL" or "instruct:MODEL" (their
    translations are kept in `cache_dir`; `load_instruct` loads the last kind's models); else the path of a lexicon.
    """
    if choice == NONE:
        return None
    if choice == AUTO:
        path = find_lexicon(data_dir)
        return None if path is None else LexiconTranslator.from_file(path)
    if choice == BUILT_IN:
        return LexiconTranslator(load_lexicon().pairs()[COLUMNS], model=BUILT_IN)
    if choice.partition(":")[0] in (*FAMILIES, *FOUR_BIT):
        cache_path = None if cache_dir is None else Path(cache_dir) / CACHE_FILE
        return open_model_translator(choice, cache_path, load_instruct)
    return LexiconTranslator.from_file(choice)


def new_languages(clean: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """Languages that dev or test have and train lacks, sorted."""
    seen = set(clean["train"]["language"])
    asked = {language for split, table in clean.items() if split != "train" for language in table["language"].unique()}
    return tuple(sorted(asked - seen))


def augment_tasks(
    clean: Mapping[tuple[str, str], pd.DataFrame],
    tasks: Sequence[Task],
    strategy: Strategy,
    translator: Translator | None,
    *,
    seed: int = 0,
    embedding_model: str = "minilm",
    new_judge: Callable[[], Judge] | None = None,
) -> dict[str, Augmented]:
    """Augmented tables of several tasks by task name; `clean` is (task name, split) → clean table.

    `new_judge` gives the models that the step `self_validate` fits.
    """
    made = {}
    for task in tasks:
        tables = {split: table for (name, split), table in clean.items() if name == task.name}
        tools = Tools(task, translator, new_languages(tables), seed, embedding_model, new_judge)
        made[task.name] = augment_tables(tables, strategy, tools)
    return made


def augment_tables(clean: Mapping[str, pd.DataFrame], strategy: Strategy, tools: Tools) -> Augmented:
    """Augmented tables of one task.

    `clean` has "train" and what there is of "dev" and "test". Only train gets rows; all get `query_en`.
    """
    tables, seconds = {}, {}
    start = time.perf_counter()
    for split, table in clean.items():
        table = table.reset_index(drop=True)
        english = pd.Series("", index=table.index, dtype="str")
        if tools.translator is not None:
            read = translate_rows(table, tools.translator)
            english = read["translated"]
            if split == "train":
                tools.english = read.set_index(pd.Index(table["id"]))
        tables[split] = start_table(table, english)
    seconds["translate queries to English"] = time.perf_counter() - start
    for step in strategy.steps:
        start = time.perf_counter()
        tables["train"] = step.run(tables["train"], tools)
        seconds[step.name] = seconds.get(step.name, 0.0) + time.perf_counter() - start
    return Augmented(tables, tools, seconds)
