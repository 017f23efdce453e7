"""The benchmarks: each is in the index, and wrong input ends with one message and status 2. What they measure: docs."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.command import exit_status

FOLDER = Path(__file__).parents[1] / "benchmarks"
COMMANDS = sorted(
    f"{path.parent.name}.{path.stem}"
    for path in FOLDER.glob("*/*.py")
    if path.parent.name != "expected" and "new_parser" in path.read_text(encoding="utf-8")
)
MISSING = {
    "quality.answers": ["no_such_run", "--answers", "."],
    "quality.base_models": ["no_such_run"],
    "quality.number_formats": ["no_such_run"],
    "quality.oracle": ["no_such_run", "--data-dir", "."],
    "quality.placing": ["no_such_run", "--data-dir", "."],
    "quality.real_rows": ["measure", "no_such_run", "--rows", "."],
    "quality.second_view": ["no_such_run"],
    "quality.translators": ["built_in", "--data-dir", "no_such_folder"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_benchmark_is_in_the_index(name):
    assert f"`{name}`" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_index_names_no_benchmark_that_is_gone():
    lines = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    named = [line.split("`")[1] for line in lines if line.startswith("| `")]
    assert named and set(named) <= set(COMMANDS)


@pytest.mark.parametrize(("name", "arguments"), MISSING.items(), ids=list(MISSING))
def test_a_missing_run_or_folder_is_one_message_and_status_2(name, arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    assert exit_status(import_module(f"benchmarks.{name}").main) == 2
    printed = capsys.readouterr()
    assert "expected" in printed.err and "Traceback" not in printed.err and not printed.out


def test_a_command_that_ends_well_has_the_status_that_it_gives():
    assert (exit_status(lambda: None), exit_status(lambda: 1)) == (0, 1)
