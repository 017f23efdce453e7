"""What went in and what came out, as small tables for the notebook's figures and the stage's metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from competition_utils.augment.build import Augmented
from competition_utils.augment.rows import ORIGINAL

Results = Mapping[str, Augmented]  # task name → its tables


def row_counts(results: Results) -> pd.DataFrame:
    """Rows of train: `task, language, source, label, rows`."""
    counted = [
        made.tables["train"]
        .groupby(["language", "source", "label"])
        .size()
        .rename("rows")
        .reset_index()
        .assign(task=task)
        for task, made in results.items()
    ]
    columns = ["task", "language", "source", "label", "rows"]
    return pd.concat(counted, ignore_index=True)[columns].astype({"label": "int64"})


def before_and_after(results: Results) -> pd.DataFrame:
    """Rows and positive rate of each language of train, before and after: one row a task and language."""
    counts = row_counts(results).assign(positive=lambda rows: rows["label"] * rows["rows"])
    keys = ["task", "language"]
    after = counts.groupby(keys)[["rows", "positive"]].sum()
    before = counts[counts["source"] == ORIGINAL].groupby(keys)[["rows", "positive"]].sum()
    before = before.reindex(after.index, fill_value=0)
    return pd.DataFrame(
        {
            "rows before": before["rows"],
            "rows after": after["rows"],
            "positive rate before": before["positive"] / before["rows"].where(before["rows"] > 0),
            "positive rate after": after["positive"] / after["rows"],
        }
    )


def translation_coverage(results: Results) -> pd.DataFrame:
    """Share of rows of the files with an English translation: `task, split, language, rows,
    translated` (0–1).
    """
    parts = []
    for task, made in results.items():
        for split, table in made.tables.items():
            rows = table[table["source"] == ORIGINAL]
            grouped = rows.assign(translated=rows["query_en"] != "").groupby("language")["translated"]
            parts.append(grouped.agg(rows="size", translated="mean").reset_index().assign(task=task, split=split))
    return pd.concat(parts, ignore_index=True)[["task", "split", "language", "rows", "translated"]]


def translated_examples(results: Results, rows: int = 2, seed: int = 0) -> pd.DataFrame:
    """Queries of dev with their translations, a few of each language: `task, language, query,
    query_en, target`.
    """
    columns = ["task", "language", "query", "query_en", "target"]
    shown = [
        made.tables[split][made.tables[split]["query_en"] != ""].drop_duplicates("query")[columns]
        for made in results.values()
        for split in made.tables
        if split != "train"
    ]
    mixed = pd.concat(shown).sample(frac=1, random_state=seed).drop_duplicates(["task", "query"])
    return mixed.groupby(["task", "language"]).head(rows).sort_values(["task", "language"], ignore_index=True)


def created_examples(results: Results, rows: int = 3, seed: int = 0) -> pd.DataFrame:
    """Created rows beside the rows they were made from: a few of each task, source and language."""
    shown = []
    columns = ["language", "query", "target", "label"]
    for task, made in results.items():
        train = made.tables["train"]
        created = train[train["source"] != ORIGINAL].sample(frac=1, random_state=seed)
        created = created.groupby(["source", "language"]).head(rows)
        origin = train.drop_duplicates("id").set_index("id")[columns].add_prefix("origin ")
        shown.append(created.join(origin, on="origin_id").assign(task=task))
    table = pd.concat(shown)[
        ["task", "source", "step", "language", "origin query", "query", "origin target", "target", "label"]
    ]
    return table.sort_values(["task", "source", "language"], ignore_index=True)


def refusal_counts(results: Results) -> pd.DataFrame:
    """Refused rows: `task, step, reason, language, rows`."""
    parts = [made.tools.refusals.table().assign(task=task) for task, made in results.items()]
    return pd.concat(parts, ignore_index=True)[["task", "step", "reason", "language", "rows"]]


def refusal_examples(results: Results, rows: int = 1) -> pd.DataFrame:
    """What refused rows looked like: `task, step, reason, language, before, after`."""
    parts = [made.tools.refusals.example_table().assign(task=task) for task, made in results.items()]
    table = pd.concat(parts, ignore_index=True)
    return table.groupby(["task", "step", "reason", "language"]).head(rows)


def similarity_values(results: Results) -> pd.DataFrame:
    """What mining measured: `task, kind, similarity` (cosine of query and target)."""
    parts = [part.assign(task=task) for task, made in results.items() for part in made.tools.similarities]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["task", "kind", "similarity"])


def step_seconds(results: Results) -> pd.DataFrame:
    """Seconds of each step and task; for the reader, not for the metrics (they differ from run to run)."""
    return pd.DataFrame({task: made.seconds for task, made in results.items()}).round(2)


def metrics(results: Results, strategy: str, strategy_hash: str) -> dict[str, Any]:
    """The stage's metrics: the strategy, and rows by source and label for each task."""
    counts = row_counts(results)
    coverage = translation_coverage(results)
    tasks = {}
    for task, made in results.items():
        rows = counts[counts["task"] == task]
        shares = coverage[(coverage["task"] == task) & (coverage["split"] == "train") & (coverage["language"] != "en")]
        tasks[task] = {
            "rows": {source: int(part["rows"].sum()) for source, part in rows.groupby("source")},
            "positive": {source: int((part["rows"] * part["label"]).sum()) for source, part in rows.groupby("source")},
            "refused": made.tools.refusals.table().groupby("reason")["rows"].sum().to_dict(),
            "translated_share": round(
                float((shares["translated"] * shares["rows"]).sum() / max(shares["rows"].sum(), 1)), 4
            ),
            "new_languages": list(made.tools.new_languages),
            "notes": made.tools.notes,
        }
    return {"strategy": strategy, "strategy_hash": strategy_hash, "tasks": tasks}
