from __future__ import annotations

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from competition_utils import paths
from competition_utils.cli import main as cli
from competition_utils.errors import UserError
from competition_utils.runs import ledger, runner
from competition_utils.runs.config import load_config
from competition_utils.runs.runner import Outcome, Run, execute_run, only_runner
from competition_utils.storage import read_json, write_json

SUBMITTED = ("submit_QC.txt", "submit_QI.txt", "submit.zip", "submission_QC.csv", "submission_QI.csv")


def run_small(name: str, *overrides: str, **options) -> Outcome:
    return execute_run(Run(name, load_config("small", overrides)), **options)


def submission_bytes(name: str) -> dict[str, bytes]:
    return {file: (paths.submission_folder(name) / file).read_bytes() for file in SUBMITTED}


@pytest.fixture(scope="module")
def finished(shared_project: Path) -> Path:
    """The folder of a run that went through."""
    assert run_small("whole") == Outcome(read_json(paths.run_folder("whole") / "metrics.json"), [])
    return paths.run_folder("whole")


def test_a_run_leaves_five_executed_notebooks_and_their_manifests(finished):
    for stage in paths.STAGES:
        assert (finished / paths.notebook_name(stage)).is_file()
        assert (finished / stage / "manifest.json").is_file()


def test_metrics_hold_tasks_mean_and_seconds_of_every_stage(finished):
    metrics = read_json(finished / "metrics.json")
    assert metrics["f1_mean"] == 0.8
    assert set(metrics["tasks"]) == {"QC", "QI"}
    assert list(metrics["seconds"]) == list(paths.STAGES)


def test_run_yaml_tells_settings_with_the_defaults_that_were_not_given(finished):
    text = (finished / "run.yaml").read_text()
    assert "submit_split: test" in text
    assert "git_commit:" in text


def test_the_report_needs_no_other_file(finished):
    page = (finished / "report.html").read_text()
    assert "ar (unseen)" in page
    assert 'src="http' not in page and "<link" not in page


def test_a_finished_run_has_a_line_in_the_ledger(finished):
    entry = next(entry for entry in ledger.read(paths.ledger_path()) if entry["name"] == "whole")
    assert entry["f1_mean"] == 0.8 and set(entry["seconds"]) == set(paths.STAGES)


def test_an_existing_run_is_not_touched_without_resume(finished):
    with pytest.raises(UserError, match=r"Add --resume to go on with it, or --name"):
        run_small("whole")


def test_resuming_a_finished_run_executes_nothing(finished, monkeypatch):
    monkeypatch.setattr(runner, "execute", None)
    assert run_small("whole", resume=True).faults == []


def test_a_stage_that_was_run_by_hand_counts_with_the_seconds_of_its_manifest(finished, monkeypatch):
    monkeypatch.setattr(runner, "execute", None)
    executed = read_json(finished / ".executed.json")
    write_json(finished / ".executed.json", {name: entry for name, entry in executed.items() if name != "augmentation"})
    seconds = read_json(finished / "augmentation" / "manifest.json")["seconds"]
    assert run_small("whole", resume=True).metrics["seconds"]["augmentation"] == seconds
    write_json(finished / ".executed.json", executed)


DAMAGES = {
    "deleted": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:40]),
    "altered": lambda path: path.write_bytes(path.read_bytes().replace(b"0", b"1", 1)),
    "other bytes": lambda path: path.write_bytes(b"\xff\xfe{"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "name", ["02_augmentation.ipynb", "augmentation/manifest.json", "augmentation/numbers.parquet"]
)
def test_what_is_gone_or_not_what_was_written_is_made_again_by_resume(finished, name, damage, capsys):
    before = submission_bytes("whole")
    DAMAGES[damage](finished / name)
    assert run_small("whole", resume=True).faults == []
    assert "augmentation      run again: " in capsys.readouterr().out or name.endswith("manifest.json")
    assert submission_bytes("whole") == before
    run_small("whole", resume=True)
    assert capsys.readouterr().out.count("done before") == 5


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["metrics.json", "report.html", "run.yaml", ".executed.json"])
def test_what_the_runner_writes_is_written_anew_by_resume(finished, name, damage):
    DAMAGES[damage](finished / name)
    run_small("whole", resume=True)
    assert read_json(finished / "metrics.json")["f1_mean"] == 0.8
    assert "ar (unseen)" in (finished / "report.html").read_text()
    assert "submit_split: test" in (finished / "run.yaml").read_text()


def test_from_a_stage_whose_predecessors_are_stale_is_refused(finished):
    with pytest.raises(UserError, match=r"stage eda is not done \(settings changed \(seed\)\)"):
        run_small("whole", "seed=9", first="finetune")


def test_two_runners_in_one_folder_are_refused(finished):
    with only_runner(finished), pytest.raises(UserError, match="being written by another process"):
        run_small("whole", resume=True)


def test_from_does_a_stage_again_and_leaves_what_does_not_change(finished, capsys):
    before = submission_bytes("whole")
    run_small("whole", first="threshold_tuning")
    printed = capsys.readouterr().out
    assert "submission        done before" in printed
    assert submission_bytes("whole") == before


def test_to_stops_after_a_stage_without_metrics(project):
    assert run_small("early", last="eda") == Outcome(None, [])
    assert not paths.run_folder("early").joinpath("02_augmentation.ipynb").exists()


def test_from_after_to_is_refused(project):
    with pytest.raises(UserError, match="nothing to run"):
        run_small("x", first="submission", last="eda")


@pytest.mark.parametrize("name", ["../x", "", "a b", ".hidden", "a{b}", "store"])
def test_a_name_that_is_no_plain_folder_name_is_refused(project, name):
    with pytest.raises(UserError, match="--name"):
        run_small(name)


def stop_in_stage_3(command: list[str], number: signal.Signals) -> int:
    """Start a run, send it a signal while its third notebook waits, and give its exit status.

    Ctrl-C counts for it even where the tests themselves run in the background of a shell, which ignores it.
    """
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed)
    growing = paths.run_folder("stopped") / "03_finetune.running.ipynb"
    deadline = time.monotonic() + 60
    while not growing.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=180)
    return process.returncode


def test_a_run_stopped_in_stage_3_and_resumed_ends_with_the_same_bytes(finished):
    hold = paths.project_root() / "go-on"
    arguments = ["run", "small", "--name", "stopped", "--resume", "-p", f"hold={hold}"]
    command = [sys.executable, "-m", "competition_utils", *arguments]
    assert stop_in_stage_3(command, signal.SIGINT) == 130
    assert stop_in_stage_3(command, signal.SIGTERM) == 130
    assert stop_in_stage_3(command, signal.SIGKILL) == -signal.SIGKILL
    hold.touch()
    assert cli.main(arguments) == 0
    assert submission_bytes("stopped") == submission_bytes("whole")
