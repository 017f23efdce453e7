"""The figures of a stage as a page embeds them: below the heading and the text of the notebook that drew them."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from competition_utils import paths
from competition_utils.errors import UserError
from competition_utils.runs.parameters import read_notebook

# Bytes of the largest drawing that stays one: figures of many points are smaller as pictures.
LARGEST_SVG = 70_000
COLOURS_OF_A_PICTURE = 128
NOT_QUOTED = " '/:;,=()!?&*+@$[]|<>"


@dataclass
class Picture:
    """An image as a data URI, and what a reader without sight gets in its place."""

    name: str
    uri: str
    alt: str


@dataclass
class Section:
    """A heading of a notebook, its text, and the pictures drawn below it."""

    heading: str
    text: str
    pictures: list[Picture] = field(default_factory=list)


def sections(run: Path, stage: str) -> list[Section]:
    """The sections of the stage's notebook that left figures in RUN/<stage>/figures, in the notebook's order.

    Figures that no cell names come last, as a section of their own.
    """
    files = {file.stem: file for file in sorted((run / stage / "figures").glob("*.png"))}
    found = []
    for section, names in _drawn(run, stage):
        section.pictures = [_picture(files.pop(name), section.heading) for name in names if name in files]
        found.append(section)
    left = [_picture(file, stage.replace("_", " ")) for file in files.values()]
    found.append(Section("Other figures", "No cell of the notebook names them.", left))
    return [section for section in found if section.pictures]


def _drawn(run: Path, stage: str) -> list[tuple[Section, list[str]]]:
    """Each section of the executed notebook (else of the one in `notebooks/`) and the figures that it saves."""
    executed = run / paths.notebook_name(stage)
    found: list[tuple[Section, list[str]]] = []
    for cell in _cells(executed if executed.is_file() else paths.notebook_path(stage)):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and source.startswith("#"):
            heading, _, text = source.partition("\n")
            found.append((Section(heading.strip("# "), text.replace("`", "").strip()), []))
        elif cell["cell_type"] == "code" and found:
            found[-1][1].extend(re.findall(r'save_figure\(\s*"(\w+)"', source))
    return found


def _cells(notebook: Path) -> list[dict]:
    try:
        return read_notebook(notebook)
    except (UserError, ValueError, KeyError, TypeError):
        return []  # the page shows what there is; resume says what is wrong with the notebook


def _picture(png: Path, heading: str) -> Picture:
    name = png.stem.replace("_", " ")
    return Picture(name, embedded(png), f"{heading}: figure “{name}”, described by the text above it")


def embedded(png: Path) -> str:
    """A data URI of a figure: of the drawing (.svg) beside the picture where that is there and not large."""
    svg = png.with_suffix(".svg")
    return (_drawing(svg) if svg.is_file() else None) or _compressed(png)


def _drawing(svg: Path) -> str | None:
    """The drawing with coordinates of one decimal (a tenth of a point); None where it is a large one."""
    text = re.sub(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>", "", svg.read_text("utf-8"), flags=re.DOTALL)
    text = re.sub(r' d="[^"]*"', lambda path: re.sub(r"-?\d+\.\d+", _one_decimal, path[0]), text)
    text = re.sub(r"\s+", " ", text).replace('"', "'").strip()
    uri = "data:image/svg+xml," + quote(text, safe=NOT_QUOTED)
    return uri if len(uri) <= LARGEST_SVG else None


def _one_decimal(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")


def _compressed(png: Path) -> str:
    """The picture with a palette: a third of the bytes, and no difference to the eye in figures."""
    from PIL import Image

    beside = io.BytesIO()
    picture = Image.open(png).convert("RGB").quantize(COLOURS_OF_A_PICTURE, dither=Image.Dither.NONE)
    picture.save(beside, "PNG", optimize=True)
    smaller = min(beside.getvalue(), png.read_bytes(), key=len)
    return "data:image/png;base64," + base64.b64encode(smaller).decode("ascii")
