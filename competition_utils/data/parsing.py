"""From the bytes of a file to the values in it; `validation` checks what they should be.

JSON lines are read by orjson, thousands at a time; only a batch in which something is off is walked line by
line, to name the places. orjson and not pyarrow's JSON reader, which is faster by a third but takes two
objects on one line and crashes the process on a line `null`.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet

from competition_utils.errors import Fault, printable
from competition_utils.progress import progress
from competition_utils.tasks import Task

BATCH = 2_000  # lines: few enough for the processor's cache, many enough to make calls rare
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SUFFIXES = (".txt", ".txt.gz", ".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet")


class Missing(Enum):
    """Stands where a row has no such field at all, which is not the same as a field that is null."""

    FIELD = "missing"


class Column:
    """The values of a field, of whatever types, and the set of these types: all that most checks look at."""

    def __init__(self, values: list):
        self.values = values
        self.types = set(map(type, values))


@dataclass
class Rows:
    """Rows as a file gives them: `columns` maps a field to its values, `Missing.FIELD` where a row lacks it;
    `places` are the line numbers from 1 (row numbers in parquet); `faults` is what could not be read at all,
    `notes` what was accepted but should be reported."""

    columns: dict[str, Column] = field(default_factory=dict)
    places: Sequence[int] = ()
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    blank_lines: int = 0


def cut(text: str, limit: int = 60) -> str:
    """A text at a length that fits a message, with control and invisible characters escaped."""
    text = printable(text[:limit]) + text[limit : limit + 1]
    return text if len(text) <= limit else text[: limit - 1] + "…"


def short(value: Any) -> str:
    """A value as JSON spells it, at a length that fits a message."""
    try:
        return cut(json.dumps(value, ensure_ascii=False, default=str))
    except RecursionError:
        return "hundreds of levels"


def whole_number(value: Any) -> int | None:
    """The value of an id (an integer, or its digits as text) that fits 64 bits; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value):
        value = int(value)
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def read_rows(data: bytes, name: str, task: Task) -> Iterator[Rows]:
    """The rows of a file's bytes, in the format that its suffix names (`SUFFIXES`); gzip is known by the bytes."""
    data, faults = _decompress(data, name)
    suffixes = set(Path(name).suffixes)
    if ".parquet" in suffixes:
        yield _parquet_rows(data, name, task)
        return
    yield Rows(faults=faults, notes=_notes_on_bytes(data))
    if ".csv" in suffixes:
        yield _csv_rows(data, name, task)
    else:
        yield from _json_rows(data, name)


def _decompress(data: bytes, name: str) -> tuple[bytes, list[Fault]]:
    """Unpack gzip. Of a file cut off or damaged, the whole lines before the break come with the fault."""
    if not data.startswith(b"\x1f\x8b"):
        return data, []
    try:
        return gzip.decompress(data), []
    except (EOFError, OSError, zlib.error) as error:
        whole = _before_the_break(data)
        lines = len(whole.splitlines())
        return whole, [Fault("truncated gzip", f"{name}:{lines + 1}", f"{error} ({lines:,} whole lines before it)")]


def _before_the_break(data: bytes) -> bytes:
    """The whole lines that can be unpacked; a file may be several gzip members, one after the other."""
    parts, byte = [], 0
    with suppress(zlib.error):
        while data.startswith(b"\x1f\x8b", byte):
            member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            while byte < len(data) and not member.eof:
                parts.append(member.decompress(chunk := data[byte : byte + (1 << 12)]))
                byte += len(chunk)
            byte -= len(member.unused_data)
    unpacked = b"".join(parts)
    return unpacked[: max(unpacked.rfind(b"\n"), unpacked.rfind(b"\r")) + 1]


def _notes_on_bytes(data: bytes) -> list[str]:
    notes = ["starts with a byte-order mark (accepted)"] if data.startswith(BYTE_ORDER_MARK) else []
    if b"\r" in data:
        windows = data.count(b"\r\n")
        counts = {"\\n": data.count(b"\n") - windows, "\\r\\n": windows, "\\r": data.count(b"\r") - windows}
        found = [f"{count:,} {end}" for end, count in counts.items() if count]
        notes.append(f"{'mixed ' if len(found) > 1 else ''}line ends (accepted): {', '.join(found)}")
    return notes


def _json_rows(data: bytes, name: str) -> Iterator[Rows]:
    """Rows of JSON lines, a batch at a time. Lines end at \\n, \\r\\n or \\r alone, not at U+2028."""
    text = data.removeprefix(BYTE_ORDER_MARK)
    lines, byte = text.splitlines(keepends=True), len(data) - len(text)
    with progress(total=len(lines), what=f"reading {name}", unit="lines") as bar:
        for start in range(0, len(lines), BATCH):
            batch = lines[start : start + BATCH]
            yield _read_batch(batch, start) or _walk(batch, start, name, byte)
            byte += sum(map(len, batch))
            bar.update(len(batch))


def _read_batch(lines: list[bytes], start: int) -> Rows | None:
    """The quick way; None where a line is no object or repeats a field, so that each has to be looked at."""
    try:
        rows = list(map(orjson.loads, lines))
    except ValueError:
        return None
    if set(map(type, rows)) != {dict}:
        return None
    fields, joined = sum(map(len, rows)), b"".join(lines)
    columns = _columns(rows, fields)
    if b"\\u0022" in joined or joined.count(b'"') != _quotes_expected(fields, columns):
        return None
    return Rows(columns, range(start + 1, start + 1 + len(rows)))


def _columns(rows: list[dict], fields: int) -> dict[str, Column]:
    """`fields` is how many the rows have together: where it fits, no row has more than the first one has."""
    names = list(rows[0]) if rows else []
    if fields == len(names) * len(rows):
        with suppress(KeyError):
            return {name: Column(list(map(itemgetter(name), rows))) for name in names}
    names = dict.fromkeys(chain.from_iterable(rows))
    return {name: Column([row.get(name, Missing.FIELD) for row in rows]) for name in names}


def _quotes_expected(fields: int, columns: dict[str, Column]) -> int:
    """How many quotation marks the lines of these columns hold, if no field is given twice in a line.

    A parser keeps the last of two equal fields and reports nothing; this count shows it without a second parse.
    Nested values look like a repeated field, so their lines are walked; lines with a mark spelt \\u0022, which
    would make the count too small, never come here.
    """
    quotes = 2 * fields
    for column in columns.values():
        all_texts = column.types == {str}
        texts = column.values if all_texts else [value for value in column.values if type(value) is str]
        quotes += 2 * len(texts) + "".join(texts).count('"')
    return quotes


def _walk(lines: list[bytes], start: int, name: str, byte: int) -> Rows:
    """The slow way: line by line, naming the place of what is off. `byte` is where the first line starts."""
    rows, places, faults, blank = [], [], [], 0
    for number, line in enumerate(lines, start + 1):
        try:
            if line.strip():
                rows.append(_read_line(line, byte))
                places.append(number)
            else:
                blank += 1
        except _LineFault as fault:
            faults.append(Fault(fault.kind, f"{name}:{number}", fault.found))
        byte += len(line)
    return Rows(_columns(rows, sum(map(len, rows))), places, faults, blank_lines=blank)


class _LineFault(Exception):
    def __init__(self, kind: str, found: str):
        super().__init__(found)
        self.kind, self.found = kind, found


def _read_line(line: bytes, byte: int) -> dict[str, Any]:
    try:
        text = line.decode("utf-8")
        row = orjson.loads(line)
        json.loads(text, object_pairs_hook=_without_repeats, parse_int=str)  # Python refuses 5,000 digits
    except UnicodeDecodeError as error:
        raise _LineFault("invalid UTF-8", _bad_byte(error, byte)) from None
    except json.JSONDecodeError as error:
        raise _LineFault("not JSON", f"{error.msg} (character {error.colno}): {cut(text.strip())}") from None
    except RecursionError:
        raise _LineFault("nested field", f"hundreds of levels: {cut(text.strip())}") from None
    if not isinstance(row, dict):
        raise _LineFault("not JSON", f"expected an object, found {short(row)}")
    return row


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        raise _LineFault("repeated field", short(next(name for name in names if names.count(name) > 1)))
    return row


def _bad_byte(error: UnicodeDecodeError, byte: int) -> str:
    return f"byte 0x{error.object[error.start]:02x} at byte offset {byte + error.start} of the file"


def _csv_rows(data: bytes, name: str, task: Task) -> Rows:
    """Rows of a CSV file with a header. CSV knows no null: an empty target or label is read as one."""
    csv.field_size_limit(2**31 - 1)  # the module's own limit is 131,072 characters a cell
    undecodable = _encoding_faults(data, name)
    lines = list(io.StringIO(data.decode("utf-8-sig", "surrogateescape"), newline=""))
    records = [_Record(*record) for record in _csv_records(lines)]
    blank = sum(record.cells == [] for record in records)
    head, *body = [record for record in records if record.cells != []] or [_Record(1, 1, [])]
    header = [] if head.error or head.spans(undecodable) else head.cells
    faults = [*undecodable.values()]
    if of_header := _header_faults(header, name, task):
        return Rows(faults=faults + of_header, blank_lines=blank)
    sound = []
    for record in body:
        if record.error:
            faults.append(Fault("not CSV", f"{name}:{record.first}", record.error))
        elif len(record.cells) != len(header):
            found = f"{len(record.cells)} cells where the header has {len(header)}"
            faults.append(Fault("not CSV", f"{name}:{record.first}", found))
        elif not record.spans(undecodable):
            sound.append(record)
    cells = {field: [record.cells[number] for record in sound] for number, field in enumerate(header)}
    return Rows(_from_text(cells, task), [record.first for record in sound], faults, blank_lines=blank)


class _Record(NamedTuple):
    """A record of a CSV file: the lines it spans, its cells, and what is wrong with its quotes."""

    first: int
    last: int
    cells: list[str]
    error: str = ""

    def spans(self, lines: Container[int]) -> bool:
        return any(line in lines for line in range(self.first, self.last + 1))


def _csv_records(lines: list[str]) -> Iterator[tuple[int, int, list[str]] | tuple[int, int, list[str], str]]:
    """All records; after a line with broken quotes, reading starts again on the next line, so that none is lost."""
    line = 0
    while line < len(lines):
        start, reader = line, csv.reader(map(lines.__getitem__, range(line, len(lines))), strict=True)
        try:
            for cells in reader:
                yield line + 1, start + reader.line_num, cells
                line = start + reader.line_num
        except csv.Error as error:
            line += 1
            yield line, line, ["broken"], f"broken quotes: {error}"


def _encoding_faults(data: bytes, name: str) -> dict[int, Fault]:
    """Lines that are not UTF-8, by number."""
    faults, byte = {}, 0
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            faults[number] = Fault("invalid UTF-8", f"{name}:{number}", _bad_byte(error, byte))
        byte += len(line)
    return faults


def _header_faults(header: list[str], name: str, task: Task) -> list[Fault]:
    """Faults of a table's header, reported once and not for every row."""
    found = f"the columns are {cut(', '.join(header), 200)}" if header else "there are no columns"
    missing = [
        Fault("missing field", f"{name}:1", f"no {field}; {found}") for field in task.fields if field not in header
    ]
    repeated = sorted({field for field in header if header.count(field) > 1})
    return missing + [Fault("repeated field", f"{name}:1", short(field)) for field in repeated]


def _from_text(cells: dict[str, list[str]], task: Task) -> dict[str, Column]:
    numbers = map(whole_number, cells["id"])
    ids = [text if number is None else number for text, number in zip(cells["id"], numbers, strict=True)]
    nullable = [field for field in (task.target_field, "label") if field in cells]
    typed = {"id": ids} | {field: [text or None for text in cells[field]] for field in nullable}
    return {field: Column(values) for field, values in (cells | typed).items()}


def _parquet_rows(data: bytes, name: str, task: Task) -> Rows:
    try:
        table = pyarrow.parquet.read_table(pa.BufferReader(data), page_checksum_verification=True)
        faults = _header_faults(table.column_names, name, task)
        if faults:
            return Rows(faults=faults)
        columns = {field: Column(values) for field, values in table.to_pydict().items()}
    except (pa.ArrowException, OSError, ValueError, ArithmeticError) as error:  # the last two: values beyond Python's
        return Rows(faults=[Fault("not parquet", name, cut(str(error)))])
    return Rows(columns, range(1, table.num_rows + 1))
