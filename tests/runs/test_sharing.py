"""Stages that runs share, on notebooks that do as little as may be."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from small_run import contents

from competition_utils import paths
from competition_utils.cli import main as cli
from competition_utils.runs import kernel, stage
from competition_utils.runs.config import load_config
from competition_utils.runs.runner import Run, execute_run
from competition_utils.runs.sharing import code
from competition_utils.runs.sharing.store import Store, Wanted
from competition_utils.runs.stage import why_not_done
from competition_utils.storage import read_json


def run_shared(name: str, *overrides: str, resume: bool = False) -> Path:
    execute_run(Run(name, load_config("small", overrides)), resume=resume, store=Store())
    return paths.run_folder(name)


def test_what_one_run_computed_another_takes_and_ends_with_the_same_files(executed):
    first, second = run_shared("first"), run_shared("second")
    assert executed == [f"first/{name}" for name in paths.STAGES]
    assert contents(first).keys() == contents(second).keys()
    for name in paths.STAGES:
        assert contents(first / name) == contents(second / name)
        assert (first / name / "manifest.json").read_bytes() == (second / name / "manifest.json").read_bytes()


def test_a_stage_that_reads_a_setting_is_computed_for_each_value_of_it(executed):
    run_shared("first")
    run_shared("other_encoder", "encoder.num_train_epochs=9")
    assert executed[5:] == ["other_encoder/finetune"]  # what comes after reads the same bytes
    run_shared("other_seed", "seed=2")
    assert "other_seed/eda" in executed


def test_a_run_that_does_not_share_executes_all_and_leaves_nothing_in_the_store(executed):
    run_shared("first")
    kept = sorted(Store().folder.rglob("*"))
    execute_run(Run("alone", load_config("small", ["seed=5"])))
    assert executed[5:] == [f"alone/{name}" for name in paths.STAGES]
    assert sorted(Store().folder.rglob("*")) == kept


def test_altering_a_file_of_a_run_alters_no_other_run_and_not_the_store(executed):
    first, second = run_shared("first"), run_shared("second")
    as_it_was = (second / "eda" / "numbers.parquet").read_bytes()
    with (second / "eda" / "numbers.parquet").open("r+b") as stream:
        stream.write(b"other bytes")
    assert (first / "eda" / "numbers.parquet").read_bytes() == as_it_was
    third = run_shared("third")
    assert (third / "eda" / "numbers.parquet").read_bytes() == as_it_was
    assert len(executed) == 5


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"other bytes")])
def test_what_is_damaged_in_the_store_is_computed_again_and_kept_anew(executed, damage):
    run_shared("first")
    for path in (Store().folder / "files").rglob("*"):
        if path.is_file():
            damage(path)
    run_shared("second")
    assert executed[5:] == [f"second/{name}" for name in paths.STAGES]
    run_shared("third")
    assert len(executed) == 10


def test_a_damaged_entry_of_the_store_is_passed_over(executed):
    run_shared("first")
    for path in (Store().folder / "stages").rglob("*.json"):
        path.write_text(path.read_text().replace("numbers", "nummers"))
    run_shared("second")
    assert executed[5:] == [f"second/{name}" for name in paths.STAGES]


def test_other_data_are_not_taken_for_the_same(executed, project):
    run_shared("first")
    (project / "data" / "lexicon.tsv").write_text("en\tshoe\n")
    run_shared("second")
    assert "second/eda" in executed and "second/augmentation" not in executed  # which reads what did not change


def test_another_notebook_is_not_taken_for_the_same(executed):
    run_shared("first")
    notebook = paths.notebook_path("augmentation")
    notebook.write_text(notebook.read_text().replace('stage.read(\\"numbers\\"', 'stage.read( \\"numbers\\"'))
    run_shared("second")
    assert executed[5:] == ["second/augmentation"]


def test_a_notebook_that_was_taken_names_the_run_it_lies_in(project, capsys):
    """With real kernels: opened alone, it must not write into the run that computed it."""
    config = load_config("small")
    for name in ("first", "second"):
        execute_run(Run(name, config), last="eda", store=Store())
    assert "eda               from the store, computed by first" in capsys.readouterr().out
    taken = (paths.run_folder("second") / "01_eda.ipynb").read_text()
    assert 'run_dir = \\"papermill_runs/second\\"' in taken
    assert 'run_dir = \\"papermill_runs/first\\"' not in taken
    assert json.loads(taken)["metadata"]["papermill"]["parameters"]["run_dir"] == "papermill_runs/second"
    assert Run("second", config).why_not_done("eda") is None


def test_two_runs_that_want_the_same_at_once_compute_it_once(executed, monkeypatch):
    inside, go_on, names = threading.Event(), threading.Event(), []

    def compute(name: str) -> None:
        wanted = Wanted.of("eda", paths.run_folder(name), Run(name, load_config("small")).parameters("eda"))
        with Store().one_at_a_time(wanted, go_on.set):
            names.append(f"{name} in")
            inside.set()
            go_on.wait(10)
            names.append(f"{name} out")

    first = threading.Thread(target=compute, args=["first"])
    first.start()
    inside.wait(10)
    compute("second")
    first.join()
    assert names == ["first in", "first out", "second in", "second out"]


# An upgrade of the package.


def test_resume_after_another_version_of_the_package_says_so_and_makes_the_stages_again(executed, monkeypatch, capsys):
    run_shared("first")
    now = stage.versions()
    monkeypatch.setattr(stage, "versions", lambda: {**now, "competition-utils": "99.0"})
    capsys.readouterr()
    run_shared("first", resume=True)
    before = now.get("competition-utils")
    assert f"eda               run again: competition-utils was {before} and is 99.0" in capsys.readouterr().out
    assert executed[5:] == [f"first/{name}" for name in paths.STAGES]


def test_resume_after_a_change_of_code_that_a_stage_ran_on_names_the_file(executed, monkeypatch, capsys):
    run_shared("first")
    now = code.code_files()
    monkeypatch.setattr(code, "code_files", lambda: {**now, "storage.py": "other", "paths.py": "other"})
    monkeypatch.setattr(stage, "code_files", code.code_files)
    capsys.readouterr()
    run_shared("first", resume=True)
    assert "eda               run again: the package's paths.py and 1 more changed" in capsys.readouterr().out
    assert executed[5:] == [f"first/{name}" for name in paths.STAGES]


def test_a_stage_whose_code_is_edited_while_it_runs_ends_and_is_made_again_by_resume(executed, monkeypatch):
    when_it_began = {**code.code_files(), "storage.py": "before the edit"}
    with monkeypatch.context() as patch:
        patch.setattr(stage, "code_files", lambda: when_it_began)
        assert (run_shared("first") / "metrics.json").is_file()
    assert Run("first", load_config("small")).why_again("eda") == "the package's storage.py changed"


def test_a_manifest_of_a_release_that_did_not_note_its_code_is_not_trusted(executed):
    run = run_shared("first")
    manifest = stage.read_manifest(run / "eda" / "manifest.json")
    del manifest["inputs"]["code"]
    stage.write_sealed_json(run / "eda" / "manifest.json", manifest)
    parameters = Run("first", load_config("small")).parameters("eda")
    assert why_not_done("eda", run, parameters) is None
    assert Run("first", load_config("small")).why_again("eda") == "an earlier state of competition-utils made it"


def test_a_stage_runs_on_the_modules_it_imported_and_what_lies_beside_them():
    files = code.code_files()
    loaded = code.loaded_code(files)
    assert loaded["runs/stage.py"] == files["runs/stage.py"]
    assert {"data/brands.txt", "data/lexicon/words.tsv"} <= loaded.keys() or "data/clean.py" not in loaded
    assert "runs/report/page.css" in files


def test_code_that_only_shows_leaves_checkpoints_of_a_fit_under_way(executed, monkeypatch):
    now = code.code_files()
    same = code.working_code()
    monkeypatch.setattr(code, "code_files", lambda: {**now, "plots/style.py": "other"})
    assert code.working_code() == same
    monkeypatch.setattr(code, "code_files", lambda: {**now, "data/clean.py": "other"})
    assert code.working_code() != same


def test_ledger_shows_and_clears_the_store(executed, capsys):
    run_shared("first")
    assert cli.main(["ledger", "--store"]) == 0
    assert "papermill_runs/store" in capsys.readouterr().out
    assert cli.main(["ledger", "--clear-store"]) == 0
    assert not Store().folder.exists()
    run_shared("second")
    assert executed[5:] == [f"second/{name}" for name in paths.STAGES]


def test_seconds_of_a_stage_that_was_taken_are_those_it_took(executed):
    first, second = run_shared("first"), run_shared("second")
    assert read_json(first / "metrics.json")["seconds"] == read_json(second / "metrics.json")["seconds"]
    assert kernel.read_executed(second)["eda"]["from"] == "first"
    assert "from" not in kernel.read_executed(first)["eda"]
