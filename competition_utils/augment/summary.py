"""What went in and what came out, as small tables for the notebook's figures and the stage's metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from competition_utils.augment.build import Augmented, Results
from competition_utils.augment.rows import ORIGINAL
from competition_utils.category_tree.hints import HintWriter, first_relation, nearest_name, target_state
from competition_utils.category_tree.named import NONE, STATES
from competition_utils.category_tree.tree import RELATIONS, CategoryTree
from competition_utils.settings.strategy import Step
from competition_utils.translation.gates import Gate

NO_STEP = "This strategy has no such step: the rows stay as they are."
SEARCHED = 1_000  # queries among which examples are looked for


def outcome(before: Results, after: Results, steps: Sequence[Step]) -> Styler:
    """What some steps did to the rows of train, a line a task; the caption names the steps with their settings."""
    lines = {task: _changes(before[task], made) for task, made in after.items()}
    caption = "<br>".join(f"{step.step}: {_settings(step)}" for step in steps) or NO_STEP
    table = pd.DataFrame(lines).T.rename_axis("task")
    styled = table.style.set_caption(caption).format("{:,.0f}")
    return styled.format("{:.3f}", subset=[name for name in table if name.startswith("positive rate")])


def _settings(step: Step) -> str:
    return ", ".join(f"{name}={value}" for name, value in step.parameters.items())


def _changes(before: Augmented, after: Augmented) -> dict[str, float]:
    old, new = before.tables["train"].set_index("id"), after.tables["train"].set_index("id")
    both = old.index.intersection(new.index)
    return {
        "rows before": len(old),
        "created": len(new) - len(both),
        "left out": len(old) - len(both),
        "weight changed": int((old.loc[both, "weight"] != new.loc[both, "weight"]).sum()),
        "rows after": len(new),
        "rejected": sum(after.tools.rejections.counts.values()) - sum(before.tools.rejections.counts.values()),
        "positive rate before": float(old["label"].mean()),
        "positive rate after": float(new["label"].mean()),
    }


def gates_on_english(results: Results, gates: Mapping[str, Gate], rows: int = 100, seed: int = 0) -> pd.DataFrame:
    """What each gate looks for, and the share of English translations of train that it would reject, by language.

    Up to `rows` different translations of each language are tried. The columns are `rejects` (the first line of the
    gate's docstring) and one a language (0–1).
    """
    train = pd.concat([made.tables["train"] for made in results.values()])
    train = train[(train["query_en"] != "") & (train["language"] != "en")]
    drawn = train.drop_duplicates(["query", "language"]).sample(frac=1, random_state=seed)
    drawn = drawn.groupby("language").head(rows).reset_index(drop=True)
    pairs = pd.DataFrame({"before": drawn["query"], "after": drawn["query_en"], "source": drawn["language"]})
    pairs = pairs.assign(language="en", confidence=1.0)
    shares = {name: pd.Series(gate(pairs)).groupby(pairs["source"]).mean() for name, gate in gates.items()}
    meaning = pd.Series({name: (gate.__doc__ or "").partition("\n")[0] for name, gate in gates.items()}, dtype="str")
    table = pd.DataFrame(shares).T.reindex(gates).rename_axis("gate").rename_axis(None, axis=1)
    table.insert(0, "rejects", meaning)
    return table


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


def translated_titles(results: Results) -> pd.DataFrame:
    """`rows`, and how many have a title that was `translated`, by task and split."""
    counts = {
        (task, split): {"rows": len(table), "translated": int((table["target_en"] != "").sum())}
        for task, made in results.items()
        for split, table in made.tables.items()
    }
    return pd.DataFrame.from_dict(counts, orient="index").rename_axis(["task", "split"])


def meaning_examples(before: Results, after: Results, rows: int = 8, seed: int = 0) -> pd.DataFrame:
    """A few pairs whose query is read otherwise beside its target: `language, query, query_en, beside_target,
    target`."""
    pairs = [
        (made.tables[split], after[task].tables[split]["query_en"])
        for task, made in before.items()
        for split in made.tables
    ]
    tables = [table.assign(beside_target=english)[table["query_en"] != english] for table, english in pairs]
    shown = pd.concat(tables, ignore_index=True)[["language", "query", "query_en", "beside_target", "target"]]
    return shown.sample(min(rows, len(shown)), random_state=seed).sort_values(["language", "query"])


def title_examples(results: Results, rows: int = 5, seed: int = 0) -> pd.DataFrame:
    """A few translated titles with the queries beside them: `language` (of the query), `query, target, target_en`."""
    tables = [table[table["target_en"] != ""] for made in results.values() for table in made.tables.values()]
    shown = pd.concat(tables, ignore_index=True)[["language", "query", "target", "target_en"]]
    return shown.sample(min(rows, len(shown)), random_state=seed).reset_index(drop=True)


def paths_that_lost_levels(tree: CategoryTree, rows: int = 5) -> pd.DataFrame | None:
    """A few categories that stand above others by a path without some of its levels: `category, department, lost`.

    Prints how many there are; None where there are none.
    """
    short = np.flatnonzero(tree.full != np.arange(len(tree)))
    print(f"{len(tree):,} categories, {len(short):,} of them above others by a path that lost levels in the middle")
    found = []
    for node in short[:: max(1, len(short) // rows)][:rows]:
        levels, full = tree.levels[node], tree.levels[tree.full[node]]
        lost = ", ".join(level for level in full if level not in levels)
        found.append({"category": levels[-1], "department": levels[0], "lost": lost})
    return pd.DataFrame(found) if found else None


def hint_relations(results: Results) -> pd.DataFrame:
    """Original rows of train by how their target lies to the category nearest to the query: `task, relation, rows,
    relevant` (share), the closest relation first; rows without a hint are left out."""
    return _relevant_by(results, "relation", first_relation, RELATIONS)


def hint_states(results: Results) -> pd.DataFrame:
    """The same by whether the query names the target: `task, state, rows, relevant`."""
    return _relevant_by(results, "state", target_state, STATES)


def _relevant_by(
    results: Results, name: str, of_hints: Callable[[pd.Series], pd.Series], order: Sequence[str]
) -> pd.DataFrame:
    rows = pd.concat([made.tables["train"].assign(task=task) for task, made in results.items()])
    rows = rows[(rows["source"] == ORIGINAL) & (rows["category_hint"] != "")]
    value = pd.Categorical(of_hints(rows["category_hint"]), [*order, NONE], ordered=True)
    counted = rows.assign(**{name: value}).groupby(["task", name], observed=True)["label"]
    return counted.agg(rows="size", relevant="mean").reset_index()


def hint_examples(results: Results, rows: int = 2, seed: int = 0) -> pd.DataFrame:
    """A few hints of each task and label beside what they are about: `task, language, query, query_en, target,
    category_hint, label`."""
    tables = [made.tables["train"].assign(task=task) for task, made in results.items()]
    shown = pd.concat(tables, ignore_index=True)
    shown = shown[(shown["source"] == ORIGINAL) & (shown["query_en"] != "") & (shown["category_hint"] != "")]
    shown = shown.sample(frac=1, random_state=seed)
    columns = ["task", "language", "query", "query_en", "target", "category_hint", "label"]
    return shown.groupby(["task", "label"]).head(rows)[columns].sort_values(["task", "label"], ignore_index=True)


def placed_otherwise(results: Results, writer: HintWriter, without: str, rows: int = 8, seed: int = 0) -> pd.DataFrame:
    """Queries of train that have another place without a part of the writer, `ngrams` or `listed`: `language, query,
    query_en`, the nearest category without and with it; none for a writer that lacks it."""
    shown = ["language", "query", "query_en"]
    table = pd.concat([made.tables["train"] for made in results.values()], ignore_index=True)
    table = table[table["source"] == ORIGINAL].drop_duplicates("query")
    table = table.sample(min(SEARCHED, len(table)), random_state=seed)
    placed = table[shown].assign(**{"nearest without": nearest_name(writer.without(without).hints(table))})
    placed["nearest with"] = nearest_name(writer.hints(table))
    return placed[placed["nearest without"] != placed["nearest with"]].head(rows).reset_index(drop=True)


def created_examples(results: Results, rows: int = 3, seed: int = 0, source: str | None = None) -> pd.DataFrame:
    """Created rows beside the rows they were made from: a few of each task, source and language.

    With one `source`, `gate` says what the step noted: the band and similarity, or what was changed.
    """
    shown = []
    columns = ["language", "query", "target", "label"]
    for task, made in results.items():
        train = made.tables["train"]
        created = train[train["source"] != ORIGINAL] if source is None else train[train["source"] == source]
        created = created.sample(frac=1, random_state=seed).groupby(["source", "language"]).head(rows)
        origin = train.drop_duplicates("id").set_index("id")[columns].add_prefix("origin ")
        shown.append(created.join(origin, on="origin_id").assign(task=task))
    order = ["task", "source", "language", "origin query", "query", "origin target", "target", "label"]
    order += [] if source is None else ["gate"]
    return pd.concat(shown)[order].sort_values(["task", "source", "language"], ignore_index=True)


def changed_examples(before: Results, after: Results, rows: int = 1, seed: int = 0) -> pd.DataFrame:
    """Rows that some steps left out (weight 0) or gave another weight: a few of each task, source and language."""
    shown = []
    for task, made in after.items():
        old, new = before[task].tables["train"].set_index("id"), made.tables["train"].set_index("id")
        weight = new["weight"].reindex(old.index, fill_value=0)
        changed = old.assign(**{"weight before": old["weight"], "weight after": weight, "task": task})
        changed = changed[changed["weight before"] != changed["weight after"]].sample(frac=1, random_state=seed)
        shown.append(changed.groupby(["source", "language"]).head(rows))
    order = ["task", "source", "language", "query", "target", "label", "weight before", "weight after"]
    return pd.concat(shown)[order].sort_values(order[:3], ignore_index=True)


def weights(before: Results, after: Results) -> pd.DataFrame:
    """Sum of the weights of train by task, language and label, before and after some steps: what a fit sees."""
    sums = {
        name: pd.concat(made.tables["train"].assign(task=task) for task, made in results.items())
        .groupby(["task", "language", "label"])["weight"]
        .sum()
        for name, results in (("before", before), ("after", after))
    }
    return pd.DataFrame(sums).unstack("label").fillna(0).round().astype(int)


def rejection_counts(results: Results) -> pd.DataFrame:
    """Rejected rows: `task, step, reason, language, rows`."""
    parts = [made.tools.rejections.table().assign(task=task) for task, made in results.items()]
    return pd.concat(parts, ignore_index=True)[["task", "step", "reason", "language", "rows"]]


def rejection_examples(results: Results, rows: int = 1) -> pd.DataFrame:
    """What rejected rows looked like: `task, step, reason, language, before, after`."""
    parts = [made.tools.rejections.example_table().assign(task=task) for task, made in results.items()]
    table = pd.concat(parts, ignore_index=True)
    return table.groupby(["task", "step", "reason", "language"]).head(rows).reset_index(drop=True)


def similarity_values(results: Results) -> pd.DataFrame:
    """What mining measured: `task, kind, similarity` (cosine of query and target)."""
    parts = [part.assign(task=task) for task, made in results.items() for part in made.tools.similarities]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["task", "kind", "similarity"])


def similarity_limits(results: Results) -> dict[str, float]:
    """Task → the `max_similarity` that mining kept to, where something was mined."""
    limits = {task: made.tools.max_similarity for task, made in results.items()}
    return {task: limit for task, limit in limits.items() if limit is not None}


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
            "refused": made.tools.rejections.table().groupby("reason")["rows"].sum().to_dict(),
            "translated_share": round(
                float((shares["translated"] * shares["rows"]).sum() / max(shares["rows"].sum(), 1)), 4
            ),
            "new_languages": list(made.tools.new_languages),
            "notes": made.tools.notes,
        }
    return {"strategy": strategy, "strategy_hash": strategy_hash, "tasks": tasks}
