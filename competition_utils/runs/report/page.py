"""What a finished run shows: a table for the terminal, and `report.html`, one self-contained page.

Pages open offline, with no script needed to read them: it sorts and searches tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from competition_utils import paths
from competition_utils.errors import DamagedFile
from competition_utils.runs.report import figures
from competition_utils.runs.report.tables import RunsTable, cell, device_hours
from competition_utils.storage import read_json, write_text

FOLDER = Path(__file__).parent
COLUMNS = ("rows", "f1", "precision", "recall", "auc", "average_precision", "linear_f1", "all_positive_f1", "threshold")
# Tables that a stage leaves as JSON, shown below its figures: stage, file, caption.
FROM_STAGES = (("eda", "findings", "Findings"), ("threshold_tuning", "calibration", "Calibration"))


def text_table(metrics: dict[str, Any]) -> str:
    """F1 by task and language, "everything relevant" beside it, as lines of text."""
    lines = [f"{'task':<5} {'language':<14} {'rows':>7} {'F1':>6} {'all relevant':>12}"]
    for task, entry in metrics["tasks"].items():
        for language, of_language in _rows(entry).items():
            one, baseline = _number(of_language["f1"]), _number(of_language.get("all_positive_f1"))
            lines.append(f"{task:<5} {language:<14} {of_language['rows']:>7,} {one:>6} {baseline:>12}")
    lines.append(f"{'mean F1 of the tasks':<28} {_number(metrics['f1_mean']):>6}")
    return "\n".join(lines)


def _rows(entry: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The figures by language, unseen ones marked, then those of all rows."""
    names = {
        language: language if of_language.get("seen", True) else f"{language} (unseen)"
        for language, of_language in entry["by_language"].items()
    }
    by_name = {names[language]: of_language for language, of_language in entry["by_language"].items()}
    return {**by_name, "all languages": entry}


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def write_report(run: Path, metrics: dict[str, Any], settings: dict[str, dict[str, Any]]) -> Path:
    """Write RUN/report.html from `metrics.json`, `run.yaml`, the figures of every stage (embedded) and the settings."""
    written = _run_file(run)
    seconds = metrics["seconds"]
    page = (
        _environment()
        .get_template("run.html")
        .render(
            name=run.name,
            metrics=metrics,
            run=written,
            charts={task: chart(_rows(entry)) for task, entry in metrics["tasks"].items()},
            languages={task: _language_table(_rows(entry)) for task, entry in metrics["tasks"].items()},
            seconds=seconds,
            device_hours=device_hours(str(written.get("device", "")), sum(seconds.values())),
            notes=_notes(run),
            stages=[_stage(run, stage) for stage in paths.STAGES],
            settings=_settings_table(settings),
            versions=pd.Series(written.get("versions", {}), name="version", dtype=object)
            .rename_axis("package")
            .to_frame(),
        )
    )
    write_text(run / "report.html", page)
    return run / "report.html"


def write_runs_page(
    path: Path,
    title: str,
    runs: RunsTable,
    comparisons: Mapping[str, pd.DataFrame] | None = None,
    figure: str | None = None,
    links: Sequence[str] = (),
    notes: Sequence[str] = (),
    summary: pd.DataFrame | None = None,
) -> Path:
    """Write a page of several runs: their table, `comparisons` {caption: table} and `figure`, a data URI.

    `links` are the runs' names, whose report.html lies beside the page in a folder of that name; `notes` are sentences;
    `summary` is a table of fewer rows, which comes first.
    """
    page = (
        _environment()
        .get_template("runs.html")
        .render(
            title=title,
            runs=runs,
            comparisons=comparisons or {},
            figure=figure,
            links=links,
            notes=notes,
            summary=summary,
        )
    )
    write_text(path, page)
    return path


def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(FOLDER, encoding="utf-8")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {"cell": cell, "number": _number, "anchor": lambda text: str(text).lower().replace(" ", "-")}
    made.tests["numeric"] = pd.api.types.is_numeric_dtype
    return made


def chart(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the figure of F1 by language draws: rows with places from 0 to 100 on an axis, its ticks, and words.

    `rows` {language: figures}, the last one all languages; intervals and linear's F1 are drawn where there are such.
    """
    values = [value for row in rows.values() for value in _drawn_values(row)]
    low = max(0.0, min(values, default=0.0) - 0.02) // 0.05 * 0.05
    steps = max(1, round((1 - low) / 0.05) // 6 + 1)
    ticks = [low + 0.05 * steps * at for at in range(20) if low + 0.05 * steps * at <= 1.0001]

    def place(value: float | None) -> float | None:
        return None if value is None else round(100 * (value - low) / (1 - low), 2)

    drawn = {
        name: {
            "f1": row["f1"],
            "at": place(row["f1"]),
            "interval": [place(end) for end in row.get("f1_interval") or ()],
            "linear": place(row.get("linear_f1")),
            "all_relevant": place(row.get("all_positive_f1")),
            "seen": row.get("seen", True),
        }
        for name, row in rows.items()
    }
    known = {name: row["f1"] for name, row in list(rows.items())[:-1] if row["f1"] is not None}
    words = "no language was measured"
    if known:
        worst, best = min(known, key=known.get), max(known, key=known.get)
        words = f"F1 from {known[worst]:.3f} ({worst}) to {known[best]:.3f} ({best})"
    return {"rows": drawn, "ticks": {f"{tick:.2f}": place(tick) for tick in ticks}, "words": words}


def _drawn_values(row: Mapping[str, Any]) -> list[float]:
    values = [row.get("f1"), row.get("linear_f1"), row.get("all_positive_f1"), *(row.get("f1_interval") or ())]
    return [value for value in values if value is not None]


def _language_table(rows: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    own = [name for row in rows.values() for name in row.get("own_metrics", [])]
    columns = [name for name in (*COLUMNS, *own) if any(row.get(name) is not None for row in rows.values())]
    table = pd.DataFrame({name: [row.get(name) for row in rows.values()] for name in columns}, index=list(rows))
    if any(row.get("f1_interval") for row in rows.values()):
        ends = [row.get("f1_interval") or [None, None] for row in rows.values()]
        table.insert(2, "95% interval", [f"{_number(low)} to {_number(high)}" for low, high in ends])
    return table.rename(columns=lambda name: name.replace("_", " ").replace("f1", "F1")).rename_axis("language")


def _settings_table(settings: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """A row a setting and stage, settings of a section as `encoder.learning_rate`."""
    rows = []
    for stage, values in settings.items():
        for name, value in values.items():
            inner = value.items() if isinstance(value, Mapping) and value else [(None, value)]
            rows += [(f"{name}.{key}" if key else name, stage, str(one)) for key, one in inner]
    return pd.DataFrame(rows, columns=["setting", "stage", "value"]).set_index("setting")


def _stage(run: Path, stage: str) -> dict[str, Any]:
    notebook = paths.notebook_name(stage)
    return {
        "name": stage.replace("_", " "),
        "notebook": notebook if (run / notebook).is_file() else None,
        "sections": figures.sections(run, stage),
        "tables": {
            caption: _table(_content(run / stage / f"{name}.json")) for of, name, caption in FROM_STAGES if of == stage
        },
    }


def _table(content: Any) -> pd.DataFrame:
    """A list of records, or {task: {name: figures}}, as a table; empty for nothing."""
    if isinstance(content, dict):
        content = [{"task": task, "method": name, **row} for task, one in content.items() for name, row in one.items()]
    table = pd.DataFrame(content or [])
    return table.set_index(table.columns[0]) if len(table.columns) else table


def _notes(run: Path) -> list[str]:
    """What the fits noted, as "QC, fold 0: …"."""
    tasks = (_content(run / "finetune" / "metrics.json") or {}).get("tasks", {})
    return [f"{task}, {note}" for task, entry in tasks.items() for note in entry.get("notes", [])]


def _content(path: Path) -> Any:
    try:
        return read_json(path) if path.is_file() else None
    except DamagedFile:
        return None  # resume makes it again


def _run_file(run: Path) -> dict[str, Any]:
    path = run / "run.yaml"
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}
