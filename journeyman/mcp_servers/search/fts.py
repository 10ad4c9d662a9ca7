"""Pieces of texts in SQLite's FTS5, in memory: what was added is found at once."""

import contextlib
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from journeyman.mcp_servers.search import query
from journeyman.mcp_servers.search.hits import CLOSE, OPEN, Hit, hit

ENOUGH = 2_000
"""Pieces that are looked at for the words that tell most; a commoner word then only moves them up."""
TIES = 20
"""More than are asked for, so that those of equal rank come in the order of their paths."""
_SCHEMA = """
CREATE VIRTUAL TABLE chunk USING fts5 (
    body, context, path UNINDEXED, lines UNINDEXED, tokenize = "porter unicode61 remove_diacritics 2"
);
INSERT INTO chunk (chunk, rank) VALUES ('rank', 'bm25(1.0, 0.7)');
"""
# Ranked first and read afterwards: FTS5 would otherwise read and mark every piece that matches.
_RANKED = "SELECT rowid, rank FROM chunk WHERE chunk MATCH ? ORDER BY rank LIMIT ?"
_SHOWN = f"""
SELECT path, lines, highlight(chunk, 0, '{OPEN}', '{CLOSE}') FROM chunk WHERE chunk MATCH ? AND rowid = ?
"""  # noqa: S608 - two constants of ours
_COUNT = "SELECT count(*) FROM (SELECT 1 FROM chunk WHERE chunk MATCH ? LIMIT 100000)"


class Piece(NamedTuple):
    body: str
    context: str
    """What it stands under: its path and headings."""
    lines: str
    """Its lines' numbers; `7h` is a heading on line 7."""


class Fts:
    """A backend; one thread at a time."""

    def __init__(self) -> None:
        self._database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")
        self._last = 0
        self._rows: dict[str, tuple[int, int]] = {}

    def add(self, path: str, pieces: Sequence[Piece]) -> None:
        first, self._last = self._last + 1, self._last + len(pieces)
        rows = ((first + at, piece.body, piece.context, path, piece.lines) for at, piece in enumerate(pieces))
        self._database.executemany("INSERT INTO chunk (rowid, body, context, path, lines) VALUES (?, ?, ?, ?, ?)", rows)
        self._rows[path] = first, self._last

    def forget(self, path: str) -> None:
        self._database.execute("DELETE FROM chunk WHERE rowid BETWEEN ? AND ?", self._rows.pop(path))

    def commit(self) -> None:
        """What was added so far is found."""
        self._database.execute("COMMIT")
        self._database.execute("BEGIN")

    def close(self) -> None:
        self._database.close()

    def search(self, terms: Sequence[str], k: int) -> list[Hit]:
        """Pieces with all the words come first, then pieces with any of them."""
        found = self._matching(query.all_of(terms), k)
        if len(found) < k and (len(terms) > 1 or not found):
            found |= self._matching(self._any_of(terms), k)

        return list(found.values())[:k]

    def _any_of(self, terms: Sequence[str]) -> str:
        """The rarest of the words, or of the words that begin so; with the others for the order alone."""
        counts = {term: self._count(query.quoted(term)) for term in terms}
        forms = {term: query.quoted(term) if counts[term] else query.begins(term) for term in terms}
        counts |= {term: self._count(forms[term]) for term in terms if not counts[term]}
        telling, size = [], 0
        for term in sorted(terms, key=counts.__getitem__):
            size += counts[term]
            if telling and size > ENOUGH:
                break

            telling.append(term)

        few = " OR ".join(forms[term] for term in telling)
        rest = " OR ".join(forms[term] for term in terms if term not in telling)
        return f"({few}) OR (({few}) AND ({rest}))" if rest else few

    def _count(self, form: str) -> int:
        return self._database.execute(_COUNT, (form,)).fetchone()[0]

    def _matching(self, expression: str, k: int) -> dict[int, Hit]:
        ranked = self._database.execute(_RANKED, (expression, k + TIES)).fetchall()
        shown = [(rank, *self._shown(expression, row), row) for row, rank in ranked]
        best = sorted(shown, key=lambda each: (round(each[0], 9), each[1], each[-1]))[:k]
        return {row: hit(path, lines, marked) for _, path, lines, marked, row in best}

    def _shown(self, expression: str, row: int) -> tuple[str, str, str]:
        with contextlib.closing(self._database.execute(_SHOWN, (expression, row))) as found:
            return found.fetchone()
