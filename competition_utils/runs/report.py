"""What a finished run shows: a table for the terminal, and `report.html`, one self-contained page."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from competition_utils import paths
from competition_utils.storage import write_text

TEMPLATE = Path(__file__).with_name("report.html")
COLUMNS = ("rows", "f1", "precision", "recall", "auc", "all_positive_f1")


def text_table(metrics: dict[str, Any]) -> str:
    """F1 by task and language, "everything relevant" beside it, as lines of text."""
    lines = [f"{'task':<5} {'language':<14} {'rows':>7} {'F1':>6} {'all relevant':>12}"]
    for task, entry in metrics["tasks"].items():
        for language, figures in _rows(entry).items():
            one, baseline = _number(figures["f1"]), _number(figures.get("all_positive_f1"))
            lines.append(f"{task:<5} {language:<14} {figures['rows']:>7,} {one:>6} {baseline:>12}")
    lines.append(f"{'mean F1 of the tasks':<28} {_number(metrics['f1_mean']):>6}")
    return "\n".join(lines)


def _rows(entry: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The figures by language, unseen ones marked, then those of all rows."""
    names = {
        language: language if figures.get("seen", True) else f"{language} (unseen)"
        for language, figures in entry["by_language"].items()
    }
    by_name = {names[language]: figures for language, figures in entry["by_language"].items()}
    return {**by_name, "all languages": entry}


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def write_report(run: Path, metrics: dict[str, Any], settings: dict[str, dict[str, Any]]) -> Path:
    """Write RUN/report.html from `metrics.json`, the figures of every stage (embedded) and the settings."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = lambda value: f"{value:,}" if isinstance(value, int) else _number(value)
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        name=run.name,
        metrics=metrics,
        tables={task: _rows(entry) for task, entry in metrics["tasks"].items()},
        columns=COLUMNS,
        figures={stage: _figures(run / stage) for stage in paths.STAGES},
        notebooks={stage: paths.notebook_name(stage) for stage in paths.STAGES},
        settings=settings,
    )
    write_text(run / "report.html", page)
    return run / "report.html"


def _figures(stage: Path) -> dict[str, str]:
    """Caption → PNG as base64, in the order of their names."""
    files = sorted((stage / "figures").glob("*.png"))
    return {file.stem.replace("_", " "): base64.b64encode(file.read_bytes()).decode("ascii") for file in files}
