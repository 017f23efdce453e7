"""The reader against bytes that nobody would write: every line is read, reported or blank, and nothing raises.

`make soak` tries thirty times as many files.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from fuzzing import fuzz
from hypothesis import example, given
from hypothesis import strategies as st

from competition_utils.data.check import check_folder, format_report
from competition_utils.data.files import FileReport, inspect_file, read_table
from competition_utils.data.prepare import prepare
from competition_utils.errors import DataError, UserError
from competition_utils.tasks import LANGUAGES, QC, QI

ROW = {"id": 1, "task": "QC", "language": "en", "origin_query": "shoe", "category_path": "a,b", "label": 1}
NAMES_OF_OURS = ["self", "text_language", "language_confidence", "query", "target", "fold", "query_en", "score"]
NAMES_OF_OURS += ["source", "origin_id", "weight", "index", "level_0", "origin_target", "extra_self", "", "axis", "id "]
TRAPS = {
    "bidirectional_marks": "\u202eabc\u202c \u200f\u061c",
    "zero_width": "sho\u200be\u200d\u2060\ufeff",
    "combining_marks": "e" + "\u0301" * 500,
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈👠",
    "html": "<script>alert('x')</script>&lt;b&gt;",
    "mathematics": r"$\frac{1}{0}$ $$ \alpha_",
    "formula": "=cmd|' /C calc'!A0",
    "line_separators": "a\u2028b\u2029c\u0085d\x0be\x0cf",
    "nul_and_escapes": "a\x00b\x1b[2J\x7f",
    "a_million_characters": "x" * 1_000_000,
    "private_use_and_unassigned": "\ue000\uffff\U0010ffff",
}


def row(number: int, **changes) -> dict:
    return ROW | {"id": number, "label": number % 2, "origin_query": f"query {number}"} | changes


def line(value: object) -> bytes:
    return json.dumps(value).encode()


# --------------------------------------------------------------------------------- named after the faults


@pytest.mark.parametrize("name", NAMES_OF_OURS)
def test_a_field_named_like_a_column_of_ours_or_a_python_name_collides_with_nothing(tmp_path, name):
    rows = [row(number) | {name: f"{name} {number}"} for number in range(1, 9)]
    (tmp_path / "train_QC.txt").write_bytes(b"\n".join(map(line, rows)))
    with pytest.warns(UserWarning, match="further fields"):
        table = prepare(tmp_path, [QC], n_folds=2).tables["QC_train"]
    assert table[f"extra_{name}"].tolist() == [f"{name} {number}" for number in range(1, 9)]
    assert table["text_language"].isin([*LANGUAGES, "und"]).all()
    assert table["query"].tolist() == [f"query {number}" for number in range(1, 9)]
    assert table.columns.is_unique


def test_further_fields_beyond_a_hundred_are_left_out_and_reported(tmp_path):
    (tmp_path / "a.txt").write_bytes(line(ROW | {f"f{n}": n for n in range(150)}))
    report = inspect_file(tmp_path / "a.txt", QC)
    assert sum(name.startswith("extra_") for name in report.table) == 100
    assert "further fields beyond 100 (left out): 50, f100 first" in report.notes


@pytest.mark.parametrize("ids", [[2**63 - 1, -(2**63), 5, 6], [-(2**63), -(2**63) + 1, 7, 8]])
def test_ids_at_the_limits_of_int64_are_kept(tmp_path, ids):
    (tmp_path / "train_QC.txt").write_bytes(b"\n".join(line(row(i, origin_query=f"q {i}")) for i in ids))
    assert prepare(tmp_path, [QC], n_folds=2).tables["QC_train"]["id"].tolist() == ids


def test_a_train_file_of_which_conflicts_leave_nothing_is_one_clear_error(tmp_path):
    (tmp_path / "train_QC.txt").write_bytes(b"\n".join(line(row(n, origin_query="a")) for n in (1, 2)))
    with pytest.raises(DataError, match=r"(?s)expected rows to train on.*2 rows"):
        prepare(tmp_path, [QC], n_folds=2)


def test_a_file_of_which_allowed_faults_leave_nothing_is_one_clear_error(tmp_path):
    (tmp_path / "train_QC.txt").write_bytes(line(row(2**63)))
    with pytest.raises(DataError, match="expected rows without a fault"):
        read_table(tmp_path / "train_QC.txt", QC, allow=["bad id"])


def test_a_repeated_field_is_found_beside_quotation_marks_spelt_as_escapes(tmp_path):
    repeated = line(row(2)).replace(b'"label"', b'"label": 1, "label"')
    spelt = line(row(1)).replace(b"query 1", rb"14\u0022 or 15\u0022")
    (tmp_path / "a.txt").write_bytes(repeated + b"\n" + spelt)
    assert [(fault.kind, fault.where) for fault in inspect_file(tmp_path / "a.txt", QC).faults] == [
        ("repeated field", "a.txt:1")
    ]


@pytest.mark.parametrize(
    "value",
    [
        b"1" * 5000,
        b"-" + b"9" * 400,
        b"1e999",
        b"18446744073709551616",
        b"[" * 900 + b"]" * 900,
        b'{"a":' * 900 + b"1" + b"}" * 900,
    ],
    ids=["5000_digits", "400_digits", "1e999", "2_to_64", "900_lists", "900_objects"],
)
def test_a_number_or_nesting_beyond_python_is_read_or_reported(tmp_path, value):
    bad = line(row(2))[:-1] + b', "more": ' + value + b', "n": {"a": 1}}'
    (tmp_path / "a.txt").write_bytes(line(row(1)) + b"\n" + bad)
    report = inspect_file(tmp_path / "a.txt", QC)
    assert {fault.where for fault in report.faults} == {"a.txt:2"}
    assert report.table["id"].tolist() == [1]


def test_blank_lines_of_a_csv_are_counted(tmp_path):
    (tmp_path / "a.csv").write_text(_csv_text([row(1), row(2)]).replace("\n", "\n\n"))
    report = inspect_file(tmp_path / "a.csv", QC)
    assert len(report.table) == 2 and "blank lines (skipped): 3" in report.notes


@pytest.mark.parametrize("broken", ['3,QC,en,"a"b,c,1', '3,QC,en,"never closed,c,1'])
def test_a_csv_line_with_broken_quotes_costs_no_other_line(tmp_path, broken):
    before, after = _csv_text([row(1), row(2)]), _csv_text([row(4), row(5)]).partition("\n")[2]
    (tmp_path / "a.csv").write_text(f"{before}{broken}\n{after}")
    report = inspect_file(tmp_path / "a.csv", QC)
    assert [(fault.kind, fault.where) for fault in report.faults] == [("not CSV", "a.csv:4")]
    assert report.table["id"].tolist() == [1, 2, 4, 5]


def test_a_csv_byte_that_is_not_utf8_costs_its_own_line_only(tmp_path):
    data = _csv_text([row(1), row(2), row(3)]).encode().replace(b"query 2", b"caf\xe9")
    (tmp_path / "a.csv").write_bytes(data)
    report = inspect_file(tmp_path / "a.csv", QC)
    assert [(fault.kind, fault.where) for fault in report.faults] == [("invalid UTF-8", "a.csv:3")]
    assert report.table["id"].tolist() == [1, 3]


def test_of_a_damaged_gzip_of_several_members_the_whole_lines_of_all_are_read(tmp_path):
    members = [gzip.compress(line(row(n)) + b"\n") for n in range(1, 5)]
    (tmp_path / "a.txt.gz").write_bytes(b"".join(members)[:-6])
    report = inspect_file(tmp_path / "a.txt.gz", QC)
    assert report.table["id"].tolist()[:3] == [1, 2, 3]
    assert report.faults[0].where == f"a.txt.gz:{len(report.table) + 1}"


def test_of_a_damaged_gzip_with_carriage_returns_the_whole_lines_are_read(tmp_path):
    data = b"\r".join(line(row(n, origin_query=f"{n:x}" * 9)) for n in range(1, 3000))
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(data)[:-3000])
    report = inspect_file(tmp_path / "a.txt.gz", QC)
    assert len(report.table) > 100
    assert report.faults[0].where == f"a.txt.gz:{len(report.table) + 1}"


ODD_PARQUET = {
    "text_that_is_not_utf8": pa.array([b"caf\xe9"]).cast(pa.binary()).view(pa.string()),
    "date_beyond_python": pa.array([2**62], pa.timestamp("us")),
    "bytes": pa.array([b"\xff"]),
    "a_map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
    "a_dictionary": pa.array(["a"]).dictionary_encode(),
    "nothing": pa.nulls(1),
}


@pytest.mark.parametrize("case", ODD_PARQUET)
@pytest.mark.parametrize("field", ["origin_query", "more"])
def test_a_parquet_column_of_an_odd_type_is_read_or_reported(tmp_path, case, field):
    columns = {name: [value] for name, value in ROW.items()} | {field: ODD_PARQUET[case]}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    report = inspect_file(tmp_path / "a.parquet", QC)
    assert (len(report.table) == 1) != bool(report.faults)


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("suffix", [".txt", ".csv"])
def test_a_trap_in_text_is_kept_as_it_is_and_the_report_can_be_printed(tmp_path, trap, suffix):
    text = TRAPS[trap]
    rows = [row(1, origin_query=text, category_path=text), row(2, language=text[:50])]
    content = _csv_text(rows) if suffix == ".csv" else "\n".join(json.dumps(r, ensure_ascii=False) for r in rows)
    (tmp_path / f"train_QC{suffix}").write_bytes(content.encode())
    report = inspect_file(tmp_path / f"train_QC{suffix}", QC)
    assert report.table["origin_query"].tolist() == [text, "query 2"]
    if suffix == ".txt":
        printed = format_report(check_folder(tmp_path))
        assert all(
            part.isprintable() for part in printed.split("\n") if "languages" not in part and text[:50] not in part
        )


@pytest.mark.parametrize("trap", [trap for trap in TRAPS if trap != "a_million_characters"])
def test_a_trap_in_text_goes_through_cleaning_and_language_detection(tmp_path, trap):
    rows = [row(n, origin_query=f"{TRAPS[trap]} {n}") for n in range(1, 9)]
    (tmp_path / "train_QC.txt").write_bytes(b"\n".join(map(line, rows)))
    table = prepare(tmp_path, [QC], n_folds=2).tables["QC_train"]
    assert table["origin_query"].tolist() == [r["origin_query"] for r in rows]


def test_a_lone_surrogate_is_reported_and_its_neighbours_are_read(tmp_path):
    (tmp_path / "a.txt").write_bytes(
        b"\n".join([line(row(1)), line(row(2)).replace(b"query", rb"\ud800"), line(row(3))])
    )
    report = inspect_file(tmp_path / "a.txt", QC)
    assert report.table["id"].tolist() == [1, 3] and [fault.where for fault in report.faults] == ["a.txt:2"]


def test_a_fault_cannot_send_escapes_to_the_terminal(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\x1b[2Jboo\n" + line(row(1, task="\x1b[31m\u202e", label="\x9b")))
    with pytest.raises(DataError) as error:
        read_table(tmp_path / "a.txt", QC)
    assert all(part.isprintable() for part in str(error.value).split("\n"))


# ------------------------------------------------------------------------------------------------ laws

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from([*ROW, *NAMES_OF_OURS]) | st.text(max_size=5)
odd_rows = st.dictionaries(names, values, max_size=3).map(lambda changes: ROW | changes)
sound_rows = st.integers(1, 60).map(row)
json_texts = st.tuples(sound_rows | odd_rows, st.booleans()).map(lambda made: json.dumps(made[0], ensure_ascii=made[1]))
SNIPPETS = [b'"', b"{", b"}", b"[", b"\\", b",", b"null", b"\xff", b"NaN", b"\x00", b"\\u0022", b"\\ud800", b"\xc2\x85"]
SNIPPETS += [
    b"\xef\xbb\xbf",
    b"\xe2\x80\xa8",
    b'"label": 1, ',
    b'"id": "7", ',
    b"\t",
    b" ",
    b"\x1f",
    b"[" * 40,
    b"\x0c",
]


@st.composite
def lines_of_bytes(draw) -> bytes:
    """One line: a row as it should be, an odd one, or one that was damaged; never with a line end inside."""
    made = draw(json_texts).encode("utf-8", "surrogatepass")
    if draw(st.booleans()):
        place = draw(st.integers(0, len(made)))
        made = made[:place] + draw(st.sampled_from(SNIPPETS)) + made[place + draw(st.integers(0, 3)) :]
    return draw(st.sampled_from([made, made, made, b"", b" \t", draw(st.binary(max_size=12))]))


@st.composite
def files(draw) -> bytes:
    rows = draw(st.lists(lines_of_bytes(), min_size=1, max_size=8))
    ends = draw(st.lists(st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"]), min_size=len(rows), max_size=len(rows)))
    ends[-1] = draw(st.sampled_from([b"", ends[-1]]))
    mark = draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"]))
    data = mark + b"".join(one + end for one, end in zip(rows, ends, strict=True))
    return data.removeprefix(b"\x1f\x8b")  # else it is a damaged gzip file, which is one fault as a whole


def reported_lines(report: FileReport) -> set[int]:
    places = (fault.where.rpartition(":")[2] for fault in report.faults)
    return {int(place) for place in places if place.isdigit()}


def every_line_is_read_reported_or_blank(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    report = inspect_file(path, QC)
    lines = dict(enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), 1))
    reported = reported_lines(report)
    read = [json.loads(one)["id"] for number, one in lines.items() if one.strip() and number not in reported]
    assert report.table["id"].tolist() == list(map(int, read))
    assert report.table.columns.is_unique
    blank = sum(not one.strip() for one in lines.values())
    assert len(report.table) + len(reported) + blank == len(lines)
    assert (f"blank lines (skipped): {blank:,}" in report.notes) == bool(blank)


@fuzz(300)
@given(data=files())
@example(data=line(row(1)) + b"\n\x1e\n" + line(row(2)))
def test_every_json_line_is_read_or_reported_or_blank(tmp_path_factory, data):
    every_line_is_read_reported_or_blank(tmp_path_factory.getbasetemp() / "law.txt", data)


def _csv_text(rows: list[dict]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(ROW)
    writer.writerows(r.values() for r in rows)
    return stream.getvalue()


# No quotation marks: then a record is a line, and lines can be counted.
csv_lines = st.sampled_from(
    [b"1,QC,en,a,b,1", b"2,QC,en,c,d,0", b"3,QC,en", b"", b"x,QC,en,a,b,1", b"4,QC,en,\xff,b,1"]
)


def every_csv_line_is_read_reported_or_blank(path: Path, lines: list[bytes], end: bytes) -> None:
    path.write_bytes(end.join([",".join(ROW).encode(), *lines]))
    report = inspect_file(path, QC)
    blank = sum(not one for one in lines) - (bool(lines) and not lines[-1])  # an end of file is no line
    assert len(report.table) + len(reported_lines(report)) + blank == len(lines) - (bool(lines) and not lines[-1])


@fuzz(150)
@given(lines=st.lists(csv_lines, min_size=1, max_size=8), end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_every_csv_line_is_read_or_reported_or_blank(tmp_path_factory, lines, end):
    every_csv_line_is_read_reported_or_blank(tmp_path_factory.getbasetemp() / "law.csv", lines, end)


@fuzz(150)
@given(rows=st.lists(st.tuples(st.integers(1, 9), st.text(max_size=9)), max_size=6), place=st.floats(0, 1))
def test_a_quotation_mark_anywhere_in_a_csv_loses_no_record_in_silence(tmp_path_factory, rows, place):
    data = _csv_text([row(n, id=10 * at + n, origin_query=f"~{text}") for at, (n, text) in enumerate(rows)])
    at = int(place * len(data))
    path = tmp_path_factory.getbasetemp() / "quote.csv"
    path.write_bytes((data[:at] + '"' + data[at:]).encode("utf-8", "replace"))
    report = inspect_file(path, QC)
    assert len(report.table) == len(rows) or report.faults


def never_raises(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    for task in (QC, QI):
        report = inspect_file(path, task, need_label=True)
        assert len(report.table) or report.faults
    with suppress(UserError):
        format_report(check_folder(path.parent))


def gzipped(data: bytes, cut: int) -> bytes:
    packed = gzip.compress(data)
    return packed[: len(packed) - cut]


@pytest.fixture(scope="module")
def parquet_bytes(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "a.parquet"
    pd.DataFrame([row(n) for n in range(9)]).to_parquet(path, index=False)
    return path.read_bytes()


@fuzz(120)
@given(data=files(), suffix=st.sampled_from([".csv", ".txt.gz", ".parquet", ".jsonl"]), cut=st.integers(0, 30))
def test_no_bytes_make_a_reader_raise(tmp_path_factory, data, suffix, cut):
    packed = gzipped(data, cut) if suffix.endswith("gz") else data
    folder = tmp_path_factory.mktemp("bytes")
    never_raises(folder / f"a{suffix}", packed)


@fuzz(120)
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_no_changed_byte_makes_the_parquet_reader_raise(tmp_path_factory, parquet_bytes, place, byte):
    at = int(place * len(parquet_bytes))
    never_raises(
        tmp_path_factory.mktemp("byte") / "a.parquet", parquet_bytes[:at] + bytes([byte]) + parquet_bytes[at + 1 :]
    )
