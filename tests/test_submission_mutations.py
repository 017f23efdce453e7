"""Wrong submissions by kinds, all of which the check must find, and right ones, none of which it may refuse."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fuzzing import fuzz
from hypothesis import given
from hypothesis import strategies as st

from competition_utils.data.files import write_table
from competition_utils.submission_check import check_submission
from competition_utils.submit import neutralise_formulas, write_submission
from competition_utils.tasks import TASKS

QUERIES = [
    " Schuhe ",
    "nan",
    "a\u2028b",
    'tv 55"',
    "รองเท้า",
    "=cmd|' /C calc'!A0",
    "café",
    "\u202eabc",
    "👩‍👩‍👧",
    "x" * 5000,
]
FIELDS = {"QC": "category_path", "QI": "item_title"}
SOURCES = {
    task: [
        {"id": 3 * n + 1, "task": task, "language": "de", "origin_query": query, field: f"level {n},{query}"}
        for n, query in enumerate(QUERIES)
    ]
    for task, field in FIELDS.items()
}
SOURCES["QI"][3]["item_title"] = None
PLACES = (0, 4, 9)


def write_right(folder: Path, sources: dict[str, list[dict]] = SOURCES) -> tuple[Path, dict[str, Path]]:
    """A right submission in `folder/out`, and the files that it answers."""
    paths, decisions = {}, {}
    for task, rows in sources.items():
        paths[task] = folder / TASKS[task].file_name("test")
        paths[task].write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        ids = [row["id"] for row in rows]
        decisions[task] = pd.DataFrame({"id": ids, "prediction": np.arange(len(ids)) % 2, "score": 0.5})
    write_submission(folder / "out", decisions, paths)
    return folder / "out", paths


@pytest.fixture(scope="module")
def right(tmp_path_factory) -> tuple[Path, dict[str, Path]]:
    return write_right(tmp_path_factory.mktemp("right"))


# ------------------------------------------------------------------------------- a line is changed

NOT_01, NO_NUMBER = "prediction other than 0 or 1", "id other than a whole number"
UNKNOWN, OTHER_FIELDS, NO_JSON = "id that the source does not have", "fields other than", "not a JSON object"
Change = Callable[[dict], dict]


def put(field: str, value: object) -> Change:
    return lambda row: row | {field: value}


def change(field: str, function: Callable[[str], object]) -> Change:
    return lambda row: row | {field: function(row[field])}


def renamed(field: str, name: str) -> Change:
    return lambda row: {name if key == field else key: value for key, value in row.items()}


CHANGED_ROWS: dict[str, tuple[Change, str]] = {
    **{f"prediction_{value!r}": (put("prediction", value), NOT_01) for value in (2, -1, 0.5, 1.0, True, False, "1")},
    **{
        f"prediction_{value!r}": (put("prediction", value), NOT_01)
        for value in ("", None, "yes", [1], {"a": 1}, 10**30)
    },
    **{f"id_{value!r}": (put("id", value), NO_NUMBER) for value in ("1", 1.0, True, None, [1], {"a": 1}, "x")},
    **{f"id_{value!r}": (put("id", value), UNKNOWN) for value in (0, -1, 10**6, 2**63, 10**30)},
    **{
        f"language_{value!r}": (put("language", value), "language other")
        for value in ("en", "DE", None, "de ", ["de"], 1)
    },
    "query_blank_added": (change("origin_query", "{} ".format), "origin_query other"),
    "query_doubled": (change("origin_query", lambda text: text * 2), "origin_query other"),
    "query_null": (put("origin_query", None), "origin_query other"),
    "query_list": (change("origin_query", lambda text: [text]), "origin_query other"),
    "query_number": (put("origin_query", 5), "origin_query other"),
    "target_changed": (put("category_path", "food"), "category_path other"),
    "target_null": (put("category_path", None), "category_path other"),
    **{f"no_{f}": (renamed(f, "other"), OTHER_FIELDS) for f in ("id", "language", "origin_query", "category_path")},
    **{f"more_{f}": (put(f, 1), OTHER_FIELDS) for f in ("label", "task", "score", "")},
    "pred": (renamed("prediction", "pred"), OTHER_FIELDS),
    "Prediction": (renamed("prediction", "Prediction"), OTHER_FIELDS),
    "item_title": (renamed("category_path", "item_title"), OTHER_FIELDS),
}
CHANGED_LINES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "comma_at_the_end": (lambda line: line + b",", NO_JSON),
    "single_quotes": (lambda line: line.replace(b'"', b"'"), NO_JSON),
    "cut": (lambda line: line[:-2], NO_JSON),
    "object_twice": (lambda line: line + line, NO_JSON),
    "in_a_list": (lambda line: b"[" + line + b"]", NO_JSON),
    "empty": (lambda line: b"", NO_JSON),
    "empty_object": (lambda line: b"{}", NO_JSON),
    "null": (lambda line: b"null", NO_JSON),
    "nan": (lambda line: line.replace(b'"prediction": ', b'"prediction": NaN, "x": '), NO_JSON),
    "comment": (lambda line: line + b" # sure", NO_JSON),
    "not_utf8": (lambda line: line.replace(b"level", b"lev\xe9l"), NO_JSON),
    "nul": (lambda line: line + b"\x00", NO_JSON),
    "nested_beyond_recursion": (lambda line: b"[" * 100_000, NO_JSON),
    "prediction_twice": (
        lambda line: line.replace(b'"prediction"', b'"prediction": 0, "prediction"'),
        "field given twice",
    ),
    "lone_surrogate": (lambda line: line.replace(b"level", rb"\ud800evel"), "category_path other"),
    "5000_digits": (lambda line: line.replace(b'"id": ', b'"id": ' + b"1" * 5000), NO_JSON),
}


def changed_row(change: Change, line: bytes) -> bytes:
    return json.dumps(change(json.loads(line)), ensure_ascii=False).encode()


# ------------------------------------------------------------------------------- a file is changed

OTHER_SPELLING = unicodedata.normalize("NFD", "café").encode()
CHANGED_FILES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "reversed": (lambda data: b"\n".join(data.split(b"\n")[-2::-1]) + b"\n", "order other"),
    "two_swapped": (lambda data: b"\n".join([*data.split(b"\n")[1::-1], *data.split(b"\n")[2:]]), "order other"),
    "first_left_out": (lambda data: data.split(b"\n", 1)[1], "row without a prediction"),
    "last_left_out": (lambda data: b"\n".join(data.split(b"\n")[:-2]), "row without a prediction"),
    "one_twice": (lambda data: data + data.split(b"\n", 1)[0], "id given twice"),
    "all_twice": (lambda data: data + data, "id given twice"),
    "one_for_another": (
        lambda data: data.split(b"\n", 1)[0] + b"\n" + data.split(b"\n", 2)[0] + b"\n" + data.split(b"\n", 2)[2],
        "id given twice",
    ),
    "nothing": (lambda data: b"", "row without a prediction"),
    "a_list": (lambda data: b"[" + data.strip().replace(b"\n", b",") + b"]", NO_JSON),
    "a_table": (lambda data: b"id,prediction\n1,0\n", NO_JSON),
    "gzipped": (gzip.compress, NO_JSON),
    "lzma": (lzma.compress, NO_JSON),
    "utf_16": (lambda data: data.decode().encode("utf-16"), NO_JSON),
    "byte_order_mark": (lambda data: b"\xef\xbb\xbf" + data, NO_JSON),
    "windows_line_ends": (lambda data: data.replace(b"\n", b"\r\n"), "line ends"),
    "one_windows_line_end": (lambda data: data.replace(b"\n", b"\r\n", 1), "line ends"),
    "mac_line_ends": (lambda data: data.replace(b"\n", b"\r"), "line ends"),
    "blank_lines_at_the_end": (lambda data: data + b"\n\n", NO_JSON),
    "blank_line_at_the_start": (lambda data: b"\n" + data, NO_JSON),
    "pretty": (lambda data: data.replace(b", ", b",\n  "), NO_JSON),
    "no_line_ends": (lambda data: data.replace(b"\n", b" "), NO_JSON),
    "header": (lambda data: b"id language origin_query\n" + data, NO_JSON),
    "zeros_behind": (lambda data: data + b"\x00" * 512, NO_JSON),
    "the_other_task": (lambda data: data.replace(b"category_path", b"item_title"), OTHER_FIELDS),
    "other_ids": (lambda data: data.replace(b'"id": ', b'"id": 9'), "id that the source"),
    "other_normal_form": (lambda data: data.replace("café".encode(), OTHER_SPELLING), "origin_query other"),
    "without_bidirectional_marks": (lambda data: data.replace("\u202e".encode(), b""), "origin_query other"),
    "without_zero_width_joiners": (lambda data: data.replace("\u200d".encode(), b""), "origin_query other"),
    "line_separator_replaced": (lambda data: data.replace("\u2028".encode(), b" "), "origin_query other"),
    "html_escaped": (lambda data: data.replace(b"'", b"&#39;"), "origin_query other"),
}


def lines_of(right: tuple[Path, dict[str, Path]]) -> list[bytes]:
    return (right[0] / "submit_QC.txt").read_bytes().split(b"\n")


def found(path: Path, sources: dict[str, Path]) -> str:
    return "\n".join(f"{fault.kind}: {fault.where}: {fault.found}" for fault in check_submission(path, sources))


def check_lines(tmp_path: Path, right: tuple[Path, dict[str, Path]], content: bytes) -> str:
    (tmp_path / "submit_QC.txt").write_bytes(content)
    return found(tmp_path / "submit_QC.txt", {"QC": right[1]["QC"]})


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", CHANGED_ROWS)
def test_a_changed_row_is_found(tmp_path, right, kind, place):
    change, expected = CHANGED_ROWS[kind]
    lines = lines_of(right)
    lines[place] = changed_row(change, lines[place])
    assert expected in check_lines(tmp_path, right, b"\n".join(lines))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", CHANGED_LINES)
def test_a_changed_line_is_found(tmp_path, right, kind, place):
    change, expected = CHANGED_LINES[kind]
    lines = lines_of(right)
    lines[place] = change(lines[place])
    report = check_lines(tmp_path, right, b"\n".join(lines))
    assert expected in report and f"submit_QC.txt:{place + 1}:" in report


@pytest.mark.parametrize("kind", CHANGED_FILES)
def test_a_changed_file_is_found(tmp_path, right, kind):
    change, expected = CHANGED_FILES[kind]
    assert expected in check_lines(tmp_path, right, change((right[0] / "submit_QC.txt").read_bytes()))


# ------------------------------------------------------------------------------- a zip is wrong


def zipped(entries: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return stream.getvalue()


def marked_as_encrypted(data: bytes) -> bytes:
    """Bit 0 of the flags set, in every local and central header."""
    changed = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            changed[at + offset] |= 1
            at = data.find(signature, at + 1)
    return bytes(changed)


def of_method(data: bytes, method: int) -> bytes:
    """A compression method that Python does not know, in the central headers."""
    changed, at = bytearray(data), data.find(b"PK\x01\x02")
    while at >= 0:
        changed[at + 10] = method
        at = data.find(b"PK\x01\x02", at + 1)
    return bytes(changed)


def claims_four_gigabytes(data: bytes) -> bytes:
    changed, at = bytearray(data), data.find(b"PK\x01\x02")
    changed[at + 24 : at + 28] = b"\xfe\xff\xff\xff"
    return bytes(changed)


QC, QI = "submit_QC.txt", "submit_QI.txt"
Entries = dict[str, bytes]
WRONG_ZIPS: dict[str, tuple[Callable[[Entries], bytes], str]] = {
    "empty": (lambda e: b"", "not readable"),
    "no_entries": (lambda e: zipped([]), "no submit_QC.txt"),
    "text": (lambda e: e[QC], "not readable"),
    "gzip": (lambda e: gzip.compress(e[QC]), "not readable"),
    "cut": (lambda e: zipped([*e.items()])[:-30], "not readable"),
    "cut_at_the_front": (lambda e: zipped([*e.items()])[40:], "zip content"),
    "byte_of_the_data_changed": (
        lambda e: zipped([*e.items()], zipfile.ZIP_STORED).replace(b"Schuhe", b"schuhe", 1),
        "CRC",
    ),
    "packed_data_damaged": (
        lambda e: zipped([*e.items()])[:60] + b"\xff" * 20 + zipped([*e.items()])[80:],
        "not readable",
    ),
    "encrypted": (lambda e: marked_as_encrypted(zipped([*e.items()])), "submit_QC.txt is encrypted"),
    "bzip2": (lambda e: zipped([*e.items()], zipfile.ZIP_BZIP2), "compressed by method 12"),
    "lzma": (lambda e: zipped([*e.items()], zipfile.ZIP_LZMA), "compressed by method 14"),
    "unknown_method": (lambda e: of_method(zipped([*e.items()]), 97), "compressed by method 97"),
    "bomb": (lambda e: claims_four_gigabytes(zipped([*e.items()])), "unpacks to 4,294,967,294 bytes"),
    "in_a_folder": (lambda e: zipped([(f"out/{name}", data) for name, data in e.items()]), "no submit_QC.txt"),
    "absolute": (lambda e: zipped([(f"/{name}", data) for name, data in e.items()]), "does not belong there"),
    "upwards": (
        lambda e: zipped([(f"../{name}", data) for name, data in e.items()]),
        "../submit_QC.txt does not belong",
    ),
    "upper_case": (lambda e: zipped([(name.upper(), data) for name, data in e.items()]), "no submit_QC.txt"),
    "one_task": (lambda e: zipped([(QC, e[QC])]), "no submit_QI.txt"),
    "one_more": (lambda e: zipped([*e.items(), ("notes.md", b"")]), "notes.md does not belong there"),
    "folder_entry": (lambda e: zipped([*e.items(), ("out/", b"")]), "out/ does not belong there"),
    "of_a_mac": (lambda e: zipped([*e.items(), ("__MACOSX/._submit_QC.txt", b"")]), "does not belong there"),
    "one_twice": (lambda e: zipped([*e.items(), (QC, e[QC])]), "is there twice"),
    "tasks_swapped": (lambda e: zipped([(QC, e[QI]), (QI, e[QC])]), OTHER_FIELDS),
    "zip_in_zip": (lambda e: zipped([("submit.zip", zipped([*e.items()]))]), "no submit_QC.txt"),
    "windows_line_ends": (lambda e: zipped([(n, d.replace(b"\n", b"\r\n")) for n, d in e.items()]), "line ends"),
    "one_prediction_left_out": (lambda e: zipped([(QC, e[QC]), (QI, e[QI].split(b"\n", 1)[1])]), "row without"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", WRONG_ZIPS)
def test_a_wrong_zip_is_found(tmp_path, right, kind):
    make, expected = WRONG_ZIPS[kind]
    entries = {name: (right[0] / name).read_bytes() for name in (QC, QI)}
    (tmp_path / "submit.zip").write_bytes(make(entries))
    assert expected in found(tmp_path / "submit.zip", right[1])


# ------------------------------------------------------------------------------- a CSV is wrong

WRONG_CSVS: dict[str, tuple[Callable[[str], str], str]] = {
    "prediction_flipped": (lambda text: text.replace(",0,0.5", ",1,0.5", 1), "CSV differs"),
    "ids_as_fractions": (lambda text: text.replace("\n1,", "\n1.0,", 1), "CSV differs"),
    "row_left_out": (lambda text: text.rsplit("\n", 2)[0] + "\n", "CSV differs"),
    "no_header": (lambda text: text.partition("\n")[2], "CSV content"),
    "another_separator": (lambda text: text.replace(",", ";"), "CSV content"),
    "empty": (lambda text: "", "CSV content"),
    "prediction_true": (lambda text: text.replace(",1,0.5", ",True,0.5", 1), "CSV differs"),
}


@pytest.mark.parametrize("kind", WRONG_CSVS)
def test_a_wrong_csv_is_found(tmp_path, kind):
    folder, sources = write_right(tmp_path)
    change, expected = WRONG_CSVS[kind]
    path = folder / "submission_QC.csv"
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert expected in found(folder, sources)


def test_at_least_150_wrong_submissions_are_tried():
    by_line = len(PLACES) * (len(CHANGED_ROWS) + len(CHANGED_LINES))
    assert by_line + len(CHANGED_FILES) + len(WRONG_ZIPS) + len(WRONG_CSVS) >= 150


@fuzz(200)
@given(place=st.floats(0, 1, exclude_max=True), piece=st.binary(max_size=3), length=st.integers(0, 3))
def test_changed_bytes_are_found_unless_they_say_the_same(tmp_path_factory, right, place, piece, length):
    data = (right[0] / "submit_QC.txt").read_bytes()
    at = int(place * len(data))
    hurt = data[:at] + piece + data[at + length :]
    if not check_lines(tmp_path_factory.getbasetemp(), right, hurt):
        rows = [json.loads(line) | {"prediction": None} for line in hurt.split(b"\n") if line]
        assert rows == [json.loads(line) | {"prediction": None} for line in lines_of(right) if line]


# ------------------------------------------------------------------------------- right ones

RIGHT_LINES: dict[str, Callable[[bytes], bytes]] = {
    "as_written": lambda data: data,
    "no_last_line_end": lambda data: data.rstrip(b"\n"),
    "no_blanks": lambda data: b"".join(
        json.dumps(json.loads(line), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        for line in data.split(b"\n")[:-1]
    ),
    "ascii_escapes": lambda data: b"".join(
        json.dumps(json.loads(line)).encode() + b"\n" for line in data.split(b"\n")[:-1]
    ),
    "quotes_as_escapes": lambda data: data.replace(rb"\"", rb"\u0022"),
    "fields_sorted": lambda data: b"".join(
        json.dumps(json.loads(line), sort_keys=True).encode() + b"\n" for line in data.split(b"\n")[:-1]
    ),
    "blanks_around": lambda data: data.replace(b"{", b"  { ").replace(b"}\n", b" }\t\n"),
    "all_0": lambda data: data.replace(b'"prediction": 1', b'"prediction": 0'),
    "all_1": lambda data: data.replace(b'"prediction": 0', b'"prediction": 1'),
    "solidus_escaped": lambda data: data.replace(b"/C", rb"\/C"),
}


@pytest.mark.parametrize("kind", RIGHT_LINES)
def test_right_lines_are_not_refused(tmp_path, right, kind):
    assert check_lines(tmp_path, right, RIGHT_LINES[kind]((right[0] / QC).read_bytes())) == ""


RIGHT_ZIPS: dict[str, Callable[[Entries], bytes]] = {
    "deflated": lambda e: zipped([*e.items()]),
    "stored": lambda e: zipped([*e.items()], zipfile.ZIP_STORED),
    "other_order": lambda e: zipped([*reversed(e.items())]),
    "with_a_comment": lambda e: zipped([*e.items()])[:-2] + b"\x02\x00hi",
    "behind_other_bytes": lambda e: b"#!/bin/sh\n" + zipped([*e.items()]),
}


@pytest.mark.parametrize("kind", RIGHT_ZIPS)
def test_right_zips_are_not_refused(tmp_path, right, kind):
    entries = {name: (right[0] / name).read_bytes() for name in (QC, QI)}
    (tmp_path / "mine.zip").write_bytes(RIGHT_ZIPS[kind](entries))
    assert found(tmp_path / "mine.zip", right[1]) == ""


@pytest.mark.parametrize("suffix", [".txt.gz", ".csv", ".parquet", ".jsonl"])
def test_a_right_submission_to_a_source_of_another_form_is_not_refused(tmp_path, right, suffix):
    table = pd.DataFrame(SOURCES["QC"]).rename(columns={"category_path": "origin_target"})
    source = tmp_path / f"test_QC{suffix}"
    write_table(source, table, TASKS["QC"])
    assert found(right[0] / QC, {"QC": source}) == ""


@pytest.mark.parametrize("ids", [[-5, 0, 7], [2**63 - 1, -(2**63), 1]])
def test_right_submissions_with_unusual_ids_are_not_refused(tmp_path, ids):
    rows = {"QI": [row | {"id": number} for row, number in zip(SOURCES["QI"], ids, strict=False)]}
    folder, sources = write_right(tmp_path, rows)
    assert found(folder, sources) == ""


def test_a_right_folder_is_not_refused(right):
    assert found(*right) == ""


# ------------------------------------------------------------------------------- spreadsheets


def test_formulas_of_the_csv_are_neutralised_on_request_and_the_official_files_stay(tmp_path):
    folder, sources = write_right(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert neutralise_formulas(folder) == 2  # one query a task
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"submission_QC.csv", "submission_QI.csv"}
    queries = pd.read_csv(folder / "submission_QC.csv", keep_default_na=False)["origin_query"].tolist()
    assert queries == [f"'{query}" if query.startswith("=") else query for query in QUERIES]
    assert found(folder, sources) == ""
    assert neutralise_formulas(folder) == 0
