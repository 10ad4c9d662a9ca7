"""A full-text index of one folder, in memory, brought up to date before every search.

In memory, because it then leaves no second copy of somebody's texts on a disk, is never older than the program that
reads it, and needs no lock between processes; building it costs about a second for ten megabytes. What changed is told
by times and inode; a file changed within the last moments is read again the next time, since its clock may stand still.
"""

import contextlib
import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import NamedTuple

from journeyman.errors import ToolError
from journeyman.mcp_servers.files.text import decode, is_binary
from journeyman.mcp_servers.search import query
from journeyman.mcp_servers.search.chunks import Chunk, chunks
from journeyman.mcp_servers.search.hits import CLOSE, OPEN, Hit, hit
from journeyman.mcp_servers.search.walk import MAX_FILE, Walk
from journeyman.sandbox.paths import Root

Stamp = tuple[int, int, int]

UNSETTLED_NS = 2_000_000_000
MAX_HITS = 20
_SCHEMA = """
CREATE TABLE file (path TEXT PRIMARY KEY, stamp TEXT, digest BLOB, first INTEGER, last INTEGER);
CREATE VIRTUAL TABLE chunk USING fts5 (
    body, context, path UNINDEXED, lines UNINDEXED, tokenize = "porter unicode61 remove_diacritics 2"
);
"""
_SEARCH = f"""
SELECT rowid, path, lines, highlight(chunk, 0, '{OPEN}', '{CLOSE}') FROM chunk
WHERE chunk MATCH ? ORDER BY bm25(chunk, 1.0, 0.7), path, rowid LIMIT ?
"""  # noqa: S608 - two constants of ours


class Index:
    """Safe to call from several threads; one works at a time."""

    def __init__(self, root: Root, *, checkpoint: Callable[[], None] = lambda: None) -> None:
        self._root = root
        self._checkpoint = checkpoint
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def search(self, question: str, k: int = 5) -> tuple[list[Hit], bool]:
        """The `k` best hits, best first, and whether all files were looked at.

        Pieces with all the words come first, then pieces with any of them.

        Raises:
            ToolError: there is no word in the question, or `k` is no sensible number.
        """
        if not 1 <= k <= MAX_HITS:
            raise ToolError(f"k goes from 1 to {MAX_HITS}")

        terms = query.words(question)
        if not terms:
            raise ToolError("the query has no words; give the words to look for")

        with self._lock:
            database = self._open()
            complete = self._refresh(database)
            found = self._matching(database, query.all_of(terms), k)
            if len(found) < k and len(terms) > 1:
                found |= self._matching(database, query.any_of(terms), k)
            elif not found:
                found = self._matching(database, query.any_of(terms), k)

        return list(found.values())[:k], complete

    def close(self) -> None:
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            self._database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
            self._database.executescript(_SCHEMA)

        return self._database

    def _matching(self, database: sqlite3.Connection, expression: str, k: int) -> dict[int, Hit]:
        with contextlib.closing(database.execute(_SEARCH, (expression, k))) as rows:
            return {rowid: hit(path, lines, marked) for rowid, path, lines, marked in rows}

    def _refresh(self, database: sqlite3.Connection) -> bool:
        known = {path: _Known(*rest) for path, *rest in database.execute("SELECT * FROM file")}
        walk = Walk(self._root, self._checkpoint)
        database.execute("BEGIN")
        try:
            for path, stamp in walk.files():
                before = known.pop(path, None)
                if before is None or before.stamp != str(stamp):
                    self._update(database, path, stamp, before)

            for path, gone in known.items():
                _forget(database, path, gone)
        finally:
            # What was indexed before a cancellation is right, and saves the next search the work.
            database.execute("COMMIT")

        return walk.complete

    def _update(self, database: sqlite3.Connection, path: str, stamp: Stamp, before: "_Known | None") -> None:
        data = self._data(path)
        digest = hashlib.blake2b(data, digest_size=16).digest()
        settled = str(stamp) if time.time_ns() - max(stamp[:2]) > UNSETTLED_NS else ""
        if before is not None and before.digest == digest:
            database.execute("UPDATE file SET stamp = ? WHERE path = ?", (settled, path))
            return

        if before is not None:
            _forget(database, path, before)

        first, last = _add(database, path, data)
        database.execute("INSERT INTO file VALUES (?, ?, ?, ?, ?)", (path, settled, digest, first, last))

    def _data(self, path: str) -> bytes:
        """Of a file that cannot be read or is no text: nothing."""
        with contextlib.suppress(ToolError):
            data = self._root.read(path, limit=MAX_FILE).data
            return b"" if is_binary(data) else data

        return b""


class _Known(NamedTuple):
    stamp: str
    """Empty for a file that was still warm when it was read."""
    digest: bytes
    first: int
    last: int
    """Row ids of its pieces."""


def _forget(database: sqlite3.Connection, path: str, known: _Known) -> None:
    database.execute("DELETE FROM chunk WHERE rowid BETWEEN ? AND ?", (known.first, known.last))
    database.execute("DELETE FROM file WHERE path = ?", (path,))


def _add(database: sqlite3.Connection, path: str, data: bytes) -> tuple[int, int]:
    where = PurePosixPath(path)
    context = " ".join(where.with_suffix("").parts)
    try:
        pieces = list(chunks(decode(data, path).lines, where.suffix.lower()))
    except ToolError:  # it only begins like text
        pieces = []

    (last,) = database.execute("SELECT coalesce(max(rowid), 0) FROM chunk").fetchone()
    rows = [(piece.body, f"{context} {' '.join(piece.trail)}", path, " ".join(_numbers(piece))) for piece in pieces]
    database.executemany("INSERT INTO chunk (body, context, path, lines) VALUES (?, ?, ?, ?)", rows)
    return last + 1, last + len(rows)


def _numbers(piece: Chunk) -> list[str]:
    """`7h` is a heading on line 7."""
    return [f"{line.number}{'h' * line.heading}" for line in piece.lines]
