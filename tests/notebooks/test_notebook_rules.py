"""What every notebook must be: thin, explained in words, with checked parameters, and cleared of outputs."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from competition_utils import paths
from competition_utils.cli.commands.schema import json_schema, matrix_schema, strategy_schema
from competition_utils.runs.config import load_config
from competition_utils.runs.parameters import parameters_cell, read_notebook, read_parameters, render_parameters

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
LONGEST_CELL = 20

START = "00_start.ipynb"  # no stage of a run: its parameter is no setting, it saves no figures and finishes nothing
STAGES = [path for path in NOTEBOOKS if path.name != START]

every_stage = pytest.mark.parametrize("notebook", STAGES, ids=lambda path: path.stem)
every_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook: Path) -> list[dict[str, Any]]:
    return [cell for cell in read_notebook(notebook) if cell["cell_type"] == "code"]


def sections(notebook: Path) -> list[tuple[str, list[str]]]:
    """The text of each section from its heading on, and the code cells below it."""
    found: list[tuple[str, list[str]]] = []
    for cell in read_notebook(notebook):
        if cell["cell_type"] == "code":
            found[-1][1].append(cell["source"])
        elif cell["source"].startswith("#"):
            found.append((cell["source"], []))
        else:
            found[-1] = (found[-1][0] + "\n" + cell["source"], found[-1][1])
    return found


def sentences(text: str) -> int:
    words = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
    return len(re.findall(r"[.!?:](?=\s|$)", words))


def test_the_landing_notebook_and_the_five_stages_are_collected_and_no_other():
    assert [path.name for path in NOTEBOOKS] == [START, *(paths.notebook_name(stage) for stage in paths.STAGES)]


@every_notebook
def test_cells_define_no_functions_and_no_classes(notebook):
    for cell in code_cells(notebook):
        found = [type(node).__name__ for node in ast.walk(ast.parse(cell["source"])) if isinstance(node, DEFINITIONS)]
        assert not found, cell["source"]


@every_notebook
def test_a_call_that_depends_on_something_stands_under_an_if(notebook):
    for cell in code_cells(notebook):
        for node in ast.walk(ast.parse(cell["source"])):
            conditional = isinstance(node, ast.Expr | ast.Assign) and isinstance(node.value, ast.IfExp)
            assert not conditional, cell["source"]


@every_notebook
def test_no_cell_is_longer_than_a_glance(notebook):
    cells = [cell for cell in code_cells(notebook) if "parameters" not in cell["metadata"].get("tags", [])]
    assert max(len(cell["source"].splitlines()) for cell in cells) <= LONGEST_CELL


@every_stage
def test_the_parameters_cell_is_the_one_that_the_schema_gives(notebook):
    expected = render_parameters(list(read_parameters(notebook)))
    assert parameters_cell(notebook) == expected, "run: python -m competition_utils schema --write"


@every_stage
def test_every_notebook_has_a_parameter_for_the_run_it_belongs_to(notebook):
    assert "run_dir" in read_parameters(notebook)


@every_notebook
def test_there_is_one_title_and_it_comes_first(notebook):
    titles = [cell["source"].startswith("# ") for cell in read_notebook(notebook) if cell["cell_type"] == "markdown"]
    assert titles[0] and sum(titles) == 1


@every_notebook
def test_every_section_has_text_and_code(notebook):
    assert [text for text, cells in sections(notebook) if not sentences(text) or not cells] == []


@every_stage
def test_every_figure_has_two_sentences_above_it_that_say_what_to_see(notebook):
    with_figures = [text for text, cells in sections(notebook) if any("save_figure" in cell for cell in cells)]
    assert with_figures
    assert [text for text in with_figures if sentences(text) < 2] == []


@every_stage
def test_the_last_cell_finishes_the_stage(notebook):
    last = read_notebook(notebook)[-1]
    assert last["cell_type"] == "code"
    assert isinstance(ast.parse(last["source"]).body[-1], ast.Expr)
    assert last["source"].splitlines()[-1].startswith(("stage.finish(", ")"))
    assert "stage.finish(" in last["source"]


@every_notebook
def test_outputs_are_cleared(notebook):
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code_cells(notebook))


def test_the_schema_that_editors_read_is_that_of_the_code():
    written = (ROOT / "configs" / "schema.json").read_text(encoding="utf-8")
    assert written == json_schema(), "run: python -m competition_utils schema --write"
    written = (ROOT / "configs" / "strategies" / "schema.json").read_text(encoding="utf-8")
    assert written == strategy_schema(), "run: python -m competition_utils schema --write"
    written = (ROOT / "configs" / "matrix" / "schema.json").read_text(encoding="utf-8")
    assert written == matrix_schema(), "run: python -m competition_utils schema --write"


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_config_fits_the_notebooks(config):
    assert load_config(str(config)).name == config.stem
