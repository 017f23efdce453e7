from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from competition_utils.cli.main import main
from competition_utils.errors import UserError
from competition_utils.runs import ledger
from competition_utils.runs.report.tables import runs_table
from competition_utils.runs.sweep import matrix
from competition_utils.storage import write_json

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data").mkdir()
    return str(tmp_path / "data")


def plan(data, name=None, overrides=(), configs=("sample",), **lists):
    return matrix.plan(name, {"configs": list(configs), **lists}, overrides, data)


def names(*args, **lists):
    return [cell.name for cell in plan(*args, **lists)]


def test_every_strategy_meets_every_model_once(data):
    assert names(data, strategies=["original", "translated"], models=["linear", "encoder"]) == [
        "sample-original-linear",
        "sample-original-encoder",
        "sample-translated-linear",
        "sample-translated-encoder",
    ]


def test_tasks_and_seeds_make_cells_of_their_own(data):
    assert names(data, models=["linear"], tasks=["QC", "QI"], seeds=[0, 3]) == [
        "sample-linear-QC-seed0",
        "sample-linear-QC-seed3",
        "sample-linear-QI-seed0",
        "sample-linear-QI-seed3",
    ]


def test_cells_of_a_matrix_with_a_name_are_named_after_it(data):
    assert names(data, "paper", models=["linear"]) == ["paper-linear"]
    assert names(data, "paper", configs=["sample", "encoder_cpu"]) == ["paper-sample", "paper-encoder_cpu"]


def test_a_cell_carries_what_it_is_made_of_to_the_notebooks(data):
    lists = {"strategies": ["translated"], "models": ["linear"], "tasks": ["QI"], "seeds": [7]}
    (cell,) = plan(data, **lists, settings={"linear": {"C": 2}}, overrides=["linear.max_iter=9"])
    run = cell.run()
    assert run.parameters("augmentation")["strategy"] == "translated"
    fit = run.parameters("finetune")
    assert (fit["model"], fit["task"], fit["seed"], fit["linear"]) == ("linear", "QI", 7, {"C": 2.0, "max_iter": 9})


def test_a_section_of_a_matrix_leaves_the_other_settings_of_the_config(data):
    (cell,) = plan(data, settings={"encoder": {"num_train_epochs": 1.0}})
    of_config = yaml.safe_load((CONFIGS / "sample.yaml").read_text(encoding="utf-8"))["encoder"]
    assert of_config["num_train_epochs"] != 1.0
    assert cell.run().parameters("finetune")["encoder"] == of_config | {"num_train_epochs": 1.0}


def test_a_config_alone_keeps_its_own_name_and_model(data):
    (cell,) = plan(data)
    assert cell.name == "sample"
    assert cell.run().parameters("finetune")["model"] == "encoder"


def test_all_faults_of_a_matrix_are_reported_at_once(data):
    lists = {"strategies": ["translatd", "original", "original"], "models": ["liner"], "seeds": [-1]}
    with pytest.raises(UserError) as error:
        plan(data, "mine", configs=["sample"], **lists, settings={"encoder": {"epoch": 1}, "sed": 1}, kinds=1)
    found = str(error.value)
    assert found.startswith("mine.yaml: ")
    for fault in ("liner", "did you mean translated", "seeds", "kinds: no such setting", "epoch", "did you mean seed"):
        assert fault in found


@pytest.mark.parametrize(
    ("lists", "fault"),
    [
        ({"models": ["linear", "linear"]}, "expected each once, found 'linear' twice"),
        ({"settings": {"model": "linear"}}, r"settings\.model: expected it as models: \[linear\]"),
        ({"overrides": ["seed=1"]}, "-p seed: expected it as seeds"),
        ({"equal_steps": True, "overrides": ["encoder.training=single"]}, r"equal_steps: expected tasks: \[QC, QI\]"),
        ({"configs": []}, "configs"),
        ({"configs": ["sampel"]}, "did you mean sample"),
    ],
)
def test_a_matrix_that_makes_no_sense_is_refused(data, lists, fault):
    with pytest.raises(UserError, match=fault):
        plan(data, **lists)


def test_equal_steps_are_those_of_one_task_or_of_one_model_for_both_or_none(data):
    assert plan(data, equal_steps=True)[0].run().config.settings.encoder.training == "joint"
    assert len(plan(data, configs=["encoder_cpu"], tasks=["QC", "QI"], equal_steps=True)) == 2
    assert plan(data, configs=["encoder_cpu"], models=["linear"], equal_steps=True)[0].equal_steps


def test_the_matrix_of_the_paper_has_seven_strategies_and_two_models_on_both_tasks():
    cells = matrix.plan(*matrix.read_matrix(["paper"]))
    assert len(cells) == 14
    assert {cell.run().config.settings.task for cell in cells} == {"all"}


def test_a_matrix_among_configs_is_refused():
    with pytest.raises(UserError, match="expected one matrix, or configs"):
        matrix.read_matrix(["paper", "sample"])


def test_an_unknown_strategy_is_refused_before_anything_runs(data, capsys):
    assert main(["sweep", "sample", "--strategy", "translatd", "--data-dir", data]) == 2
    assert "translated" in capsys.readouterr().err


def test_the_table_of_a_sweep_has_each_runs_f1_and_seconds(tmp_path):
    task = {"f1": 0.8, "unseen_language_f1": 0.7}
    metrics = {"tasks": {"QC": task, "QI": task}, "f1_mean": 0.8, "seconds": {"eda": 1.0, "finetune": 2.0}}
    write_json(tmp_path / "sample" / "metrics.json", metrics)
    (tmp_path / "sample" / "run.yaml").write_text("device: 2 CPUs\n")
    row = runs_table([ledger.entry(tmp_path / "sample")]).frame.loc["sample"]
    assert row[["QC F1", "QC unseen", "QI F1", "QI unseen", "mean F1", "seconds"]].to_dict() == {
        "QC F1": 0.8,
        "QC unseen": 0.7,
        "QI F1": 0.8,
        "QI unseen": 0.7,
        "mean F1": 0.8,
        "seconds": 3.0,
    }
