"""A strategy's settings: checked whole, with defaults, and a JSON Schema for editors."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from competition_utils.errors import UserError
from competition_utils.settings.renamed import RenamedSetting
from competition_utils.settings.strategy import STEPS, Balance, check_strategy, strategy_json_schema


def checked(*steps, **more):
    return check_strategy({"description": "x", "steps": list(steps), **more}, "mine.yaml", "Mend it.")


@pytest.mark.parametrize("name", STEPS)
def test_a_step_has_a_default_and_a_sentence_for_every_setting(name):
    (step,) = checked({"step": name}).steps
    assert step.step == name
    assert all(field.description for key, field in type(step).model_fields.items() if key != "step")


def test_a_whole_number_serves_for_a_fraction():
    assert checked({"step": "balance", "most_repeats": 2}).steps == [Balance(most_repeats=2.0)]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"step": "balanec"}, r"mine.yaml, step 1: expected one of .*did you mean balance"),
        ({"step": "balance", "most_repeat": 2}, r"step 1: balance.most_repeat: .*did you mean most_repeats"),
        ({"step": "balance", "most_repeats": "much"}, r"balance.most_repeats: expected .*number, found 'much'"),
        ({"step": "balance", "positive_rate": 1.5}, r"balance.positive_rate: expected .*less than 1, found 1.5"),
        ({"step": "expand_languages", "languages": [1]}, r"expand_languages.languages.*string, found 1"),
        ({"step": "semantic_negatives", "band": "soft"}, r"band: expected 'easy', 'medium' or 'hard', found 'soft'"),
        ({"step": "semantic_negatives", "edges": [0.5, 0.2]}, r"edges: expected two rising cosines"),
        ({"step": "semantic_negatives", "max_similarity": 0.1}, r"edges: expected two rising cosines"),
        ({"step": "semantic_negatives", "tree": ["nephew"]}, r"tree.*found 'nephew'"),
        ({"step": "counterfactuals", "kinds": ["taste"]}, r"kinds.*found 'taste'"),
        ({"step": "self_validate", "original": "shout"}, r"original: expected 'report'.*found 'shout'"),
        ("balance", r"step 1: expected a mapping with the key step, found 'balance'"),
    ],
)
def test_a_wrong_step_is_refused_with_its_number_and_what_was_meant(step, message):
    with pytest.raises(UserError, match=message):
        checked(step)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"description": "x", "stpes": []}, "stpes.*did you mean steps"),
        ({"steps": []}, "mine.yaml, description: expected a value, found none"),
        ({"description": "x", "steps": {"a": 1}}, "steps: expected a valid list"),
    ],
)
def test_a_file_that_is_no_strategy_is_refused(content, message):
    with pytest.raises(UserError, match=message):
        check_strategy(content, "mine.yaml", "Mend it.")


def test_all_faults_are_reported_together():
    with pytest.raises(UserError, match="3 wrong") as error:
        checked({"step": "nothing"}, {"step": "balance", "b": 1, "c": 2})
    assert str(error.value).count("mine.yaml, step") == 3


def test_names_of_the_last_release_still_work_with_a_warning():
    with pytest.warns(RenamedSetting, match="guard is now max_similarity"):
        (step,) = checked({"step": "semantic_negatives", "guard": 0.7, "query_guard": 0.9}).steps
    assert (step.max_similarity, step.max_query_similarity) == (0.7, 0.9)
    with pytest.warns(RenamedSetting, match="says is now description"):
        assert check_strategy({"says": "why"}, "mine.yaml", "").description == "why"


def test_a_step_with_another_value_is_checked_as_a_file_is():
    assert Balance().but(most_repeats=2.0) == Balance(most_repeats=2.0)
    with pytest.raises(UserError, match=r"balance.most_repeat: .*did you mean most_repeats"):
        Balance().but(most_repeat=2.0)


def test_the_json_schema_says_the_same_as_the_check():
    validator = Draft202012Validator(strategy_json_schema())
    right = {"description": "x", "steps": [{"step": "semantic_negatives", "band": "easy", "tree": ["far"]}]}
    wrong = {"description": "x", "steps": [{"step": "semantic_negatives", "band": "soft"}]}
    assert validator.is_valid(right)
    assert not validator.is_valid(wrong)
    assert not validator.is_valid({"description": "x", "stpes": []})
