"""Official files ↔ table: what is read, what is accepted with a note, and what is a fault, with its place."""

import csv
import gzip
import json
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competition_utils.data import parsing
from competition_utils.data.files import (
    DataWarning,
    find_lexicon,
    inspect_file,
    read_folder,
    read_table,
    write_json_lines,
    write_table,
)
from competition_utils.errors import DataError, UserError
from competition_utils.tasks import QC, QI

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def row(number: int, **changes) -> dict:
    return {
        "id": number,
        "task": "QC",
        "language": "en",
        "origin_query": f"query {number}",
        "category_path": "toys & hobbies,action figures",
        "label": number % 2,
    } | changes


def without(number: int, field: str) -> dict:
    return {name: value for name, value in row(number).items() if name != field}


def line(value: dict) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


GOOD = [line(row(number)) for number in range(1, 5)]


def file_of(folder: Path, *lines: bytes, name: str = "train_QC.txt", end: bytes = b"\n") -> Path:
    path = folder / name
    path.write_bytes(end.join(lines) + end)
    return path


def third_line_is(bad: bytes) -> list[bytes]:
    return [*GOOD[:2], bad, GOOD[3]]


# name of the fault → the third of four lines, the kind that is reported, a word of the report
FAULTY_THIRD_LINES = {
    "cut_off": (b'{"id": 3, "task": "QC"', "not JSON", "unexpected end"),
    "two_objects_on_a_line": (GOOD[2] + GOOD[2], "not JSON", "content after"),
    "null_line_that_crashes_pyarrow": (b"null", "not JSON", "found null"),
    "a_list_for_a_line": (b"[1, 2]", "not JSON", "found [1, 2]"),
    "nan_that_json_does_not_have": (GOOD[2].replace(b": 1}", b": NaN}"), "not JSON", "unexpected"),
    "raw_tab_in_text": (GOOD[2].replace(b"query 3", b"query\t3"), "not JSON", "control"),
    "lone_surrogate": (GOOD[2].replace(b"query 3", rb"\ud83d"), "not JSON", "surrogate"),
    "two_thousand_levels": (b'{"id": ' + b"[" * 2000, "not JSON", "depth"),
    "byte_that_is_not_utf8": (GOOD[2].replace(b"query 3", b"caf\xe9"), "invalid UTF-8", "0xe9"),
    "no_query": (line(without(3, "origin_query")), "missing field", "no origin_query"),
    "no_category": (line(without(3, "category_path")), "missing field", "no category_path"),
    "id_given_twice": (b'{"id": 9, ' + GOOD[2][1:], "repeated field", '"id"'),
    "list_for_a_query": (line(row(3, origin_query=["a"])), "nested field", 'origin_query: ["a"]'),
    "object_in_a_further_field": (line(row(3, more={"a": 1})), "nested field", "more"),
    "id_is_a_fraction": (line(row(3, id=3.0)), "bad id", "3.0"),
    "id_is_true": (line(row(3, id=True)), "bad id", "true"),
    "id_is_null": (line(row(3, id=None)), "bad id", "null"),
    "id_is_a_word": (line(row(3, id="three")), "bad id", '"three"'),
    "id_beyond_64_bits": (line(row(3, id=2**63)), "bad id", "9223372036854775808"),
    "row_of_the_other_task": (line(row(3, task="QI")), "wrong task", "expected QC"),
    "query_is_a_number": (line(row(3, origin_query=4497)), "not text", "origin_query: 4497"),
    "query_is_null": (line(row(3, origin_query=None)), "not text", "origin_query: null"),
    "category_is_a_number": (line(row(3, category_path=1)), "not text", "category_path: 1"),
    "language_is_null": (line(row(3, language=None)), "not text", "language: null"),
    "label_is_two": (line(row(3, label=2)), "bad label", "2"),
    "label_is_true": (line(row(3, label=True)), "bad label", "true"),
    "label_is_a_fraction": (line(row(3, label=1.0)), "bad label", "1.0"),
    "label_is_a_word": (line(row(3, label="yes")), "bad label", '"yes"'),
    "id_of_an_earlier_row": (line(row(1)), "duplicate id", "id 1, first on line 1"),
    "label_left_out": (line(without(3, "label")), "label missing", "1 of 4 rows"),
    "label_is_null": (line(row(3, label=None)), "label missing", "1 of 4 rows"),
}


@pytest.mark.parametrize("fault", FAULTY_THIRD_LINES)
def test_a_fault_is_reported_with_its_kind_its_line_and_what_was_found(tmp_path, fault):
    bad, kind, found = FAULTY_THIRD_LINES[fault]
    report = inspect_file(file_of(tmp_path, *third_line_is(bad)), QC)
    assert [(f.kind, f.where) for f in report.faults] == [(kind, "train_QC.txt:3")]
    assert found in report.faults[0].found


@pytest.mark.parametrize("fault", FAULTY_THIRD_LINES)
def test_an_allowed_fault_leaves_its_row_out_and_says_so(tmp_path, fault):
    bad, kind, _ = FAULTY_THIRD_LINES[fault]
    path = file_of(tmp_path, *third_line_is(bad))
    with pytest.warns(DataWarning, match=f"left out as allowed: 1 × {kind}"):
        table = read_table(path, QC, allow=[kind])
    assert table["id"].tolist() == [1, 2, 4]


def test_a_byte_that_is_not_utf8_is_reported_with_its_offset_in_the_file(tmp_path):
    path = file_of(tmp_path, *third_line_is(GOOD[2].replace(b"query 3", b"caf\xe9")))
    offset = path.read_bytes().index(b"\xe9")
    assert inspect_file(path, QC).faults[0].found.endswith(f"byte offset {offset} of the file")


def test_all_faults_of_a_file_come_in_one_error_with_counts_and_five_places(tmp_path):
    bad = [line(row(number, label=7)) for number in range(5, 12)]
    path = file_of(tmp_path, *third_line_is(b"oops"), *bad)
    with pytest.raises(DataError) as error:
        read_table(path, QC)
    text = str(error.value)
    assert "not JSON: 1" in text
    assert "bad label: 7" in text
    assert "train_QC.txt:9: 7\n    … and 2 more" in text


HURT = {"task": "QX"}  # a fault of its own
ID_TWICE_ONE_ROW_HURT = {
    "the_later_row_has_another_fault": ([row(1), row(2), row(1, **HURT)], 3, "first on line 1"),
    "the_earlier_row_has_another_fault": ([row(1, **HURT), row(2), row(1)], 3, "first on line 1"),
    "both_rows_have_another_fault": ([row(2), row(1, **HURT), row(1, **HURT)], 3, "first on line 2"),
    "the_id_is_text_in_the_faulty_row": ([row(1, id="1", **HURT), row(1)], 2, "first on line 1"),
    "the_id_needs_all_64_bits": ([row(2**63 - 1, **HURT), row(2**63 - 2), row(2**63 - 1)], 3, "first on line 1"),
}


@pytest.mark.parametrize("case", ID_TWICE_ONE_ROW_HURT)
def test_a_duplicate_id_is_reported_though_a_row_of_the_two_has_another_fault(tmp_path, case):
    rows, place, first = ID_TWICE_ONE_ROW_HURT[case]
    faults = inspect_file(file_of(tmp_path, *map(line, rows)), QC).faults
    reported = [(fault.where, fault.found.partition(", ")[2]) for fault in faults if fault.kind == "duplicate id"]
    assert reported == [(f"train_QC.txt:{place}", first)]
    assert sum(fault.kind == "wrong task" for fault in faults) == str(rows).count("QX")


def test_a_missing_label_is_reported_though_the_row_has_another_fault(tmp_path):
    rows = [row(1), without(2, "label") | HURT]
    faults = inspect_file(file_of(tmp_path, *map(line, rows)), QC).faults
    assert [(fault.kind, fault.where) for fault in faults] == [
        ("wrong task", "train_QC.txt:2"),
        ("label missing", "train_QC.txt:2"),
    ]


@settings(deadline=None)
@given(
    ids=st.lists(st.integers(1, 4), min_size=1, max_size=8),
    hurt=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_which_ids_are_duplicate_does_not_depend_on_other_faults(tmp_path_factory, ids, hurt):
    rows = [row(number, **(HURT if bad else {})) for number, bad in zip(ids, hurt, strict=False)]
    report = inspect_file(file_of(tmp_path_factory.mktemp("data"), *map(line, rows)), QC)
    expected = [f"train_QC.txt:{at}" for at, number in enumerate(ids, 1) if number in ids[: at - 1]]
    assert [fault.where for fault in report.faults if fault.kind == "duplicate id"] == expected
    assert report.table["id"].is_unique


def test_an_unknown_kind_of_allowed_fault_is_refused(tmp_path):
    with pytest.raises(UserError, match="found bad lable"):
        read_table(file_of(tmp_path, *GOOD), QC, allow=["bad lable"])


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(DataError, match=r"missing file: 1"):
        read_table(tmp_path / "train_QC.txt", QC)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"], ids=["no_byte", "blank", "mark_only"])
def test_a_file_without_rows_is_an_error(tmp_path, content):
    (tmp_path / "train_QC.txt").write_bytes(content)
    with pytest.raises(DataError, match="empty file"):
        read_table(tmp_path / "train_QC.txt", QC)


def test_a_train_file_without_any_label_is_an_error_and_a_test_file_is_not(tmp_path):
    path = file_of(tmp_path, *[line(without(number, "label")) for number in (1, 2)])
    with pytest.raises(DataError, match="no label"):
        read_table(path, QC, split="train")
    assert "label" not in read_table(path, QC, split="test")


def test_a_gzip_cut_off_gives_the_whole_lines_before_the_break(tmp_path):
    lines = [line(row(number, origin_query=f"{number:x}" * 9)) for number in range(1, 3000)]
    path = tmp_path / "train_QC.txt.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n")[:-4000])
    report = inspect_file(path, QC)
    assert [fault.kind for fault in report.faults] == ["truncated gzip"]
    assert report.faults[0].where == f"train_QC.txt.gz:{len(report.table) + 1}"
    assert 0 < len(report.table) < len(lines)


# What is accepted with a note: name → (bytes of the file, word of the note)
ACCEPTED = {
    "byte_order_mark": (b"\xef\xbb\xbf" + b"\n".join(GOOD), "byte-order mark"),
    "windows_line_ends": (b"\r\n".join(GOOD), r"line ends (accepted): 3 \r\n"),
    "mixed_line_ends": (
        GOOD[0] + b"\n" + GOOD[1] + b"\r\n" + GOOD[2] + b"\r" + GOOD[3],
        r"mixed line ends (accepted): 1 \n, 1 \r\n, 1 \r",
    ),
    "blank_lines": (b"\n\n".join(GOOD), "blank lines (skipped): 3"),
    "ids_as_text": (b"\n".join([*GOOD[:3], line(row(4, id="4"))]), "ids given as text (read as numbers): 1"),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_harmless_oddities_are_read_as_usual_and_reported(tmp_path, case):
    content, note = ACCEPTED[case]
    (tmp_path / "train_QC.txt").write_bytes(content)
    report = inspect_file(tmp_path / "train_QC.txt", QC)
    pd.testing.assert_frame_equal(report.table, inspect_file(file_of(tmp_path, *GOOD, name="a.txt"), QC).table)
    assert not report.faults
    assert [line for line in report.notes if note in line]


def test_an_unknown_language_is_accepted_with_a_warning(tmp_path):
    path = file_of(tmp_path, *GOOD, line(row(5, language="ru")))
    with pytest.warns(DataWarning, match=r"1 rows in 'ru', .*: line 5"):
        assert read_table(path, QC)["language"].tolist() == ["en"] * 4 + ["ru"]


def test_a_null_title_is_kept_as_missing_and_counted(tmp_path):
    lines = [line(row(1)), line(row(2, category_path=None))]
    report = inspect_file(file_of(tmp_path, *lines), QC)
    assert report.table["origin_target"].isna().tolist() == [False, True]
    assert [n for n in report.notes if "1 null category_path" in n]


def test_further_fields_are_kept_and_reported(tmp_path):
    lines = [line(row(1, price=2, shop="a")), line(row(2, price=None)), line(row(3, price=4, shop="nan"))]
    report = inspect_file(file_of(tmp_path, *lines), QC)
    assert report.table["extra_price"].to_list() == [2, pd.NA, 4]
    assert report.table["extra_shop"].fillna("(none)").tolist() == ["a", "(none)", "nan"]
    assert "further fields (kept as extra_NAME): price, shop" in report.notes


def test_a_million_character_query_is_kept_and_its_line_named(tmp_path):
    path = file_of(tmp_path, *third_line_is(line(row(3, origin_query="x" * 1_000_000))))
    report = inspect_file(path, QC)
    assert report.table["origin_query"].str.len().max() == 1_000_000
    assert [n for n in report.notes if "1 origin_query of over 10,000 characters (kept): line 3" in n]


@pytest.mark.parametrize("text", ["nan", "null", "None", "NA", "", "0", "2024-01-01", "true", " x "])
@pytest.mark.parametrize("suffix", [".txt", ".txt.gz", ".jsonl", ".csv", ".csv.gz", ".parquet"])
def test_text_that_looks_like_something_else_stays_text(tmp_path, text, suffix):
    table = pd.DataFrame({"id": [1], "task": "QC", "language": "en", "origin_query": text, "origin_target": "a,b"})
    write_table(tmp_path / f"t{suffix}", table, QC)
    assert inspect_file(tmp_path / f"t{suffix}", QC).table["origin_query"].tolist() == [text]


def test_labels_may_be_numbers_or_digits_even_mixed(tmp_path):
    labels = [0, "1", "0", 1]
    path = file_of(tmp_path, *[line(row(n, label=label)) for n, label in enumerate(labels)])
    table = read_table(path, QC)
    assert table["label"].dtype == "Int8"
    assert table["label"].tolist() == [0, 1, 0, 1]


def test_the_order_of_fields_in_a_line_does_not_matter(tmp_path):
    path = file_of(tmp_path, GOOD[0], line(dict(reversed(row(2).items()))))
    assert read_table(path, QC)["origin_query"].tolist() == ["query 1", "query 2"]


def test_lines_beyond_the_first_batch_are_named_rightly(tmp_path):
    lines = [line(row(n)) for n in range(1, 2 * parsing.BATCH)]
    lines[parsing.BATCH + 6] = b"oops"
    report = inspect_file(file_of(tmp_path, *lines), QC)
    assert report.faults[0].where == f"train_QC.txt:{parsing.BATCH + 7}"


def test_a_csv_without_a_column_says_so_once(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id;task;language\n1;QC;en\n")
    faults = inspect_file(path, QC).faults
    assert {fault.where for fault in faults} == {"a.csv:1"}
    assert len(faults) == len(QC.fields)


def test_a_csv_record_names_the_line_it_starts_on(tmp_path):
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([row(1).keys(), row(1, origin_query="two\nlines").values(), row(2, label=5).values(), [3]])
    faults = inspect_file(path, QC).faults
    assert {(f.kind, f.where) for f in faults} == {("not CSV", "a.csv:5"), ("bad label", "a.csv:4")}


def test_a_broken_parquet_is_one_clear_error(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(DataError, match="not parquet"):
        read_table(tmp_path / "a.parquet", QC)


# ------------------------------------------------------------------------------------------------ laws

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@st.composite
def tables(draw) -> pd.DataFrame:
    ids = draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8, unique=True))
    texts = st.lists(any_text, min_size=len(ids), max_size=len(ids))
    targets = st.lists(st.none() | any_text, min_size=len(ids), max_size=len(ids))
    labels = st.lists(st.sampled_from([0, 1]), min_size=len(ids), max_size=len(ids))
    columns = {"language": draw(texts), "origin_query": draw(texts), "origin_target": draw(targets)}
    table = pd.DataFrame({"id": np.array(ids, dtype=np.int64), "task": "QI", **columns}).astype(
        dict.fromkeys(("task", *columns), "str")
    )
    return table.assign(label=pd.array(draw(labels), dtype="Int8")) if draw(st.booleans()) else table


@settings(deadline=None, max_examples=50)
@given(table=tables(), suffix=st.sampled_from([".txt", ".txt.gz", ".jsonl", ".parquet"]))
def test_what_is_written_is_read_back_the_same(tmp_path_factory, table, suffix):
    path = tmp_path_factory.mktemp("round") / f"t{suffix}"
    write_table(path, table, QI)
    pd.testing.assert_frame_equal(inspect_file(path, QI).table, table)


@settings(deadline=None, max_examples=50)
@given(table=tables())
def test_csv_gives_back_everything_but_the_difference_of_empty_and_null_targets(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("round") / "t.csv"
    write_table(path, table, QI)
    same = table.assign(origin_target=table["origin_target"].where(table["origin_target"] != ""))
    pd.testing.assert_frame_equal(inspect_file(path, QI).table, same)


@settings(deadline=None, max_examples=50)
@given(table=tables())
def test_lines_are_spelt_as_json_dumps_spells_them(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("spelling") / "t.txt"
    write_json_lines(path, table, QI)
    rows = table.rename(columns={"origin_target": "item_title"}).astype(object)
    rows = rows.where(rows.notna(), None).to_dict("records")
    assert path.read_bytes() == "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode()


SNIPPETS = [
    b'"',
    b"{",
    b"}",
    b"[",
    b"\n",
    b"\r",
    b"\\",
    b",",
    b"null",
    b"1",
    b".5",
    b"\xff",
    b'"id": 2, ',
    b" ",
    b"NaN",
]
SNIPPETS += [
    b"\\u0022",
    b"\\ud800",
    b"\x00",
    b'"more": "\\"", ',
    b"\xef\xbb\xbf",
    b'"label": "1", ',
    b"{}",
    b"\t",
]
damages = st.tuples(st.floats(0, 1), st.integers(0, 9), st.sampled_from(SNIPPETS))


@settings(deadline=None, max_examples=200)
@given(hurt=st.lists(damages, min_size=1, max_size=3))
def test_the_quick_way_never_differs_from_walking_line_by_line(tmp_path_factory, hurt):
    data = b"\n".join(GOOD) + b"\n"
    for where, cut, snippet in hurt:
        at = int(where * len(data))
        data = data[:at] + snippet + data[at + cut :]
    path = tmp_path_factory.mktemp("damaged") / "train_QC.txt"
    path.write_bytes(data)
    quick = inspect_file(path, QC)
    with patch.object(parsing, "_read_batch", return_value=None):
        slow = inspect_file(path, QC)
    pd.testing.assert_frame_equal(quick.table, slow.table)
    assert (quick.faults, quick.notes, quick.rows) == (slow.faults, slow.notes, slow.rows)


# ---------------------------------------------------------------------------------------------- writing


def test_a_line_has_the_official_fields_in_the_official_order(tmp_path):
    table = read_table(file_of(tmp_path, *GOOD), QC)
    write_json_lines(tmp_path / "out.txt", table, QC)
    assert (tmp_path / "out.txt").read_bytes() == b"\n".join(GOOD) + b"\n"


def test_further_columns_come_last_and_numbers_stay_numbers(tmp_path):
    table = read_table(file_of(tmp_path, GOOD[0]), QC).assign(prediction=1, score=0.25)
    write_json_lines(tmp_path / "out.txt", table, QC, extra_columns=["prediction", "score"])
    assert (tmp_path / "out.txt").read_text().endswith('"label": 1, "prediction": 1, "score": 0.25}\n')


def test_gzip_has_the_same_bytes_whenever_it_is_written(tmp_path):
    table = read_table(file_of(tmp_path, *GOOD), QC)
    with patch("time.time", return_value=1e9):
        write_json_lines(tmp_path / "a.txt.gz", table, QC)
    write_json_lines(tmp_path / "b.txt.gz", table, QC)
    assert (tmp_path / "a.txt.gz").read_bytes() == (tmp_path / "b.txt.gz").read_bytes()


def test_an_unknown_suffix_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match="xlsx"):
        write_table(tmp_path / "a.xlsx", pd.DataFrame(), QC)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------- folders


def test_a_folder_gives_a_table_for_each_task_and_split_that_is_there(tmp_path):
    for split in ("train", "dev"):
        file_of(tmp_path, *GOOD, name=f"{split}_QC.txt")
    tables = read_folder(tmp_path, [QC, QI], ["train", "dev"])
    assert list(tables) == [("QC", "train"), ("QC", "dev")]


def test_a_missing_folder_says_what_was_expected(tmp_path):
    with pytest.raises(UserError, match=r"train_QC\.txt.*no such folder"):
        read_folder(tmp_path / "nowhere", [QC, QI])


def test_an_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(UserError, match=r"train_QI\.txt.*none of them"):
        read_folder(tmp_path, [QC, QI])


def test_a_folder_tells_the_faults_of_all_its_files_together(tmp_path):
    file_of(tmp_path, *third_line_is(b"oops"), name="train_QC.txt")
    file_of(tmp_path, *third_line_is(line(row(3, label=3))), name="dev_QC.txt")
    with pytest.raises(DataError) as error:
        read_folder(tmp_path, [QC])
    for word in ("train_QC.txt:3", "dev_QC.txt:3", "missing file", "test_QC.txt"):
        assert word in str(error.value)


def test_the_lexicon_is_found_plain_or_zipped(tmp_path):
    assert find_lexicon(tmp_path) is None
    (tmp_path / "lexicon.tsv.gz").touch()
    assert find_lexicon(tmp_path).name == "lexicon.tsv.gz"
    (tmp_path / "lexicon.tsv").touch()
    assert find_lexicon(tmp_path).name == "lexicon.tsv"


@pytest.mark.shared
@pytest.mark.parametrize("name", ["train_QC", "dev_QC", "test_QC", "train_QI", "dev_QI", "test_QI"])
def test_taxobench_files_are_written_back_byte_by_byte(tmp_path, name):
    path = SHARED / "taxobench" / f"{name}.txt.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    task = QC if name.endswith("QC") else QI
    write_json_lines(tmp_path / "out.txt", inspect_file(path, task).table, task)
    assert (tmp_path / "out.txt").read_bytes() == gzip.decompress(path.read_bytes())
