"""A full-text index of one folder, in memory, brought up to date before every search.

In memory, because it then leaves no second copy of somebody's texts on a disk, is never older than the program that
reads it, and needs no lock between processes; building it costs about a second for ten megabytes. What changed since
the last search is told by the kernel (`watch`); everything is looked at again now and then, and where it cannot tell:
then times and inode count, and a file changed within the last moments is read again, since its clock may stand still.
"""

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Literal, NamedTuple, Protocol

from journeyman.errors import ToolError
from journeyman.mcp_servers.files.text import decode, is_binary
from journeyman.mcp_servers.search import query
from journeyman.mcp_servers.search.chunks import chunks
from journeyman.mcp_servers.search.fts import Fts, Piece
from journeyman.mcp_servers.search.grown import Grown
from journeyman.mcp_servers.search.hits import Hit
from journeyman.mcp_servers.search.ignored import FILE, Ignored
from journeyman.mcp_servers.search.walk import MAX_FILE, Walk, passed_over, unseen
from journeyman.mcp_servers.search.watch import Watch
from journeyman.sandbox.entry import Stamp
from journeyman.sandbox.paths import Root

UNSETTLED_NS = 2_000_000_000
RECHECK_S = 30.0
"""How long the kernel is believed: it says nothing of what other machines change on a network disk."""
MAX_HITS = 20
TOLD = 100
"""Files between two words of progress."""
LARGE = 20_000_000
"""Bytes of a folder from which on tantivy is taken, where it is installed."""


class Backend(Protocol):
    """One thread at a time."""

    def add(self, path: str, pieces: Sequence[Piece]) -> None: ...

    def forget(self, path: str) -> None: ...

    def commit(self) -> None: ...

    def search(self, terms: Sequence[str], k: int) -> list[Hit]: ...

    def close(self) -> None: ...


class _Known(NamedTuple):
    stamp: Stamp | None
    """None for a file that was still warm when it was read."""
    digest: bytes


class Index:
    """Safe to call from several threads; one works at a time."""

    def __init__(
        self,
        root: Root,
        *,
        checkpoint: Callable[[], None] = lambda: None,
        progress: Callable[[float, float, str], None] = lambda *_: None,
        backend: Literal["auto", "fts5", "tantivy"] = "auto",
    ) -> None:
        self._root = root
        self._checkpoint = checkpoint
        self._progress = progress
        self._asked = backend
        self._ignored = Ignored()
        self._lock = threading.Lock()
        self._backend: Backend | None = None
        self._known: dict[str, _Known] = {}
        self._watch = Watch(root.folder)
        self._complete = True
        self._too_large: set[str] = set()
        self._walked = 0.0

    def search(self, question: str, k: int = 5) -> tuple[list[Hit], str]:
        """The `k` best hits, best first, and what was not looked at, if anything.

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
            found = self._refreshed().search(terms, k)
            return found, unseen(self._too_large, complete=self._complete)

    def close(self) -> None:
        with self._lock:
            self._watch.close()
            self._known.clear()
            if self._backend is not None:
                self._backend.close()
                self._backend = None

    def _refreshed(self) -> Backend:
        changed = self._watch.changes() if time.monotonic() < self._walked + RECHECK_S else None
        if changed is None or self._backend is None or any(path.rpartition("/")[2] == FILE for path in changed):
            return self._walk()

        for path in changed:
            self._look(path, self._backend)

        if changed:
            self._backend.commit()

        return self._backend

    def _walk(self) -> Backend:
        """Look at everything."""
        walk = Walk(self._root, self._checkpoint)
        walk.entering = self._watch.add
        self._watch.begin()
        self._walked = 0.0
        gone = set(self._known)
        files = list(walk.sizes())
        if self._backend is None:
            self._backend = self._opened(sum(size for _, size, _ in files))

        try:
            for number, (path, _, stamp) in enumerate(files):
                self._checkpoint()
                if number % TOLD == 0 and number:
                    self._progress(number, len(files), f"read {number} of {len(files)} files")

                gone.discard(path)
                if self._known.get(path, _NEW).stamp != stamp:
                    self._read(path, stamp, self._backend)

            for path in gone:
                self._forget(path, self._backend)

            self._complete, self._too_large, self._ignored = walk.complete, walk.too_large, walk.ignored
            self._walked = time.monotonic()
        finally:
            # What was indexed before a cancellation is right, and saves the next search the work.
            self._backend.commit()

        return self._backend

    def _opened(self, size: int) -> Backend:
        """For so many bytes of texts."""
        if self._asked == "auto":
            return Grown() if size > LARGE and find_spec("tantivy") is not None else Fts()

        return Grown() if self._asked == "tantivy" else Fts()

    def _look(self, path: str, backend: Backend) -> None:
        """What has become of a file."""
        self._too_large.discard(path)
        if passed_over(path.rpartition("/")[2]) or self._ignored(path, folder=False):
            return

        with contextlib.suppress(ToolError):
            entry = self._root.stat(path, follow=False)
            if entry.kind == "file" and entry.size <= MAX_FILE:
                self._read(path, entry.stamp, backend)
                return

            if entry.kind == "file":
                self._too_large.add(path)

        if path in self._known:
            self._forget(path, backend)

    def _read(self, path: str, stamp: Stamp, backend: Backend) -> None:
        data = self._data(path)
        digest = hashlib.blake2b(data, digest_size=16).digest()
        settled = stamp if time.time_ns() - max(stamp[:2]) > UNSETTLED_NS else None
        before = self._known.get(path)
        self._known[path] = _Known(settled, digest)
        if before is not None and before.digest == digest:
            return

        if before is not None:
            backend.forget(path)

        backend.add(path, _pieces(path, data))

    def _forget(self, path: str, backend: Backend) -> None:
        backend.forget(path)
        del self._known[path]

    def _data(self, path: str) -> bytes:
        """Of a file that cannot be read or is no text: nothing."""
        with contextlib.suppress(ToolError):
            data = self._root.read(path, limit=MAX_FILE).data
            return b"" if is_binary(data) else data

        return b""


_NEW = _Known(None, b"")


def _pieces(path: str, data: bytes) -> list[Piece]:
    where = PurePosixPath(path)
    context = " ".join(where.with_suffix("").parts)
    try:
        found = list(chunks(decode(data, path).lines, where.suffix.lower()))
    except ToolError:  # it only begins like text
        return []

    return [
        Piece(
            piece.body,
            f"{context} {' '.join(piece.trail)}",
            " ".join(f"{line.number}{'h' * line.heading}" for line in piece.lines),
        )
        for piece in found
    ]
