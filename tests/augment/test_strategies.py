"""Strategies: read from YAML, checked whole, hashed by what they do."""

from __future__ import annotations

import pandas as pd
import pytest

from competition_utils.augment import strategies
from competition_utils.augment.strategies import load_strategy, strategy_names
from competition_utils.augment.tools import Tools
from competition_utils.errors import DataError
from competition_utils.tasks import QC


def double_weight(table, tools, *, factor: float = 2.0, only: str | None = None, folds: list[int] | None = None):
    return table.assign(weight=table["weight"] * factor)


@pytest.fixture(autouse=True)
def one_more_step(monkeypatch):
    monkeypatch.setitem(strategies.STEPS, "double_weight", f"{__name__}:double_weight")


def written(tmp_path, text, name="mine.yaml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", strategy_names())
def test_every_strategy_of_the_suite_is_valid(name):
    assert load_strategy(name).says


def test_a_step_gets_its_defaults_and_runs(tmp_path):
    strategy = load_strategy(written(tmp_path, "says: x\nsteps:\n  - step: double_weight\n"))
    assert dict(strategy.steps[0].parameters) == {"factor": 2.0, "only": None, "folds": None}
    table = pd.DataFrame({"weight": [1.0, 3.0]})
    assert strategy.steps[0].run(table, Tools(QC))["weight"].tolist() == [2.0, 6.0]


def test_the_hash_follows_the_parameters_and_not_the_words(tmp_path):
    plain = load_strategy(written(tmp_path, "says: x\nsteps: [{step: double_weight}]\n", "a.yaml"))
    said = load_strategy(written(tmp_path, "says: y\nsteps: [{step: double_weight, factor: 2.0}]\n", "b.yaml"))
    other = load_strategy(written(tmp_path, "says: x\nsteps: [{step: double_weight, factor: 3}]\n", "c.yaml"))
    assert plain.hash == said.hash != other.hash


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("says: x\nsteps: [{step: double_wieght}]", r"unknown step.*\n.*did you mean double_weight"),
        ("says: x\nsteps: [{step: double_weight, facotr: 2}]", r"unknown parameter.*\n.*did you mean factor"),
        ("says: x\nsteps: [{step: double_weight, factor: much}]", r"wrong type.*\n.*float.*'much'"),
        ("says: x\nsteps: [{step: double_weight, folds: [a]}]", r"wrong type"),
        ("says: x\nstpes: []", r"unknown key.*\n.*did you mean steps"),
        ("steps: []", r"missing text"),
        ("says: x\nsteps: {a: 1}", r"expected a list"),
        ("says: [", r"not YAML"),
        ("- 1", r"expected a mapping"),
        ("says: x\nsteps: [double_weight]", r"expected a mapping with the key step"),
    ],
)
def test_a_wrong_strategy_is_refused_with_what_was_meant(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        load_strategy(written(tmp_path, text))


def test_all_faults_are_told_together(tmp_path):
    text = "says: x\nsteps: [{step: nothing}, {step: double_weight, b: 1, c: 2}]"
    with pytest.raises(DataError) as error:
        load_strategy(written(tmp_path, text))
    assert len(error.value.faults) == 3


def test_an_unknown_name_lists_the_strategies():
    with pytest.raises(DataError, match=r"did you mean original(.|\n)*There are: .*original"):
        load_strategy("orignal")
