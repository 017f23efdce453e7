from __future__ import annotations

from pathlib import Path

import pytest

from competition_utils.errors import UserError
from competition_utils.runs.parameters import parse_parameters, read_parameters, render_parameters
from competition_utils.settings.schema import RunSettings

NOTEBOOKS = Path(__file__).parent / "notebooks"


def parse(source: str) -> dict[str, object]:
    return parse_parameters(source, where="x.ipynb")


def test_names_and_defaults_are_read_in_order():
    found = parse('task = "all"  # QC, QI or all\nseed = 0  # for every random choice')
    assert list(found.items()) == [("task", "all"), ("seed", 0)]


def test_an_annotated_assignment_is_a_parameter():
    assert parse("rate: float = 1e-4  # learning rate")["rate"] == 1e-4


def test_a_value_over_several_lines_is_one_parameter():
    found = parse('encoder = {  # settings\n    "num_train_epochs": 3,\n    "rate": -1.5,\n}')
    assert found["encoder"] == {"num_train_epochs": 3, "rate": -1.5}


@pytest.mark.parametrize(
    "source", ["seed = cpu_count()", "a = b = 1", "a, b = 1, 2", "import os", "seed: int", "x['a'] = 1"]
)
def test_anything_but_a_plain_assignment_of_a_literal_is_refused_with_its_line(source):
    with pytest.raises(UserError, match=r"x\.ipynb, parameters cell, line 2"):
        parse(f"first = 1\n{source}")


def test_a_computed_parameter_in_a_notebook_is_refused():
    with pytest.raises(UserError, match=r"parameter_computed\.ipynb"):
        read_parameters(NOTEBOOKS / "parameter_computed.ipynb")


def test_the_cell_that_is_written_from_the_schema_reads_back_as_its_defaults():
    names = list(RunSettings.model_fields)
    assert parse(render_parameters(names)) == RunSettings().model_dump()
