"""Tables of the pages from recorded figures, between `<!-- expected: NAME -->` and `<!-- end -->`."""

from __future__ import annotations

import re
from typing import Any

from jinja2 import Environment, StrictUndefined, UndefinedError

from benchmarks.expected.experiments import ROOT, Experiment
from competition_utils.errors import UserError

PAGES = (ROOT / "README.md", ROOT / "docs" / "MEASURED.md")
MARKED = re.compile(r"(<!-- expected: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def f1(value: float) -> str:
    """`.8730`"""
    return f"{value:.4f}".removeprefix("0")


def whole(value: float) -> str:
    """`1,044`"""
    return f"{value:,.0f}"


def minutes(seconds: float) -> str:
    """`17 min 24 s`"""
    return f"{round(seconds) // 60} min {round(seconds) % 60} s"


def gigabytes(mebibytes: float) -> str:
    """`2.7 GB`"""
    return f"{mebibytes / 1000:.1f} GB"


def percent(share: float) -> str:
    """`1.5%`"""
    return f"{share:.1%}"


def whole_percent(share: float) -> str:
    """`22%`"""
    return f"{share:.0%}"


def power(value: float) -> str:
    """`1.6e-4`"""
    return f"{value:.1e}".replace("e-0", "e-")


def two_digits(value: float) -> str:
    """`1,200`, `64`, `3.2`: for what is no more exact."""
    return whole(float(f"{value:.2g}")) if value >= 10 else f"{value:.2g}"


FILTERS = (f1, whole, minutes, gigabytes, percent, whole_percent, power, two_digits)


def table(name: str, experiments: dict[str, Experiment], values: dict[str, dict[str, Any]]) -> str:
    """The table of an experiment as Markdown; UserError where a figure that it shows is not recorded."""
    environment = Environment(undefined=StrictUndefined, autoescape=False)
    environment.filters |= {function.__name__: function for function in FILTERS}
    own = values.get(name, {}) | experiments[name].estimates
    try:
        return environment.from_string(experiments[name].table).render(values | own).strip() + "\n"
    except (UndefinedError, TypeError) as error:  # the second: one that is put through a filter
        raise UserError(f"{name}.yaml: expected recorded figures for its table, found: {error}. Record them.") from None


def with_tables(text: str, experiments: dict[str, Experiment], values: dict[str, dict[str, Any]]) -> str:
    """The text with every marked table made anew; UserError for a mark that no experiment has."""
    unknown = [name for _, name, _ in MARKED.findall(text) if name not in experiments or not experiments[name].table]
    if unknown:
        raise UserError(f"tables: expected marks of experiments with a table, found {', '.join(unknown)}.")
    return MARKED.sub(lambda found: found[1] + table(found[2], experiments, values) + found[3], text)


def write(experiments: dict[str, Experiment], values: dict[str, dict[str, Any]]) -> None:
    for page in PAGES:
        page.write_text(with_tables(page.read_text(encoding="utf-8"), experiments, values), encoding="utf-8")
