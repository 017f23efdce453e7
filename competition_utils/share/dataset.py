"""Tables with folds → parquet files that `datasets.load_dataset` reads, offline or from the Hub, with a card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import yaml

from competition_utils.data.prepare import prepare
from competition_utils.errors import UserError
from competition_utils.paths import stage_folder
from competition_utils.runs.artefacts import check_as_written, find_run
from competition_utils.settings.schema import RunSettings
from competition_utils.storage import read_parquet, write_parquet, write_text
from competition_utils.tasks import LANGUAGES, SPLITS, TASKS

NO_FOLD = -1
COLUMNS = {
    "id": "number of the row, unique within task and split",
    "task": "QC (query–category) or QI (query–item)",
    "language": "language of the query as tagged in the file; Vietnamese is `vn`",
    "origin_query": "the query as in the file",
    "origin_target": "category path or item title as in the file; null where it is",
    "label": "1 relevant, 0 not; null where the file has no labels",
    "query": "the query, cleaned",
    "target": "the target, cleaned; empty for a null",
    "text_language": "language that the query is written in, as detected",
    "language_confidence": "how sure that is, 0 to 1",
    "fold": "number of the row's fold; rows of one query share it; −1 in dev and test",
    "query_en": "the query in English; empty where there is none or it would repeat the query",
    "target_en": "the title in English where it is in another language; else empty",
    "category_hint": "how probably the query asks for the target, whether it names it, how it lies to near categories",
    "source": "original, or what made the row",
    "origin_id": "id of the row that it was made from; its own for originals",
    "step": "the augmentation step that made it",
    "gate": "what became of it at the gates",
    "weight": "its weight in a fit; 1 is a normal row",
}
CARD = """\
---
{metadata}---

# Query–target relevance: tables with folds

| config | {splits} |
| --- |{line}
{rows}

`QC` and `QI` are the cleaned tables of the files; configs ending in `_augmented` have translations and created rows
besides, which inherit the fold of the row they were made from and must never serve for validation.

```python
from datasets import load_dataset

train = load_dataset("FOLDER or OWNER/NAME", "{first}")["train"]
fitted_on, validated_on = train.filter(lambda row: row["fold"] != 0), train.filter(lambda row: row["fold"] == 0)
```

{columns}

The licence is that of the data these tables were made from.
"""
Tables = dict[str, dict[str, pd.DataFrame]]  # config → split → table


def export_dataset(source: str, out: Path) -> dict[str, dict[str, int]]:
    """Write `out/CONFIG/SPLIT.parquet` and the card, last; gives config → split → rows.

    `source` is a run (clean tables of its stage eda, augmented ones of augmentation), or a folder of official files,
    which is cleaned and folded by the default settings. All splits of a config have the same columns. Raises UserError
    where `out` holds anything, or `source` is neither; DataError for faults in the files.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"export-dataset: expected a new or empty folder, found {out} in use. Choose another.")
    tables = _of_folder(Path(source)) if _has_official_files(Path(source)) else _of_run(find_run(source))
    if not tables:
        raise UserError(f"export-dataset: expected a run whose stage eda is finished, found {source} without tables.")
    rows = {}
    for config, splits in tables.items():
        for split, table in _alike(splits).items():
            write_parquet(out / config / f"{split}.parquet", table)
        rows[config] = {split: len(table) for split, table in splits.items()}
    write_text(out / "README.md", dataset_card(tables))
    return rows


def _has_official_files(folder: Path) -> bool:
    return folder.is_dir() and any(task.find_file(folder, "train") for task in TASKS.values())


def _of_folder(folder: Path) -> Tables:
    defaults = RunSettings()
    made = prepare(folder, TASKS.values(), n_folds=defaults.folds, prefix_depth=defaults.prefix_depth).tables
    return _by_config(made, "")


def _of_run(run: Path) -> Tables:
    tables: Tables = {}
    for stage, ending in (("eda", ""), ("augmentation", "_augmented")):
        names = [f"{task}_{split}" for task in TASKS for split in SPLITS]
        files = {name: stage_folder(run, stage) / f"{name}.parquet" for name in names}
        present = {name: path for name, path in files.items() if path.is_file()}
        check_as_written(run, stage, [path.name for path in present.values()])
        tables |= _by_config({name: read_parquet(path) for name, path in present.items()}, ending)
    return tables


def _by_config(named: Mapping[str, pd.DataFrame], ending: str) -> Tables:
    tables: Tables = {}
    for name, table in named.items():
        task, _, split = name.partition("_")
        tables.setdefault(task + ending, {})[split] = table
    return tables


def _alike(splits: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The splits of a config with the columns of the first, which `datasets` asks for: no label is null, no fold −1."""
    first = next(iter(splits.values()))
    filled = {}
    for split, table in splits.items():
        missing = {name: _nothing(name, first[name].dtype, table.index) for name in first if name not in table}
        filled[split] = table.assign(**missing)[list(first)]
    return filled


def _nothing(name: str, dtype: object, index: pd.Index) -> pd.Series:
    return pd.Series(NO_FOLD if name == "fold" else None, index=index, dtype=dtype)


def dataset_card(tables: Tables) -> str:
    """The card as Markdown, its YAML naming configs and splits for `load_dataset`."""
    languages = {code for splits in tables.values() for table in splits.values() for code in table["language"].unique()}
    configs = [
        {
            "config_name": config,
            "data_files": [{"split": split, "path": f"{config}/{split}.parquet"} for split in splits],
        }
        for config, splits in tables.items()
    ]
    metadata = {
        "language": sorted({LANGUAGES[code].iso if code in LANGUAGES else code for code in map(str, languages)}),
        "task_categories": ["text-classification"],
        "tags": ["query-relevance", "e-commerce"],
        "configs": configs,
    }
    rows = [
        f"| {config} | " + " | ".join(f"{len(splits[each]):,}" if each in splits else "–" for each in SPLITS) + " |"
        for config, splits in tables.items()
    ]
    named = {name for splits in tables.values() for table in splits.values() for name in table}
    columns = [f"| `{name}` | {meaning} |" for name, meaning in COLUMNS.items() if name in named]
    return CARD.format(
        metadata=yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True),
        splits=" | ".join(SPLITS),
        line=" ---: |" * len(SPLITS),
        rows="\n".join(rows),
        first=next(iter(tables)),
        columns="\n".join(["| column | meaning |", "| --- | --- |", *columns]),
    )
