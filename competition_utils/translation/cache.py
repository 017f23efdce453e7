"""Translations kept on disk: what one process translated, none translates again.

One SQLite file in write-ahead mode: several processes read and write it, and what was stored before a kill is there
after it. A key is a hash of engine, model, direction and text. Not diskcache, which pickles what it stores and looks
up one key at a time.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from competition_utils.errors import UserError

WAIT_SECONDS = 60  # for another writer
KEYS_A_QUERY = 5000


class TranslationCache:
    """Texts → translations of one engine, model and direction, in a file that all of them share."""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._damage_named():
            self._connection = sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS translations (key BLOB PRIMARY KEY, text TEXT) WITHOUT ROWID"
            )

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise UserError(
                f"translation cache: expected {self.path} to be its own SQLite file, found: {error}. Move it away."
            ) from None

    def get(self, texts: Sequence[str], scope: str) -> dict[str, str]:
        """The translations that are there, by text; `scope` names engine, model and direction."""
        keys = {_key(text, scope): text for text in texts}
        found: dict[str, str] = {}
        wanted = list(keys)
        for start in range(0, len(wanted), KEYS_A_QUERY):
            part = wanted[start : start + KEYS_A_QUERY]
            marks = ",".join("?" * len(part))
            with self._damage_named():
                rows = self._connection.execute(f"SELECT key, text FROM translations WHERE key IN ({marks})", part)
                found.update((keys[key], text) for key, text in rows)
        return found

    def put(self, translations: dict[str, str], scope: str) -> None:
        """Store translations; they are on disk when this returns."""
        rows = [(_key(text, scope), translated) for text, translated in translations.items()]
        with self._damage_named(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT OR REPLACE INTO translations VALUES (?, ?)", rows)

    def close(self) -> None:
        self._connection.close()


def scope_of(engine: str, model: str, source: str, target: str) -> str:
    """What a cached translation depends on besides its text."""
    return f"{engine}\0{model}\0{source}\0{target}"


def _key(text: str, scope: str) -> bytes:
    return hashlib.blake2b(f"{scope}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
