import pytest

from competition_utils.cli.main import main
from competition_utils.errors import UserError
from competition_utils.runs import ledger, sweep
from competition_utils.runs.report.tables import runs_table
from competition_utils.storage import write_json


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data").mkdir()
    return str(tmp_path / "data")


def plan(data, configs=("sample",), strategies=(), models=(), overrides=()):
    return sweep.plan(configs, strategies, models, overrides, data)


def test_every_strategy_meets_every_model_once(data):
    names = [run.name for run in plan(data, strategies=["original", "translated"], models=["linear", "encoder"])]
    assert names == [
        "sample-original-linear",
        "sample-original-encoder",
        "sample-translated-linear",
        "sample-translated-encoder",
    ]


def test_a_cell_carries_its_strategy_and_model_to_the_notebooks(data):
    (run,) = plan(data, strategies=["translated"], models=["linear"], overrides=["seed=7"])
    assert run.parameters("augmentation")["strategy"] == "translated"
    assert run.parameters("finetune")["model"] == "linear"
    assert run.parameters("finetune")["seed"] == 7


def test_a_config_alone_keeps_its_own_name_and_model(data):
    (run,) = plan(data)
    assert run.name == "sample"
    assert run.parameters("finetune")["model"] == "encoder"


def test_the_same_cell_twice_is_refused(data):
    with pytest.raises(UserError, match="two cells are named sample-linear"):
        plan(data, models=["linear", "linear"])


def test_an_unknown_strategy_is_refused_before_anything_runs(data, capsys):
    assert main(["sweep", "sample", "--strategy", "translatd", "--data-dir", data]) == 2
    assert "translated" in capsys.readouterr().err


def test_runs_that_are_there_are_resumed_and_new_ones_started(data, monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(sweep, "execute_run", lambda run, **how: started.append((run.name, how["resume"])))
    runs = plan(data, models=["linear", "encoder"])
    for run, folder in zip(runs, ("old", "new"), strict=True):
        run.folder = tmp_path / folder
    (tmp_path / "old").mkdir()
    sweep.execute(runs, lambda text: None)
    assert started == [("sample-linear", True), ("sample-encoder", False)]


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
