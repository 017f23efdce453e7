"""Files of a run: written whole or not at all, and damage to them is named."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from fuzzing import fuzz
from hypothesis import example, given
from hypothesis import strategies as st

from competition_utils.errors import DamagedFile, DiskFull, UserError, printable
from competition_utils.storage import atomic_write, read_json, read_parquet, write_json, write_parquet, write_text

TABLE = pd.DataFrame({"id": range(500), "text": [f"text number {n}" for n in range(500)]})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB of its own; skipped where the tests may not mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True)
    if done.returncode:
        pytest.skip("mounting needs root")
    yield place
    subprocess.run(["umount", place], check=True)


def test_full_disk_names_the_folder_and_the_free_space_and_leaves_nothing_half_written(small_disk):
    write_text(small_disk / "kept.txt", "as it was")
    with pytest.raises(DiskFull) as error:
        write_text(small_disk / "kept.txt", "x" * 100_000)
    assert str(small_disk) in str(error.value) and "kept.txt" in str(error.value)
    assert "bytes are free" in str(error.value)
    assert [path.name for path in small_disk.iterdir()] == ["kept.txt"]
    assert (small_disk / "kept.txt").read_text() == "as it was"


def test_full_disk_under_a_parquet_writer_is_the_same_message(small_disk):
    with pytest.raises(DiskFull, match="table"):
        write_parquet(small_disk / "table.parquet", pd.DataFrame({"noise": [os.urandom(50_000).hex()]}))
    assert not list(small_disk.iterdir())


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("I/O error: No space left on device")]
)
def test_full_disk_reported_by_any_library_is_one_message(tmp_path, error):
    with pytest.raises(DiskFull, match=f"^{tmp_path}"), atomic_write(tmp_path / "new" / "weights") as beside:
        beside.write_bytes(b"half")
        raise error
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_other_errors_while_writing_stay_as_they_are(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "a"):
        1 / 0  # noqa: B018


DAMAGED_JSON = {
    "empty": b"",
    "cut": b'{"seconds": 1',
    "not_utf8": b'{"a": "\xff"}',
    "nested_beyond_recursion": b"[" * 100_000,
    "binary": os.urandom(64),
    "another_shape": b"[1, 2]",
    "a_key_is_gone": b"{}",
}


@pytest.mark.parametrize("damage", DAMAGED_JSON)
def test_damaged_json_is_named_with_what_to_do(tmp_path, damage):
    (tmp_path / "manifest.json").write_bytes(DAMAGED_JSON[damage])
    with pytest.raises(DamagedFile, match=r"manifest\.json: expected .*found.*run what wrote it again"):
        read_json(tmp_path / "manifest.json", need=["seconds"])


def test_json_comes_back_as_it_was_written(tmp_path):
    write_json(tmp_path / "a.json", {"a": [1, None, "ü"]})
    assert read_json(tmp_path / "a.json", need=["a"]) == {"a": [1, None, "ü"]}


DAMAGED_PARQUET = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "cut_at_the_front": lambda data: data[10:],
    "not_parquet": lambda data: b'{"a": 1}',
    "footer_length_changed": lambda data: data[:-8] + b"\xff\xff\xff\x7f" + data[-4:],
}


@pytest.mark.parametrize("damage", DAMAGED_PARQUET)
def test_damaged_parquet_is_named_with_what_to_do(tmp_path, damage):
    path = tmp_path / "scores.parquet"
    write_parquet(path, TABLE)
    path.write_bytes(DAMAGED_PARQUET[damage](path.read_bytes()))
    with pytest.raises(DamagedFile, match=r"scores\.parquet: expected a parquet file, found.*again"):
        read_parquet(path)


@fuzz(150)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(place=0.8314813245456693, bit=0)  # the footer's number of rows
def test_a_changed_bit_of_a_parquet_file_is_found_or_changes_nothing(tmp_path_factory, place, bit):
    path = tmp_path_factory.mktemp("bit") / "t.parquet"
    write_parquet(path, TABLE)
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    path.write_bytes(data)
    try:
        read = read_parquet(path, need=["id", "text"])
    except DamagedFile:
        return
    assert read["id"].tolist() == TABLE["id"].tolist()
    assert read["text"].tolist() == TABLE["text"].tolist()


def test_a_table_without_a_needed_column_is_named(tmp_path):
    write_parquet(tmp_path / "scores.parquet", TABLE)
    with pytest.raises(DamagedFile, match=r"columns id, score, found: no score"):
        read_parquet(tmp_path / "scores.parquet", need=["id", "score"])


@pytest.mark.parametrize("read", [read_json, read_parquet])
def test_a_missing_file_and_a_folder_keep_their_own_errors(tmp_path, read):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        read(tmp_path)


def test_the_errors_are_for_users():
    assert issubclass(DamagedFile, UserError) and issubclass(DiskFull, UserError)


@pytest.mark.parametrize("mark", ["\x1b[2J", "\u202e", "\u200b", "\x00", "\u2028", "\ud800", "\x9b"])
def test_what_is_printed_cannot_drive_a_terminal(mark):
    assert printable(f"a{mark}b").isprintable()
    assert printable("Größe 靴 👠") == "Größe 靴 👠"
