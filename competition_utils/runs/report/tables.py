"""One table of runs for the ledger, `compare` and `sweep`: in the terminal, in a notebook and on a page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

MODELS = ("linear", "encoder", "decoder")
OWN_COLUMN = ("strategy", "model", "task", "seed")  # settings that a table of runs is about
FAILED = "FAILED"
SHORT_HASH = 8
WIDE = 250  # columns of a table that goes into a file or a pipe


@dataclass(frozen=True)
class RunsTable:
    """`frame`: a row a run, what differs between them and their figures; `same`: what is the same in all."""

    frame: pd.DataFrame
    same: dict[str, str]


def runs_table(entries: Sequence[Mapping[str, Any]]) -> RunsTable:
    """The table of runs given as entries of the ledger (`runs.ledger.entry`), in their order.

    Columns: F1 by task, their mean, F1 on unseen languages, seconds, CPU or GPU hours (devices held × time), then
    config, settings, versions, device, commit and settings' hash, as far as they differ. Entries of earlier releases
    lack settings and versions. An entry with `failure` (a text) has FAILED for every figure, and the text beside it.
    """
    rows = [{**_figures(entry), **_cost(entry)} for entry in entries]
    identities = [_identity(entry, other) for entry, other in zip(entries, _other_settings(entries), strict=True)]
    same = {}
    for column in dict.fromkeys(name for one in identities for name in one):
        values = [one.get(column) for one in identities]
        if len(set(values)) == 1 and column not in ("finished", "settings hash") and len(values) > 1:
            same[column] = values[0]
        else:
            rows = [{**row, column: value} for row, value in zip(rows, values, strict=True)]
    names = pd.Index([str(entry.get("name")) for entry in entries], name="run")
    frame = pd.DataFrame(rows, index=names).dropna(axis="columns", how="all")
    if any(entry.get("failure") for entry in entries):
        frame = _with_failures(frame, [entry.get("failure") for entry in entries])
    return RunsTable(frame, {name: value for name, value in same.items() if value})


def _figures(entry: Mapping[str, Any]) -> dict[str, Any]:
    by_task = {f"{task} F1": f1 for task, f1 in (entry.get("f1") or {}).items()}
    unseen = {f"{task} unseen": f1 for task, f1 in (entry.get("unseen_f1") or {}).items()}
    return {"mean F1": entry.get("f1_mean"), **by_task, **unseen}


def _with_failures(frame: pd.DataFrame, failures: Sequence[str | None]) -> pd.DataFrame:
    failed = [failure is not None for failure in failures]
    figures = [name for name in frame if name.endswith((" F1", " unseen"))] or ["mean F1"]
    frame = frame.reindex(columns=list(dict.fromkeys([*figures, *frame]))).astype(dict.fromkeys(figures, object))
    frame.loc[failed, figures] = FAILED
    frame.insert(len(figures), "failure", [" ".join((failure or "").split()) or None for failure in failures])
    return frame


def _cost(entry: Mapping[str, Any]) -> dict[str, Any]:
    if not entry.get("seconds") or not entry.get("device"):
        return {}
    seconds = sum(entry["seconds"].values())
    kind, hours = device_hours(entry["device"], seconds)
    return {"seconds": round(seconds), f"{kind} hours": hours}


def device_hours(device: str, seconds: float) -> tuple[str, float]:
    """("CPU" or "GPU", how many of them × hours): what a run held, whether it kept them busy or not."""
    cpus = re.fullmatch(r"(\d+) CPUs?", device)
    kind, number = ("CPU", int(cpus[1])) if cpus else ("GPU", len(device.split(";")))
    return kind, round(number * seconds / 3600, 4)


def _identity(entry: Mapping[str, Any], other_settings: str) -> dict[str, Any]:
    settings = flat_settings(entry)
    versions = ", ".join(f"{name} {version}" for name, version in (entry.get("versions") or {}).items())
    return {
        "config": entry.get("config"),
        **{name: settings.get(name) for name in OWN_COLUMN},
        "other settings": other_settings or None,
        "device": entry.get("device"),
        "commit": (entry.get("git_commit") or "")[:SHORT_HASH] or None,
        "settings hash": (entry.get("settings_hash") or "")[:SHORT_HASH] or None,
        "versions": versions or None,
        "finished": (entry.get("finished") or "")[:16].replace("T", " ") or None,
    }


def flat_settings(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of all stages by name (`encoder.learning_rate`), without those of models that the run has not."""
    merged = {key: value for stage in (entry.get("settings") or {}).values() for key, value in stage.items()}
    unused = {name for name in MODELS if name != merged.get("model")}
    flat = {}
    for key, value in merged.items():
        if isinstance(value, dict) and key in MODELS:
            flat |= {f"{key}.{name}": inner for name, inner in value.items() if key not in unused}
        else:
            flat[key] = value
    return flat


def _other_settings(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each run the settings, but those with a column of their own, that are not as in most runs."""
    flats = [{name: str(value) for name, value in flat_settings(entry).items()} for entry in entries]
    counts: dict[str, Counter[str]] = {}
    for flat in flats:
        for name, value in flat.items():
            counts.setdefault(name, Counter())[value] += 1
    usual = {name: values.most_common(1)[0][0] for name, values in counts.items() if name not in OWN_COLUMN}
    unusual = [[name for name in usual if flat.get(name, usual[name]) != usual[name]] for flat in flats]
    return [", ".join(f"{name}={flat[name]}" for name in names) for names, flat in zip(unusual, flats, strict=True)]


def cell(value: Any) -> str:
    """A value as a table shows it: four decimals, thousands apart, a dash for what is missing."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "–"
    if isinstance(value, bool | str):
        return str(value)
    whole = isinstance(value, int) or (abs(value) > 1 and float(value).is_integer())  # pandas may widen whole numbers
    return f"{value:,.0f}" if whole else f"{value:.4f}"


def print_table(frame: pd.DataFrame, same: Mapping[str, str] | None = None) -> None:
    """Print a table to the terminal, numbers to the right; then what is the same in all rows, a line each."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDE)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(Text(str(frame.index.name or "")), overflow="fold")
    for column in frame:
        right = pd.api.types.is_numeric_dtype(frame[column])
        table.add_column(Text(str(column)), justify="right" if right else "left", overflow="fold")
    for name, row in zip(frame.index, frame.astype(object).to_numpy().tolist(), strict=True):
        table.add_row(*(Text(text) for text in (str(name), *map(cell, row))))
    console.print(table)
    for name, value in (same or {}).items():
        console.print(Text(f"the same in all: {name} {value}"))
