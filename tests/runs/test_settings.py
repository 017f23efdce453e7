from __future__ import annotations

import pytest

from competition_utils.errors import UserError
from competition_utils.runs.settings import load_settings


def write_config(project, text: str) -> str:
    (project / "configs" / "mine.yaml").write_text(text)
    return "mine"


def told(config: str, *overrides: str) -> str:
    with pytest.raises(UserError) as error:
        load_settings(config, overrides)
    return str(error.value)


def test_a_config_is_found_by_its_bare_name_from_any_directory(project, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert load_settings("small").values == {"data_dir": "data", "seed": 1}


def test_a_config_is_found_by_its_path(project, monkeypatch):
    monkeypatch.chdir(project)
    assert load_settings("configs/small.yaml").config == "small"


def test_a_config_that_does_not_exist_is_told_with_the_nearest_and_all_names(project):
    assert "(did you mean small?)" in told("smal")


def test_every_fault_is_told_at_once(project):
    message = told(write_config(project, "sed: 1\nseed: many\nrun_dir: x\n"), "hold=3", "nonsense")
    assert "5 wrong" in message
    assert "sed: no notebook has this parameter (did you mean seed?)" in message
    assert "seed: expected a whole number such as 0, found 'many'" in message
    assert "run_dir: not yours to set" in message
    assert "-p hold: expected text" in message
    assert "-p nonsense: expected KEY=VALUE" in message


@pytest.mark.parametrize("text", ["- a\n- b\n", "", "just text", "1: a\n"])
def test_a_config_that_is_no_mapping_is_refused(project, text):
    assert "expected a mapping" in told(write_config(project, text))


def test_broken_yaml_is_told_with_file_and_line(project):
    assert "mine.yaml:2" in told(write_config(project, "seed: 1\nhold: a: b\n"))


def test_a_key_given_twice_is_refused(project):
    assert "stands twice" in told(write_config(project, "seed: 1\nseed: 2\n"))


def test_a_python_object_in_yaml_is_refused(project):
    assert "mine.yaml:1" in told(write_config(project, "seed: !!python/object/apply:os.getcwd []\n"))


def test_overrides_win_over_the_config(project):
    assert load_settings("small", ["seed=5"]).values["seed"] == 5


def test_data_dir_on_the_command_line_wins(project):
    assert load_settings("small", ["data_dir=a"], data_dir="b").data_dir == "b"


def test_a_dotted_override_leaves_the_other_keys_of_the_mapping(project):
    config = write_config(project, "encoder: {epochs: 9, learning_rate: 0.5}\n")
    assert load_settings(config, ["encoder.epochs=2"]).values["encoder"] == {"epochs": 2, "learning_rate": 0.5}


def test_a_dotted_override_starts_from_the_notebooks_default(project):
    assert load_settings("small", ["encoder.epochs=2"]).values["encoder"] == {"epochs": 2, "learning_rate": 0.1}


def test_a_dotted_override_of_something_that_is_no_mapping_is_refused(project):
    assert "seed is not a mapping" in told("small", "seed.x=1")


@pytest.mark.parametrize("number", ["1e-4", "1.0e-4", "0.0001"])
def test_numbers_with_an_exponent_are_numbers(project, number):
    assert load_settings("small", [f"encoder.learning_rate={number}"]).values["encoder"]["learning_rate"] == 1e-4


def test_each_notebook_gets_only_what_it_declares(project):
    settings = load_settings("small", ["hold=x"])
    assert settings.for_stage("eda", {"run_dir": "r"}) == {"data_dir": "data", "seed": 1, "run_dir": "r"}
    assert settings.for_stage("finetune", {"run_dir": "r"}) == {"hold": "x", "run_dir": "r"}


def test_the_size_of_the_built_in_sample_is_a_setting(project):
    settings = load_settings(write_config(project, "data_dir: sample\nsample_rows: 300\n"))
    assert settings.sample_size == {"rows": 300, "dev_rows": 2000, "test_rows": 2000, "seed": 0}


def test_a_misspelt_setting_of_a_model_is_told_before_anything_runs(project):
    message = told(write_config(project, "encoder: {epoch: 2}\nlinear: {c: much}\n"))
    assert "encoder.epoch: no such setting. Did you mean epochs?" in message
    assert "linear.c: expected float, found 'much' (str)" in message
