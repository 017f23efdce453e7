"""Atomic writes, reads that name damage, and the hashes that identify a file's content."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from competition_utils.errors import DamagedFile, DiskFull

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_WHAT_TO_DO = "Delete it and run what wrote it again."
_PART = re.compile(r"\..+\.(\d+)\.part")


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Give a path beside `path` to write to; it replaces `path` only when the block ends without an error.

    Raises DiskFull, with the folder and the free space, where the disk is full.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        beside.replace(path)
    except Exception as error:  # writers in C++ and Rust have errors of their own
        if getattr(error, "errno", None) in _NO_SPACE or "No space left on device" in str(error):
            raise _disk_full(path, beside) from error
        raise
    finally:
        beside.unlink(missing_ok=True)


def remove_stale_parts(folder: Path | str) -> None:
    """Remove what atomic writes of processes that were killed left below `folder`; those of living ones stay."""
    for path in Path(folder).rglob(".*.part"):
        writer = _PART.fullmatch(path.name)
        if writer and not _is_alive(int(writer[1])):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def _disk_full(path: Path, beside: Path) -> DiskFull:
    """The error for a write of `path` that ran out of space; frees what `beside` took."""
    written = beside.stat().st_size if beside.exists() else 0
    beside.unlink(missing_ok=True)
    folder = next(folder for folder in path.parents if folder.exists())
    return DiskFull(folder, shutil.disk_usage(folder).free, path.name, written)


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text with `\\n` line ends, whole or not at all."""
    with atomic_write(path) as beside:
        beside.write_bytes(text.encode("utf-8"))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def write_json(path: Path | str, value: Any) -> None:
    """Write JSON that people read too: indented, in the given order of keys, NumPy values as plain ones."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n")


def read_json(path: Path | str, need: Sequence[str] = ()) -> Any:
    """Read a JSON file; with `need`, an object that has these keys. Raises DamagedFile for anything else."""
    try:
        value = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, nested too deep
        raise DamagedFile(path, "a JSON file", str(error), _WHAT_TO_DO) from None
    lacking = [key for key in need if not isinstance(value, dict) or key not in value]
    if lacking:
        raise DamagedFile(path, f"an object with {', '.join(need)}", f"no {', '.join(lacking)}", _WHAT_TO_DO)
    return value


def write_sealed_json(path: Path | str, value: dict[str, Any]) -> None:
    """Write an object with its own hash as the key `sha256`, so that `read_sealed_json` notices a changed byte."""
    write_json(path, {**value, "sha256": hash_json(value)})


def read_sealed_json(path: Path | str) -> dict[str, Any]:
    """Read what `write_sealed_json` wrote. Raises DamagedFile for anything else."""
    value = read_json(path, need=["sha256"])
    if value.pop("sha256") != hash_json(value):
        raise DamagedFile(path, "the content that was written", "another one", _WHAT_TO_DO)
    return value


def write_parquet(path: Path | str, table: pd.DataFrame) -> None:
    """Write a table without its index, whole or not at all, with checksums that `read_parquet` verifies."""
    with atomic_write(path) as beside:
        table.to_parquet(beside, index=False, write_page_checksum=True)


def read_parquet(path: Path | str, need: Sequence[str] = ()) -> pd.DataFrame:
    """Read a parquet file that has the columns `need`. Raises DamagedFile for anything else, and for changed bytes."""
    with Path(path).open("rb") as stream:  # a missing file or a folder is an OSError with its name
        try:
            _check_counts(pq.read_metadata(stream))
            table = pd.read_parquet(stream, page_checksum_verification=True)
        except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
            first_line = str(error).partition("\n")[0]
            raise DamagedFile(path, "a parquet file", first_line, _WHAT_TO_DO) from None
    lacking = [name for name in need if name not in table]
    if lacking:
        raise DamagedFile(path, f"the columns {', '.join(need)}", f"no {', '.join(lacking)}", _WHAT_TO_DO)
    return table


def _check_counts(footer: pq.FileMetaData) -> None:
    """ValueError where the counts of a footer differ: checksums do not cover it, and a changed count loses rows."""
    rows = sum(footer.row_group(group).num_rows for group in range(footer.num_row_groups))
    if rows != footer.num_rows:
        raise ValueError(f"{footer.num_rows:,} rows by its footer, {rows:,} by its parts")


def hash_file(path: Path | str) -> str:
    """sha256 of a file's bytes, as hexadecimal text."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_json(value: Any) -> str:
    """sha256 of a value written as JSON with sorted keys: equal settings have equal hashes."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=_plain)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
