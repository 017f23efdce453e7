"""Strategies: read from YAML, hashed by what they do, cut into the sections of notebook 02."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from competition_utils.augment.strategies import Strategy, load_strategy, step_function, strategy_names
from competition_utils.errors import UserError
from competition_utils.settings.strategy import STEPS


def written(tmp_path, text, name="mine.yaml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", strategy_names())
def test_every_strategy_of_the_suite_is_valid(name):
    assert load_strategy(name).description


@pytest.mark.parametrize("name", STEPS)
def test_every_step_has_a_function(name):
    assert step_function(STEPS[name]()).__name__ == name


def test_the_hash_follows_the_settings_and_not_the_words(tmp_path):
    plain = load_strategy(written(tmp_path, "description: x\nsteps: [{step: balance}]\n", "a.yaml"))
    given = load_strategy(written(tmp_path, "description: y\nsteps: [{step: balance, most_repeats: 3.0}]\n", "b.yaml"))
    other = load_strategy(written(tmp_path, "description: x\nsteps: [{step: balance, most_repeats: 2}]\n", "c.yaml"))
    assert plain.hash == given.hash != other.hash


def test_the_table_shows_every_setting_with_its_default(tmp_path):
    table = load_strategy(written(tmp_path, "description: x\nsteps: [{step: balance, most_repeats: 2}]\n")).table()
    row = table.set_index("setting").loc["most_repeats"]
    assert (row["step"], row["value"], row["default"]) == ("1 balance", 2.0, 3.0)


@given(st.lists(st.sampled_from([model() for model in STEPS.values()]), max_size=8))
def test_the_sections_one_after_another_are_the_steps_in_their_order(steps):
    sections = Strategy("mine", "x", tuple(steps)).sections()
    assert [step for section in sections.values() for step in section] == steps


def sections_of(*names):
    sections = Strategy("mine", "x", tuple(STEPS[name]() for name in names)).sections()
    return {name: [step.step for step in steps] for name, steps in sections.items() if steps}


def test_steps_in_another_order_than_the_notebooks_are_left_to_the_section_for_the_rest():
    assert sections_of("translate_titles", "balance", "expand_languages") == {
        "expand": ["translate_titles"],
        "balance": ["balance"],
        "rest": ["expand_languages"],
    }


def test_the_last_steps_that_validate_have_the_last_section_whatever_order_the_others_have():
    assert sections_of("balance", "expand_languages", "self_validate", "self_validate") == {
        "balance": ["balance"],
        "rest": ["expand_languages"],
        "self_validate": ["self_validate", "self_validate"],
    }


def test_a_step_that_validates_in_between_stays_where_it_is():
    assert sections_of("self_validate", "balance") == {"rest": ["self_validate", "balance"]}


@pytest.mark.parametrize(("text", "message"), [("description: [", "expected YAML"), ("- 1", "expected a mapping")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        load_strategy(written(tmp_path, text))


def test_an_unknown_name_lists_the_strategies():
    with pytest.raises(UserError, match=r"did you mean original(.|\n)*There are: .*original"):
        load_strategy("orignal")
