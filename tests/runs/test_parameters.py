from __future__ import annotations

from pathlib import Path

import pytest

from competition_utils.errors import UserError
from competition_utils.runs.parameters import Parameter, parse_parameters, read_parameters

NOTEBOOKS = Path(__file__).parent / "notebooks"


def parse(source: str) -> dict[str, Parameter]:
    return parse_parameters(source, where="x.ipynb")


def test_names_defaults_and_comments_are_read_in_order():
    found = parse('task = "all"  # QC, QI or all\nseed = 0  # for every random choice')
    assert [(p.name, p.default, p.comment) for p in found.values()] == [
        ("task", "all", "QC, QI or all"),
        ("seed", 0, "for every random choice"),
    ]


def test_an_annotated_assignment_is_a_parameter():
    assert parse("rate: float = 1e-4  # learning rate")["rate"].default == 1e-4


def test_a_value_over_several_lines_is_one_parameter():
    found = parse('encoder = {  # settings\n    "epochs": 3,\n    "rate": -1.5,\n}')
    assert found["encoder"].default == {"epochs": 3, "rate": -1.5}
    assert found["encoder"].comment == "settings"


def test_a_comment_may_stand_above_its_line():
    assert parse("# for every random choice\nseed = 0")["seed"].comment == "for every random choice"


def test_a_hash_inside_text_is_no_comment():
    assert parse('name = "a # b"')["name"].comment == ""


@pytest.mark.parametrize(
    "source", ["seed = cpu_count()", "a = b = 1", "a, b = 1, 2", "import os", "seed: int", "x['a'] = 1"]
)
def test_anything_but_a_plain_assignment_of_a_literal_is_refused_with_its_line(source):
    with pytest.raises(UserError, match=r"x\.ipynb, parameters cell, line 2"):
        parse(f"first = 1\n{source}")


def test_a_computed_parameter_in_a_notebook_is_refused():
    with pytest.raises(UserError, match=r"parameter_computed\.ipynb"):
        read_parameters(NOTEBOOKS / "parameter_computed.ipynb")


@pytest.mark.parametrize(
    ("default", "value"),
    [(1.5, 2), (1, 7), (None, "x"), (None, 3), ("a", "b"), ([], [1]), ({}, {"a": 1}), (True, False)],
)
def test_values_of_the_defaults_type_are_admitted(default, value):
    assert Parameter("x", default, "", nullable=default is None).fault(value) is None


@pytest.mark.parametrize(
    ("default", "value"),
    [(1, 1.5), (1, True), (True, 1), ("a", 1), (1.5, "2"), ([], "a"), ({}, []), (1, None)],
)
def test_values_of_another_type_are_told(default, value):
    assert repr(value) in Parameter("x", default, "", nullable=False).fault(value)


def test_an_annotation_with_none_admits_none():
    assert parse('lexicon: str | None = "auto"')["lexicon"].fault(None) is None
