"""A full-text index of one folder, in memory, brought up to date before every search.

In memory, because it then leaves no second copy of somebody's texts on a disk, is never older than the program that
reads it, and needs no lock between processes; building it costs about a second for ten megabytes. What changed is told
by times and inode; a file changed within the last moments is read again the next time, since its clock may stand still.
"""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import PurePosixPath

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
CREATE TABLE file (path TEXT PRIMARY KEY, stamp TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL) STRICT;
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
        with closing(database.execute(_SEARCH, (expression, k))) as rows:
            return {rowid: hit(path, lines, marked) for rowid, path, lines, marked in rows}

    def _refresh(self, database: sqlite3.Connection) -> bool:
        known = {path: (stamp, first, last) for path, stamp, first, last in database.execute("SELECT * FROM file")}
        walk = Walk(self._root, self._checkpoint)
        database.execute("BEGIN")
        try:
            for path, stamp in walk.files():
                row = known.pop(path, None)
                if row is not None and row[0] == str(stamp):
                    continue

                if row is not None:
                    self._forget(database, path, *row[1:])

                self._add(database, path, stamp)

            for path, row in known.items():
                self._forget(database, path, *row[1:])
        finally:
            # What was indexed before a cancellation is right, and saves the next search the work.
            database.execute("COMMIT")

        return walk.complete

    def _forget(self, database: sqlite3.Connection, path: str, first: int, last: int) -> None:
        database.execute("DELETE FROM chunk WHERE rowid BETWEEN ? AND ?", (first, last))
        database.execute("DELETE FROM file WHERE path = ?", (path,))

    def _add(self, database: sqlite3.Connection, path: str, stamp: Stamp) -> None:
        pieces = self._pieces(path)
        (last,) = database.execute("SELECT coalesce(max(rowid), 0) FROM chunk").fetchone()
        context = " ".join(PurePosixPath(path).with_suffix("").parts)
        database.executemany(
            "INSERT INTO chunk (body, context, path, lines) VALUES (?, ?, ?, ?)",
            [(piece.body, f"{context} {' '.join(piece.trail)}", path, " ".join(_numbers(piece))) for piece in pieces],
        )
        settled = time.time_ns() - max(stamp[:2]) > UNSETTLED_NS
        row = (path, str(stamp) if settled else "", last + 1, last + len(pieces))
        database.execute("INSERT INTO file (path, stamp, first, last) VALUES (?, ?, ?, ?)", row)

    def _pieces(self, path: str) -> list[Chunk]:
        """Of a file that cannot be read or is no text: none."""
        try:
            data = self._root.read(path, limit=MAX_FILE).data
            if is_binary(data):
                return []

            return list(chunks(decode(data, path).lines, PurePosixPath(path).suffix.lower()))
        except ToolError:
            return []


def _numbers(piece: Chunk) -> list[str]:
    """`7h` is a heading on line 7."""
    return [f"{line.number}{'h' * line.heading}" for line in piece.lines]
