"""What a page holds; how it looks and behaves is tested in a browser (tests/browser)."""

from __future__ import annotations

import pytest
from conftest import write_notebook
from matplotlib.figure import Figure

from competition_utils import paths
from competition_utils.runs.report.figures import LARGEST_SVG, embedded, sections
from competition_utils.runs.report.page import chart


def save(folder, name, points):
    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure()
    figure.subplots().scatter([at % 97 for at in range(points)], [at % 89 for at in range(points)])
    for suffix in ("png", "svg"):
        figure.savefig(folder / f"{name}.{suffix}")
    return folder / f"{name}.png"


def test_a_small_figure_is_a_drawing_and_one_of_thousands_of_points_a_picture(tmp_path):
    assert embedded(save(tmp_path, "few", 10)).startswith("data:image/svg+xml,")
    many = embedded(save(tmp_path, "many", 5000))
    assert many.startswith("data:image/png;base64,") and len(many) < LARGEST_SVG


def test_a_picture_without_a_drawing_is_embedded_too(tmp_path):
    png = save(tmp_path, "old", 10)
    png.with_suffix(".svg").unlink()
    assert embedded(png).startswith("data:image/png;base64,")


def test_figures_stand_below_the_text_of_the_notebook_that_drew_them(project):
    run = paths.run_folder("x")
    save(run / "eda" / "figures", "drawn", 3)
    save(run / "eda" / "figures", "unnamed", 3)
    path = write_notebook(run / paths.notebook_name("eda"), 'stage.save_figure("drawn", figure)')
    path.write_text(path.read_text().replace('"# 01_eda"', '"# Lengths\\nLook at `ja`."'))
    found = [(one.heading, one.text, [each.name for each in one.pictures]) for one in sections(run, "eda")]
    assert found[0] == ("Lengths", "Look at ja.", ["drawn"])
    assert found[1][2] == ["unnamed"]


@pytest.mark.parametrize("f1", [0.0, 0.5, 0.97, 1.0])
def test_every_mark_of_the_chart_lies_on_its_axis(f1):
    row = {"f1": f1, "f1_interval": [max(0, f1 - 0.1), min(1, f1 + 0.1)], "all_positive_f1": 0.8}
    drawn = chart({"en": row, "all languages": row})
    marks = [drawn["rows"]["en"]["at"], drawn["rows"]["en"]["all_relevant"], *drawn["rows"]["en"]["interval"]]
    assert all(0 <= mark <= 100 for mark in marks) and len(drawn["ticks"]) >= 2
