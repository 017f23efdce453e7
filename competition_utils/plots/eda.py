"""The figures of stage `eda`, one function each: a small table of package `eda` in, a matplotlib Figure out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from competition_utils.data.languages import LANGUAGES, language_name
from competition_utils.plots import style
from competition_utils.plots.treemap import squarify

_RATES = LinearSegmentedColormap.from_list("rates", [style.COLOURS["negative"], "#F4F4F2", style.COLOURS["positive"]])
_SHARES = LinearSegmentedColormap.from_list("shares", ["#FFFFFF", style.COLOURS["unseen"]])
_LABELS = {0: ("not relevant", style.COLOURS["negative"]), 1: ("relevant", style.COLOURS["positive"])}


def _in_order(codes: pd.Series) -> list[str]:
    """Languages in the order of LANGUAGES (train's first), unknown ones after them."""
    known = list(LANGUAGES)
    return sorted(codes.unique(), key=lambda code: (known.index(code) if code in known else len(known), code))


def rows_by_language(found: pd.DataFrame) -> Figure:
    """Rows of each language in train, dev and test (log scale); what train does not have stands out."""
    figure, panels = style.panels(style.by_task(found), height=4)
    for task, part, axes in panels:
        languages, splits = _in_order(part["language"]), list(dict.fromkeys(part["split"]))
        splits.sort(key=["train", "dev", "test"].index)
        for number, split in enumerate(splits):
            rows = part[part["split"] == split].set_index("language")["rows"].reindex(languages, fill_value=0)
            place = np.arange(len(languages)) + (number - (len(splits) - 1) / 2) * 0.27
            axes.bar(place, rows, width=0.25, label=split, color=style.PALETTE[number])
        trained = set(part.loc[part["in_train"], "language"])
        for place, language in enumerate(languages):
            if language not in trained:
                axes.axvspan(place - 0.5, place + 0.5, color=style.COLOURS["unseen"], alpha=0.13, lw=0)
        axes.set_xticks(range(len(languages)), languages)
        axes.set(title=f"{task}: rows by language (shaded: not in train)", ylabel="rows, log scale", yscale="log")
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid(axis="x", visible=False)
        axes.legend(ncols=3, loc="upper right")
        axes.set_ylim(part["rows"].min() / 4, part["rows"].max() * 4)
    return figure


def positive_rates(found: pd.DataFrame) -> Figure:
    """Positive rate of each language of train with its 95% Wilson interval; the line is the whole task."""
    figure, panels = style.panels(style.by_task(found), height=3.8)
    for task, part, axes in panels:
        part = part.set_index("language")
        languages = _in_order(part.index.to_series())[::-1]
        part = part.loc[languages]
        _draw_intervals(axes, part, np.arange(len(part)), style.COLOURS["positive"])
        whole = part["positive"].sum() / part["rows"].sum()
        axes.axvline(whole, color=style.COLOURS["baseline"], lw=1, ls="--")
        axes.text(whole, len(part) - 0.4, f" all {whole:.3f}", va="bottom", fontsize=9)
        axes.set_yticks(range(len(part)), [f"{language_name(code)} ({code})" for code in languages])
        axes.set(title=f"{task}: positive rate", xlabel="share of relevant rows, 95% interval")
        axes.set_ylim(-0.6, len(part) + 0.1)
    return figure


def _draw_intervals(axes: Axes, rates: pd.DataFrame, places: np.ndarray, colour: str, label: str = "") -> None:
    reach = [(rates["rate"] - rates["low"]).clip(lower=0), (rates["high"] - rates["rate"]).clip(lower=0)]
    axes.errorbar(rates["rate"], places, xerr=reach, fmt="o", ms=5, capsize=3, color=colour, label=label)


def lengths(found: pd.DataFrame, unit: str = "characters") -> Figure:
    """Lengths of queries and targets by language and label: 5–95% as a line, the middle half as a bar, the median."""
    found = found[found["unit"] == unit]
    figure, panels = style.panels(style.by_task(found), height=7, rows=2)
    for task, rows, column in panels:
        for axes, field in zip(column, ("query", "target"), strict=True):
            part = rows[rows["field"] == field]
            languages = _in_order(part["language"])[::-1]
            for label, (name, colour) in _LABELS.items():
                spread = part[part["label"] == label].set_index("language").reindex(languages)
                place = np.arange(len(languages)) + (0.18 if label else -0.18)
                axes.hlines(place, spread["p5"], spread["p95"], color=colour, lw=1)
                axes.hlines(place, spread["p25"], spread["p75"], color=colour, lw=6, alpha=0.55, label=name)
                axes.plot(spread["p50"], place, "|", color="black", ms=8)
            axes.set_yticks(range(len(languages)), languages)
            axes.set(title=f"{task}: {unit} of the {field}", xlabel=unit, xlim=(0, None))
    style.legend_below(figure)
    return figure


def fan_out(found: pd.DataFrame) -> Figure:
    """How many targets a query has, and how many queries a target."""
    figure, panels = style.panels(style.by_task(found), height=3.6)
    for task, rows, axes in panels:
        for number, of in enumerate(("targets per query", "queries per target")):
            part = rows[rows["of"] == of]
            axes.bar(part["count"] + (number - 0.5) * 0.38, part["share"], width=0.36, label=of)
        most = int(found["count"].max())
        axes.set_xticks(range(1, most + 1), [*map(str, range(1, most)), f"{most}+"])
        axes.set(title=f"{task}: pairs in train", xlabel="how many", ylabel="share of queries, of targets")
        axes.grid(axis="x", visible=False)
        axes.legend()
    return figure


def category_treemap(found: pd.DataFrame) -> Figure:
    """The category tree: areas are rows of train, colours the positive rate of the second level, frames the top."""
    if found.empty:
        return style.only_says("no QC rows, so no category tree")
    figure, axes = style.new_figure(11, 6.5)
    whole = found["positive"].sum() / found["rows"].sum()
    colours = TwoSlopeNorm(whole, vmin=max(whole - 0.25, -0.01), vmax=min(whole + 0.25, 1.01))
    tops = found.groupby("top")["rows"].sum().sort_values(ascending=False)
    for (top, _), (x, y, width, height) in zip(tops.items(), squarify(tops.to_numpy(), 0, 0, 100, 60), strict=True):
        leaves = found[found["top"] == top].sort_values("rows", ascending=False)
        inner = squarify(leaves["rows"].to_numpy(), x, y, width, height)
        for rate, (left, low, wide, high) in zip(leaves["rate"], inner, strict=True):
            axes.add_patch(Rectangle((left, low), wide, high, fc=_RATES(colours(rate)), ec="white", lw=0.4))
        axes.add_patch(Rectangle((x, y), width, height, fill=False, ec="black", lw=1.2))
        _name_area(axes, top, leaves, (x, y, width, height))
    axes.set(xlim=(0, 100), ylim=(0, 60), title="QC: rows of train by category (colour: positive rate)")
    axes.set_axis_off()
    bar = ScalarMappable(norm=colours, cmap=_RATES)
    figure.colorbar(bar, ax=axes, shrink=0.6, label=f"positive rate (white: {whole:.2f}, all rows)")
    return figure


def _name_area(axes: Axes, top: str, leaves: pd.DataFrame, area: tuple[float, float, float, float]) -> None:
    """The name and rate of a top level, where its rectangle is large enough for them."""
    x, y, width, height = area
    if width < 7 or height < 4:
        return
    rate = leaves["positive"].sum() / leaves["rows"].sum()
    fits = int(width / 0.72)
    name = top if len(top) <= fits else top[: fits - 1] + "…"
    box = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.75}
    axes.text(x + 0.6, y + height - 0.6, f"{name}\n{rate:.2f}", va="top", fontsize=8, bbox=box)


def token_bars(found: pd.DataFrame, task: str) -> Figure:
    """The most frequent query tokens of each language of a task; the colour is their positive rate."""
    part = found[found["task"] == task]
    languages = _in_order(part["language"])
    if not languages:
        return style.only_says(f"no {task} rows")
    figure, grid = _language_grid(len(languages), height=3.2)
    whole = part["positive"].sum() / part["rows"].sum()
    colours = TwoSlopeNorm(whole, vmin=max(whole - 0.25, -0.01), vmax=min(whole + 0.25, 1.01))
    for axes, language in zip(grid, languages, strict=False):
        tokens = part[part["language"] == language].iloc[::-1]
        rates = tokens["positive"] / tokens["rows"]
        axes.barh(range(len(tokens)), tokens["rows"], color=_RATES(colours(rates)), ec="#BBBBBB", lw=0.5)
        axes.set_yticks(range(len(tokens)), tokens["token"], fontsize=9)
        axes.set(title=f"{task} {language}", xlabel="rows of train")
        axes.grid(axis="y", visible=False)
    figure.colorbar(ScalarMappable(norm=colours, cmap=_RATES), ax=grid, shrink=0.6, label="positive rate")
    return figure


def skewed_tokens(found: pd.DataFrame, task: str) -> Figure:
    """Query tokens whose rows are relevant far more, or less, often than usual in their language (the line)."""
    part = found[found["task"] == task]
    languages = _in_order(part["language"])
    if not languages:
        return style.only_says(f"{task}: no token is frequent enough")
    figure, grid = _language_grid(len(languages), height=3.6)
    for axes, language in zip(grid, languages, strict=False):
        tokens = part[part["language"] == language].reset_index(drop=True)
        colour = np.where(tokens["z"] > 0, style.COLOURS["positive"], style.COLOURS["negative"])
        axes.hlines(tokens.index, tokens["usual"], tokens["rate"], color=colour, lw=2)
        axes.scatter(tokens["rate"], tokens.index, color=colour, s=22, zorder=3)
        axes.axvline(tokens["usual"].iloc[0], color=style.COLOURS["baseline"], lw=1, ls="--")
        axes.set_yticks(tokens.index, tokens["token"], fontsize=8)
        axes.set(title=f"{task} {language}", xlabel="positive rate", xlim=(-0.03, 1.03))
    return figure


def _language_grid(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """Axes for `count` languages, four a row; those left over are hidden."""
    columns = min(count, 4)
    rows = -(-count // columns)
    figure, axes = style.new_figure(3.2 * columns, height * rows, rows=rows, cols=columns)
    grid = list(np.asarray(axes, dtype=object).reshape(-1))
    for spare in grid[count:]:
        spare.set_axis_off()
    return figure, grid


def unseen_shares(found: pd.DataFrame, tokens: pd.DataFrame, split: str = "dev") -> Figure:
    """Share of a split's rows (or query tokens) of each language that train never showed."""
    both = pd.concat([found, tokens.assign(kind="query tokens")], ignore_index=True)
    both = both[both["split"] == split]
    if both.empty:
        return style.only_says(f"no {split} file")
    figure, panels = style.panels(style.by_task(both), height=3.4, width=6.5)
    for task, part, axes in panels:
        wide = part.pivot(index="kind", columns="language", values="share")
        wide = wide.reindex(index=list(dict.fromkeys(part["kind"])), columns=_in_order(part["language"]))
        _draw_shares(axes, wide)
        axes.set_title(f"{task} {split}: share that train never showed")
    return figure


def _draw_shares(axes: Axes, wide: pd.DataFrame) -> None:
    """A table of shares (0–1) as coloured cells with their percentages."""
    axes.imshow(wide.to_numpy(dtype=float), cmap=_SHARES, vmin=0, vmax=1, aspect="auto")
    for row, column in np.argwhere(wide.notna().to_numpy()):
        share = wide.iat[row, column]
        axes.text(column, row, f"{share:.0%}" if share >= 0.01 else ("·" if share == 0 else "<1%"),
                  ha="center", va="center", fontsize=8)  # fmt: skip
    axes.set_xticks(range(wide.shape[1]), wide.columns)
    axes.set_yticks(range(wide.shape[0]), wide.index)
    axes.grid(visible=False)


def tag_against_text(found: pd.DataFrame) -> Figure:
    """For each tag, the share of its rows by the language that the query is written in."""
    figure, panels = style.panels(style.by_task(found), height=4.6, width=6.5)
    for task, part, axes in panels:
        wide = part.pivot(index="language", columns="text_language", values="share").fillna(0.0)
        columns = [code for code in _in_order(part["text_language"]) if wide[code].max() >= 0.005]
        _draw_shares(axes, wide.reindex(index=_in_order(part["language"]), columns=columns))
        axes.set(title=f"{task}: tag against text", xlabel="the query is written in", ylabel="tag")
    return figure


def mis_tagged_rates(found: pd.DataFrame, fewest: int = 30) -> Figure:
    """Positive rate of rows whose tag fits and of those whose tag does not, where there are `fewest` of the latter."""
    wrong = found[(found["tag"] == "does not fit") & (found["rows"] >= fewest)]
    shown = found.merge(wrong[["task", "language"]], on=["task", "language"])
    if shown.empty:
        return style.only_says(f"no language has {fewest} mis-tagged rows")
    figure, panels = style.panels(style.by_task(shown), height=3.2)
    for task, rows, axes in panels:
        languages = _in_order(rows["language"])[::-1]
        for tag, offset, colour in (("fits", 0.12, "seen"), ("does not fit", -0.12, "unseen")):
            part = rows[rows["tag"] == tag].set_index("language").loc[languages]
            _draw_intervals(axes, part, np.arange(len(part)) + offset, style.COLOURS[colour], f"tag {tag}")
        axes.set_yticks(range(len(languages)), languages)
        axes.set(title=f"{task}: positive rate by whether the tag fits", xlabel="share of relevant rows")
        axes.set_ylim(-0.6, len(languages) - 0.1)
        axes.legend()
    return figure


def shared_words(found: pd.DataFrame) -> Figure:
    """Share of rows whose query and target have a word in common, by label; below, with the English translation."""
    texts = list(dict.fromkeys(found["text"]))
    figure, panels = style.panels(style.by_task(found), height=3.2 * len(texts), rows=len(texts))
    for task, rows, column in panels:
        for axes, text in zip(np.atleast_1d(column), texts, strict=True):
            part = rows[rows["text"] == text]
            languages = _in_order(part["language"])
            for label, (name, colour) in _LABELS.items():
                shares = part[part["label"] == label].set_index("language")["any"].reindex(languages)
                place = np.arange(len(languages)) + (0.2 if label else -0.2)
                axes.bar(place, shares, width=0.38, color=colour, label=name)
            axes.set_xticks(range(len(languages)), languages)
            axes.set(title=f"{task}: {text} and target share a word", ylabel="share of rows", ylim=(0, 1))
            axes.grid(axis="x", visible=False)
    style.legend_below(figure)
    return figure


def fold_balance(balance: pd.DataFrame) -> Figure:
    """By how many rows each language × label × fold is off its perfect number; `balance` has a column `task`."""
    figure, panels = style.panels(style.by_task(balance), height=4.6)
    for task, part, axes in panels:
        group = part["language"] + " " + part["label"].map({0: "not relevant", 1: "relevant"})
        wide = part.assign(group=group).pivot(index="group", columns="fold", values="rows")
        off = wide.sub(wide.mean(axis=1), axis=0)
        reach = max(off.abs().to_numpy().max(), 1)
        axes.imshow(off, cmap=_RATES, vmin=-4 * reach, vmax=4 * reach, aspect="auto")
        for row, column in np.ndindex(*off.shape):
            axes.text(column, row, f"{off.iat[row, column]:+.1f}", ha="center", va="center", fontsize=8)
        axes.set_xticks(range(off.shape[1]), [f"fold {fold}" for fold in off.columns])
        axes.set_yticks(range(off.shape[0]), off.index)
        axes.set_title(f"{task}: rows off perfect balance (of {wide.mean().mean():,.0f} a cell)")
        axes.grid(visible=False)
    return figure
