"""Files that cannot be read or written: one message that names them, exit status 2, never a traceback."""

from __future__ import annotations

import builtins
import errno
import io
import os
from pathlib import Path

import pytest

from competition_utils.cli import main as cli
from competition_utils.errors import UserError, unusable_file

PLACES = {  # what a user names → the file that is spoilt
    "check-data data": "data/test_QC.txt",
    "score --model none --output s.csv --input data/test_QC.txt": "data/test_QC.txt",
    "score --model none --output s.csv --input data/test_QC.txt --lexicon words.tsv": "words.tsv",
    "score --model model --output s.csv --input data/test_QC.txt": "model/model.json",
    "score --model none --output s.csv --input data/test_QI.txt": "data/lexicon.tsv",
    "check-submission submit_QC.txt --source data": "submit_QC.txt",
    "check-submission submit_QC.txt --source data --split test": "data/test_QC.txt",
    "run configs/small.yaml": "configs/small.yaml",
    "sweep small --strategy ways.yaml": "ways.yaml",
    "thresholds done": "papermill_runs/done/finetune/QC_scores.parquet",
    "blend done other --out new": "papermill_runs/done/finetune/QC_scores.parquet",
    "compare done": "papermill_runs/done/threshold_tuning/QC_decisions.parquet",
    "leave-one-language-out done": "papermill_runs/done/augmentation/QC_train.parquet",
    "submit --run done": "papermill_runs/done/submission/manifest.json",
}
READ_BY_ARROW = ".parquet"  # in C++, out of reach of a test that forbids Python's open
# A folder is a submission too, but one with nothing in it: a check that fails, and no wrong input.
NO_FOLDER = [(command, place) for command, place in PLACES.items() if place != "submit_QC.txt"]
FORBIDDEN = [(command, place) for command, place in PLACES.items() if not place.endswith(READ_BY_ARROW)]


@pytest.fixture
def house(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with something, of whatever content, at each place that the commands name."""
    for place in PLACES.values():
        (project / place).parent.mkdir(parents=True, exist_ok=True)
        if not (project / place).exists():
            (project / place).write_text("{}")
    (project / "data" / "lexicon.tsv").write_text("source_lang\tsource_text\ttarget_lang\ttarget_text\n")
    (project / "papermill_runs" / "done" / "run.yaml").write_text("name: done\n")
    (project / "papermill_runs" / "other").mkdir()
    (project / "papermill_runs" / "other" / "run.yaml").write_text("name: other\n")
    monkeypatch.chdir(project)
    return project


def forbid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody open `path`; permission bits would not stop root, as whom tests may run."""
    allowed = io.open

    def guarded(file, *args, **kwargs):
        if not isinstance(file, int) and Path(os.fsdecode(file)).absolute() == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fsdecode(file))
        return allowed(file, *args, **kwargs)

    monkeypatch.setattr(io, "open", guarded)
    monkeypatch.setattr(builtins, "open", guarded)


def message_of(command: str, capsys: pytest.CaptureFixture) -> str:
    """What a command that ends with status 2 prints."""
    assert cli.main(command.split()) == 2
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    return printed.out + printed.err


@pytest.mark.parametrize(("command", "place"), FORBIDDEN)
def test_a_file_without_read_permission_is_reported_by_name(command, place, house, monkeypatch, capsys):
    forbid(house / place, monkeypatch)
    text = message_of(command, capsys)
    assert "Permission denied" in text and Path(place).name in text


@pytest.mark.parametrize(("command", "place"), NO_FOLDER)
def test_a_folder_in_the_place_of_a_file_is_reported_by_name(command, place, house, capsys):
    (house / place).unlink()
    (house / place).mkdir()
    text = message_of(command, capsys)
    assert Path(place).stem in text or "finished run" in text


@pytest.mark.parametrize(("command", "place"), PLACES.items())
def test_a_link_to_nothing_is_reported_by_name(command, place, house, capsys):
    (house / place).unlink()
    (house / place).symlink_to(house / "gone")
    text = message_of(command, capsys)
    assert Path(place).stem in text or "finished run" in text


def test_an_output_that_is_a_folder_is_refused_before_any_work(house, capsys):
    (house / "s.csv").mkdir()
    assert "found the folder s.csv" in message_of("score --model none --input data/test_QC.txt --output s.csv", capsys)


def test_a_sample_cannot_be_written_into_a_file(house, capsys):
    assert "words.tsv" in message_of("sample --out words.tsv", capsys)


def test_a_runs_folder_that_is_a_file_is_reported(house, capsys):
    (house / "papermill_runs" / "small").write_text("")
    assert "papermill_runs/small" in message_of("run small", capsys)


def test_a_forbidden_file_beside_the_official_ones_is_passed_over_and_reported(house, monkeypatch, capsys):
    (house / "data" / "notes.txt").write_text("{}")
    (house / "data" / "lexicon.tsv").unlink()
    forbid(house / "data" / "notes.txt", monkeypatch)
    assert cli.main(["check-data", "data"]) == 0
    assert "notes.txt: ignored (cannot be read: Permission denied)" in capsys.readouterr().out


def test_of_a_failed_renaming_the_name_that_the_user_gave_is_reported():
    error = OSError(errno.EISDIR, "Is a directory", ".scores.csv.1.part", None, "scores.csv")
    assert str(unusable_file(error)).startswith("scores.csv: ")


def test_a_full_disk_is_reported():
    assert "full" in str(unusable_file(OSError(errno.ENOSPC, "No space left on device")))


def test_trouble_that_is_not_about_files_keeps_its_traceback(monkeypatch):
    def run(args):
        raise ConnectionResetError("by peer")

    monkeypatch.setattr("competition_utils.cli.commands.submit.run", run)
    assert not isinstance(unusable_file(ConnectionResetError("by peer")), UserError)
    with pytest.raises(ConnectionResetError):
        cli.main(["submit", "--run", "x"])
