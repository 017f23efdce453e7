"""The file of a lexicon: tab-separated with a header, gzipped or not."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

import pandas as pd

from competition_utils.errors import DataError, Fault, UserError

COLUMNS = ["source_lang", "source_text", "target_lang", "target_text"]
TAB = "\t"
LONGEST_TEXT = 2_000  # characters; a longer one is no query or title, and is not translated


def read_lexicon(path: Path) -> pd.DataFrame:
    """The rows of a lexicon's file with COLUMNS, blank lines left out; every other line is a row or a fault.

    Raises UserError for a file that is not there or no such text, DataError with the lines that are no rows.
    """
    if not path.is_file():
        raise UserError(f"lexicon: expected a file {path}, found none. Give a TSV with the columns {COLUMNS}.")
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"lexicon {path}: expected tab-separated UTF-8 text, found: {error}") from None
    head, *lines = re.split(r"\r\n|\r|\n", text)
    header = head.split("\t")
    if missing := [name for name in COLUMNS if name not in header]:
        raise UserError(f"lexicon {path}: expected the columns {COLUMNS}, {missing} missing in its first line.")
    tabs, longest = len(header) - 1, len(header) * LONGEST_TEXT
    faults = [
        Fault("not a lexicon row", f"{path.name}:{number}", f"{line.count(TAB) + 1} cells, {len(line):,} characters")
        for number, line in enumerate(lines, 2)
        if line and (line.count(TAB) != tabs or len(line) > longest)
    ]
    if faults:
        expected = f"lexicon {path}: expected {len(header)} cells a line, of at most {LONGEST_TEXT:,} characters"
        raise DataError(expected, faults, "Correct the lines named.")
    rows = list(filter(None, lines))
    cells = TAB.join(rows).split(TAB) if rows else []
    return pd.DataFrame({name: cells[header.index(name) :: len(header)] for name in COLUMNS}, dtype="str")
