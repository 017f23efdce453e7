"""`check-data`: what is in a folder, in figures worked out by hand, and every fault with its place."""

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from competition_utils.cli.commands import check_data
from competition_utils.data.check import check_folder, format_report
from competition_utils.data.files import write_table
from competition_utils.errors import UserError
from competition_utils.tasks import QC, QI

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"

# Two pairs occur twice: (shoe, a) with one label, (shirt, b) with both; one target is null.
TRAIN = pd.DataFrame(
    {
        "id": [1, 2, 3, 4, 5, 6],
        "task": "QC",
        "language": ["en", "en", "en", "fr", "fr", "fr"],
        "origin_query": ["shoe", "shoe", "shirt", "shirt", "nan", "cap"],
        "origin_target": ["a", "a", "b", "b", None, "c"],
        "label": pd.array([1, 1, 1, 0, 0, 1], dtype="Int8"),
    }
)


@pytest.fixture
def folder(tmp_path) -> Path:
    write_table(tmp_path / "train_QC.txt", TRAIN, QC)
    write_table(tmp_path / "dev_QC.txt.gz", TRAIN.drop(columns="label"), QC)
    return tmp_path


def command(folder: Path) -> int:
    parser = argparse.ArgumentParser()
    check_data.add_arguments(parser)
    return check_data.run(parser.parse_args([str(folder)]))


def test_a_file_is_summed_up_in_figures(folder):
    train = check_folder(folder).files[0]
    assert (train.name, train.task, train.rows, train.null_targets) == ("train_QC.txt", "QC", 6, 1)
    assert (train.duplicate_pairs, train.conflicts, train.duplicate_ids) == (2, 1, 0)
    assert train.positive_rate == pytest.approx(4 / 6)


def test_languages_have_their_rows_and_positive_rates(folder):
    languages = check_folder(folder).files[0].languages
    assert languages["language"].tolist() == ["en", "fr"]
    assert languages["rows"].tolist() == [3, 3]
    assert languages["positive_rate"].tolist() == pytest.approx([1, 1 / 3])


def test_a_file_without_labels_has_no_positive_rate_and_no_conflicts(folder):
    dev = check_folder(folder).files[1]
    assert not dev.labelled
    assert np.isnan(dev.positive_rate)
    assert dev.conflicts == 0


def test_absent_official_files_are_named(folder):
    assert check_folder(folder).absent == ("test_QC.txt", "train_QI.txt", "dev_QI.txt", "test_QI.txt")


@pytest.mark.parametrize("suffix", [".txt", ".txt.gz", ".jsonl", ".csv", ".parquet"])
def test_files_of_other_names_are_known_by_their_fields(tmp_path, suffix):
    table = TRAIN.assign(task="QI")
    write_table(tmp_path / f"my_sample{suffix}", table, QI)
    assert [(file.task, file.rows) for file in check_folder(tmp_path).files] == [("QI", 6)]


OTHER_FILES = {
    "answers.txt": b"id,label\n1,0\n",
    "meta.tsv.gz": gzip.compress(b"id\tkind\n1\tself\n"),
    "cut_off.txt.gz": gzip.compress(b"x" * 1000)[:12],
    "broken.parquet": b"PAR1",
    "empty.csv": b"",
    "README.md": b"# read me",
    "lexicon.tsv": b"source_lang\tsource_text\n",
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_files_with_other_content_are_ignored_and_named(folder, name):
    (folder / name).write_bytes(OTHER_FILES[name])
    report = check_folder(folder)
    assert list(report.ignored) == [name]
    assert f"{name}: ignored" in format_report(report)


def test_of_a_plain_and_a_zipped_file_the_plain_one_is_read(folder):
    write_table(folder / "train_QC.txt.gz", TRAIN, QC)
    report = check_folder(folder)
    assert len(report.files) == 2
    assert "train_QC.txt.gz" in report.ignored


def test_a_file_with_a_broken_first_line_is_still_known_by_the_next(tmp_path):
    lines = [{"id": 1, "task": "QC", "language": "en", "origin_query": "a", "category_path": "b", "label": 1}]
    (tmp_path / "mine.txt").write_text("oops\n" + json.dumps(lines[0]) + "\n")
    (file,) = check_folder(tmp_path).files
    assert [fault.where for fault in file.faults] == ["mine.txt:1"]


def test_the_text_names_every_fault_with_file_and_line(folder):
    with (folder / "train_QC.txt").open("a") as stream:
        stream.write("oops\n")
    text = format_report(check_folder(folder))
    assert "train_QC.txt:7: " in text


def test_the_command_exits_0_on_a_sound_folder(folder, capsys):
    assert command(folder) == 0
    assert "No faults." in capsys.readouterr().out


def test_the_command_exits_2_on_a_folder_with_faults(folder, capsys):
    with (folder / "train_QC.txt").open("a") as stream:
        stream.write("oops\n")
    assert command(folder) == 2
    assert "not JSON: 1" in capsys.readouterr().out


def test_a_train_file_of_a_folder_needs_labels(folder):
    write_table(folder / "train_QC.txt", TRAIN.drop(columns="label"), QC)
    assert [fault.kind for fault in check_folder(folder).faults] == ["no label"]


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_folder_that_is_missing_or_empty_is_one_clear_error(tmp_path, name):
    with pytest.raises(UserError, match="data folder: expected"):
        command(tmp_path / name)


@pytest.mark.shared
def test_the_official_sample_has_254_rows_in_ten_languages_and_no_fault():
    folder = SHARED / "official_sample"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    (file,) = check_folder(folder).files
    assert (file.rows, len(file.languages), file.faults) == (254, 10, ())


def test_a_file_without_a_sound_row_is_reported_with_its_faults(tmp_path):
    row = {"id": 1, "task": "QC", "language": "en", "origin_query": "a", "category_path": "b", "label": 2}
    (tmp_path / "train_QC.txt").write_text(json.dumps(row) + "\n")
    (tmp_path / "dev_QC.txt").write_text("")
    text = format_report(check_folder(tmp_path))
    assert "train_QC.txt:1: 2" in text
    assert "empty file: 1" in text
