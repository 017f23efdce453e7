from __future__ import annotations

import pytest

from competition_utils.errors import UserError
from competition_utils.runs.config import load_config
from competition_utils.settings.renamed import RenamedSetting


def write_config(project, text: str) -> str:
    (project / "configs" / "mine.yaml").write_text(text)
    return "mine"


def refusal(config: str, *overrides: str) -> str:
    with pytest.raises(UserError) as error:
        load_config(config, overrides)
    return str(error.value)


def test_a_config_is_found_by_its_bare_name_from_any_directory(project, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert load_config("small").given == {"data_dir": "data", "seed": 1}


def test_a_config_is_found_by_its_path(project, monkeypatch):
    monkeypatch.chdir(project)
    assert load_config("configs/small.yaml").name == "small"


def test_a_config_that_does_not_exist_is_reported_with_the_nearest_and_all_names(project):
    assert "(did you mean small?)" in refusal("smal")


def test_every_fault_is_reported_at_once(project):
    message = refusal(write_config(project, "sed: 1\nseed: many\nrun_dir: x\n"), "hold=3", "nonsense")
    assert "mine.yaml: 5 wrong" in message
    assert "sed: no such setting (did you mean seed?)" in message
    assert "seed: expected a valid integer, found 'many'" in message
    assert "run_dir: not yours to set" in message
    assert "hold: expected a valid string, found 3" in message
    assert "-p nonsense: expected KEY=VALUE" in message


@pytest.mark.parametrize("text", ["- a\n- b\n", "", "just text", "1: a\n"])
def test_a_config_that_is_no_mapping_is_refused(project, text):
    assert "expected a mapping" in refusal(write_config(project, text))


def test_broken_yaml_is_reported_with_file_and_line(project):
    assert "mine.yaml:2" in refusal(write_config(project, "seed: 1\nhold: a: b\n"))


def test_a_key_given_twice_is_refused(project):
    assert "stands twice" in refusal(write_config(project, "seed: 1\nseed: 2\n"))


def test_a_python_object_in_yaml_is_refused(project):
    assert "mine.yaml:1" in refusal(write_config(project, "seed: !!python/object/apply:os.getcwd []\n"))


def test_overrides_win_over_the_config(project):
    assert load_config("small", ["seed=5"]).given["seed"] == 5


def test_data_dir_on_the_command_line_wins(project):
    assert load_config("small", ["data_dir=a"], data_dir="b").given["data_dir"] == "b"


def test_a_dotted_override_leaves_the_other_keys_of_the_mapping(project):
    config = write_config(project, "encoder: {num_train_epochs: 9, learning_rate: 0.5}\n")
    assert load_config(config, ["encoder.num_train_epochs=2"]).given["encoder"] == {
        "num_train_epochs": 2,
        "learning_rate": 0.5,
    }


def test_a_dotted_override_alone_leaves_the_defaults_of_the_schema(project):
    encoder = load_config("small", ["encoder.num_train_epochs=2"]).settings.encoder
    assert (encoder.num_train_epochs, encoder.total_batch_size) == (2, 64)


def test_a_dotted_override_of_something_that_is_no_mapping_is_refused(project):
    assert "seed is not a mapping" in refusal("small", "seed.x=1")


@pytest.mark.parametrize("number", ["1e-4", "1.0e-4", "0.0001"])
def test_numbers_with_an_exponent_are_numbers(project, number):
    assert load_config("small", [f"encoder.learning_rate={number}"]).given["encoder"]["learning_rate"] == 1e-4


def test_each_notebook_gets_only_what_it_declares(project):
    settings = load_config("small", ["hold=x"])
    assert settings.for_stage("eda", {"run_dir": "r"}) == {"data_dir": "data", "seed": 1, "run_dir": "r"}
    assert settings.for_stage("finetune", {"run_dir": "r"}) == {"hold": "x", "run_dir": "r"}


def test_the_size_of_the_built_in_sample_is_a_setting(project):
    settings = load_config(write_config(project, "data_dir: sample\nsample_rows: 300\n")).settings
    assert settings.sample_size == {"rows": 300, "dev_rows": 2000, "test_rows": 2000, "seed": 0}


def test_a_misspelt_setting_of_a_model_is_reported_before_anything_runs(project):
    message = refusal(write_config(project, "encoder: {epoch: 2}\nlinear: {C: much}\n"))
    assert "encoder.epoch: no such setting (did you mean num_train_epochs?)" in message
    assert "linear.C: expected a valid number, found 'much'" in message


@pytest.mark.parametrize("text", ["folds: 0", "folds: -5", "seed: -1", f"seed: 1{'0' * 27}", "allow_faults: &a [*a]"])
def test_a_value_out_of_range_is_refused_with_what_was_expected(project, text):
    name = text.split(":")[0]
    assert f"{name}" in refusal(write_config(project, f"{text}\n")) and "expected" in refusal("mine")


@pytest.mark.parametrize("text", ["[" * 5000, "{1: 2}", "encoder: {1: 2}"], ids=["deep", "keys", "inner keys"])
def test_yaml_that_no_config_can_be_is_refused_in_one_message(project, text):
    assert "expected" in refusal(write_config(project, text)) or "no such setting" in refusal("mine")


@pytest.mark.parametrize("config", ["x" * 300, "/proc/self/mem", "a\0b"])
def test_a_name_that_is_no_config_file_is_refused(project, config):
    assert "expected" in refusal(config)


def test_an_old_name_works_with_one_warning_and_the_new_one_wins(project):
    config = write_config(project, "encoder: {epochs: 9, batch_size: 32}\n")
    with pytest.warns(RenamedSetting, match="epochs is now num_train_epochs, batch_size is now total_batch_size"):
        loaded = load_config(config, ["encoder.epochs=2"])
    assert loaded.given["encoder"] == {"num_train_epochs": 2, "total_batch_size": 32}


def test_the_number_of_evaluations_of_an_earlier_release_becomes_a_share_of_the_steps(project):
    with pytest.warns(RenamedSetting):
        assert load_config("small", ["encoder.evaluations=4"]).settings.encoder.eval_steps == 0.25
