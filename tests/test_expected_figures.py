"""Expected figures: verdicts, what is missing, and the tables of the pages, which are those of the recorded results."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_run import execute_here, make_small_project

from benchmarks.expected import experiments as module
from benchmarks.expected.__main__ import main
from benchmarks.expected.experiments import (
    FAIL,
    NEAR,
    NOT_HERE,
    OK,
    Figure,
    as_values,
    measured_here,
    read_experiments,
    recorded,
)
from benchmarks.expected.tables import FILTERS, MARKED, PAGES, with_tables
from competition_utils import paths
from competition_utils.cli import main as cli
from competition_utils.errors import UserError
from competition_utils.runs import runner
from competition_utils.storage import write_json

YAML = """\
commands: [python {place}/measure.py]
needs: {needs}
measured: nowhere
figures:
  rate:
    what: the second of a
    read: {{files: ['{place}/found.json'], key: [a, 1]}}
    expected: 5.2
    tolerance: 0.25
table: '| {{{{ rate|whole }}}} |'
"""


def figure(expected=10.0, tolerance=1.0, better="neither"):
    read = {"files": ["x.json"], "key": ["x"]}
    return Figure(what="x", read=read, expected=expected, tolerance=tolerance, better=better)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with one experiment of its own; gives a way to write its YAML."""
    monkeypatch.setattr(module, "HERE", tmp_path)

    def write(needs="{}"):
        (tmp_path / "tried.yaml").write_text(YAML.format(place=tmp_path, needs=needs))
        found = str(tmp_path / "found.json")
        (tmp_path / "measure.py").write_text(f"open({found!r}, 'w').write('{{\"a\": [3, 5]}}')")
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("better", "value", "verdict"),
    [
        ("neither", 11.0, OK),
        ("neither", 8.0, NEAR),
        ("neither", 12.1, FAIL),
        ("more", 50.0, OK),
        ("more", 8.5, NEAR),
        ("more", 7.9, FAIL),
        ("less", 0.0, OK),
        ("less", 12.0, NEAR),
        ("less", 12.1, FAIL),
        ("neither", None, FAIL),
    ],
)
def test_a_verdict_is_by_tolerance_and_twice_of_it_and_a_missing_figure_fails(better, value, verdict):
    assert figure(better=better).verdict(value) == verdict


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0.001, 1e3))
def test_less_and_more_are_mirror_images_and_neither_is_the_worse_of_both(value, expected, tolerance):
    ranks = [OK, NEAR, FAIL]
    more, less, neither = (figure(expected, tolerance, better).verdict(value) for better in ("more", "less", "neither"))
    assert more == figure(-expected, tolerance, "less").verdict(-value)
    assert ranks.index(neither) == max(ranks.index(more), ranks.index(less))


def test_a_figure_that_no_command_has_left_is_fail_and_names_the_commands(own, capsys):
    own()
    assert main([]) == 1
    out = capsys.readouterr().out
    assert "rate" in out and "FAIL 1" in out
    assert "tried: a figure is missing; --run, or python " in out


def test_run_executes_the_commands_and_json_holds_the_results(own, tmp_path, capsys):
    place = own()
    assert main(["--run", "--json", str(tmp_path / "results.json")]) == 0
    assert "OK 1" in capsys.readouterr().out
    (result,) = json.loads((place / "results.json").read_text())
    assert (result["figure"], result["expected"], result["found"], result["verdict"]) == ("tried.rate", 5.2, 5, "OK")


def test_a_command_that_fails_ends_it(own, capsys):
    place = own()
    (place / "tried.yaml").write_text("commands: [python -c 'raise SystemExit(3)']\nmeasured: nowhere\n")
    assert main(["--run"]) == 2
    assert "to succeed, found exit status 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("needs", "word"),
    [
        ("{cores: 4096}", "4096 cores"),
        ("{instruction_set: [no_such]}", "the instructions no_such"),
        ("{packages: [no_such_package]}", "the package no_such_package"),
    ],
)
def test_where_the_machine_lacks_what_an_experiment_needs_its_figures_are_no_fault(own, capsys, needs, word):
    own(needs)
    assert main(["--run"]) == 0
    out = capsys.readouterr().out
    assert f"tried: not here, needs {word}" in out and "not here 1" in out
    assert [each.verdict for each in measured_here(read_experiments())] == [NOT_HERE]


def test_only_takes_names_that_there_are(own, capsys):
    own()
    assert main(["--only", "other"]) == 2
    assert "--only: expected some of tried; found other." in capsys.readouterr().err


def test_a_yaml_with_a_wrong_key_is_one_message(own, capsys):
    (own() / "tried.yaml").write_text("measured: x\nfigure: {}\n")
    assert main([]) == 2
    assert "figure: no such setting (did you mean figures?)" in capsys.readouterr().err


def test_recorded_figures_make_the_table_between_the_marks(own, tmp_path):
    own()
    write_json(tmp_path / "results.json", {"tried": {"rate": 5.0}})
    experiments = read_experiments()
    values = as_values(recorded(experiments, tmp_path / "results.json"))
    text = "before\n<!-- expected: tried -->\nold\n<!-- end -->\nbehind\n"
    made = with_tables(text, experiments, values)
    assert made == "before\n<!-- expected: tried -->\n| 5 |\n<!-- end -->\nbehind\n"
    assert with_tables(made, experiments, values) == made
    with pytest.raises(UserError, match=r"tried\.yaml: expected recorded figures"):
        with_tables(text, experiments, {})
    with pytest.raises(UserError, match="expected marks of experiments with a table, found other"):
        with_tables(text.replace("tried", "other"), experiments, values)


def test_figures_are_spelt_as_the_pages_spell_them():
    spell = {function.__name__: function for function in FILTERS}
    assert spell["f1"](0.873) == ".8730"
    assert spell["minutes"](1043.6) == "17 min 24 s"
    assert spell["minutes"](119.9) == "2 min 0 s"
    assert [spell["two_digits"](value) for value in (1234, 63.6, 3.21)] == ["1,200", "64", "3.2"]
    assert spell["power"](0.00016) == "1.6e-4"


# ---------------------------------------------------------------- the project's own


def test_the_tables_of_the_pages_are_those_of_the_recorded_results():
    experiments, text = read_experiments(), "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert with_tables(text, experiments, as_values(recorded(experiments))) == text
    assert {name for _, name, _ in MARKED.findall(text)} == {name for name, each in experiments.items() if each.table}


def test_the_figures_of_the_sample_are_read_from_where_a_run_writes_them(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.ROOT_VARIABLE, str(tmp_path))
    monkeypatch.setattr(runner, "execute", execute_here)
    make_small_project(tmp_path)
    assert cli.main(["run", "small", "--name", "x"]) == 0
    written = str(tmp_path / "papermill_runs" / "x" / "metrics.json")
    for name, figure in read_experiments()["sample"].figures.items():
        assert 0 < figure.read.model_copy(update={"files": [written]}).value() <= 1, name


def test_no_recorded_figure_is_missing_or_off():
    off = [f"{each.experiment}.{each.name}" for each in recorded(read_experiments()) if each.verdict == FAIL]
    assert off == []
