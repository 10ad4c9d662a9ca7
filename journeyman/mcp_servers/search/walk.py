"""The files of a folder that are worth searching, in a fixed order; no link is followed, nothing leaves the folder."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence

from journeyman.errors import ToolError
from journeyman.mcp_servers.search.ignored import FILE, LARGEST, Ignored
from journeyman.sandbox.entry import Entry, Stamp
from journeyman.sandbox.paths import Root
from journeyman.sandbox.refusals import told

MAX_FILES = 20_000
MAX_BYTES = 100_000_000
MAX_FILE = 1_000_000
MAX_DEPTH = 40
NAMED = 3
SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})


class Walk:
    """Hidden, unprintable and ignored names are passed over, and what is too large or too deep, which `complete` tells.

    Args:
        root: where.
        checkpoint: called now and then; stops the walk by raising.
        largest: bytes of a file; None where only names are wanted.
        everything: what `.gitignore` files name, too.
    """

    def __init__(
        self, root: Root, checkpoint: Callable[[], None], *, largest: int | None = MAX_FILE, everything: bool = False
    ) -> None:
        self._root = root
        self._checkpoint = checkpoint
        self._largest = largest
        self._everything = everything
        self.ignored = Ignored()
        self.entering: Callable[[str], None] = lambda _: None
        """Told of each folder before it is listed."""
        self.complete = True
        """Whether everything was seen but what is `too_large`; known when `files` has ended."""
        self.too_large: set[str] = set()

    def files(self, below: str = "") -> Iterator[tuple[str, Stamp]]:
        """Path and stamp of each file in a folder, or in all of them."""
        for path, _, stamp in self.sizes(below):
            yield path, stamp

    def sizes(self, below: str = "") -> Iterator[tuple[str, int, Stamp]]:
        """The same, with the size between."""
        count = size = 0
        self.approach(below)
        for path, entry_size, stamp in self._below(below, 0):
            count, size = count + 1, size + entry_size
            if count > MAX_FILES or (size > MAX_BYTES and self._largest):
                self.complete = False
                return

            yield path, entry_size, stamp

    def _below(self, folder: str, depth: int) -> Iterator[tuple[str, int, Stamp]]:
        self._checkpoint()
        self.entering(folder)
        try:
            entries, more = self._root.list(folder or ".", hints=False)
        except ToolError:
            self.complete = False
            return

        self.complete = self.complete and not more
        for entry in self.wanted(folder, entries):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.kind == "file" and (self._largest is None or entry.size <= self._largest):
                yield path, entry.size, entry.stamp
            elif entry.kind == "folder" and entry.name not in SKIPPED and depth < MAX_DEPTH:
                yield from self._below(path, depth + 1)
            elif entry.kind == "file":
                self.too_large.add(path)
            elif entry.kind == "folder" and entry.name not in SKIPPED:
                self.complete = False

    def wanted(self, folder: str, entries: Sequence[Entry], *, hidden: bool = False) -> Iterator[Entry]:
        """Those of a folder's entries that are not passed over, or only those that are not ignored."""
        if any(entry.name == FILE for entry in entries):
            self._read(folder)

        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if (hidden or not passed_over(entry.name)) and not self.ignored(path, folder=entry.kind == "folder"):
                yield entry

    def approach(self, below: str) -> None:
        """Learn what is ignored above a folder; one that is, but was asked for by name, is looked at whole."""
        parts = below.split("/") if below else []
        for depth in range(len(parts)):
            self._read("/".join(parts[:depth]))
            if self.ignored("/".join(parts[: depth + 1]), folder=True):
                self._everything = True
                self.ignored = Ignored()

    def _read(self, folder: str) -> None:
        if not self._everything:
            with contextlib.suppress(ToolError):
                data = self._root.read(f"{folder}/{FILE}" if folder else FILE, limit=LARGEST).data
                self.ignored.add(folder, data.decode("utf-8-sig", "replace"))


def unseen(too_large: Collection[str], *, complete: bool) -> str:
    """What was not looked at, in a line or two; nothing where that is nothing."""
    named, more = ", ".join(map(told, sorted(too_large)[:NAMED])), len(too_large) - NAMED
    large = f"[not looked at, too large: {named}{f' and {more} more' if more > 0 else ''}]" if too_large else ""
    others = "" if complete else "[some files were not looked at: too many, too deep or not readable]"
    return "\n".join(filter(None, [large, others]))


def passed_over(name: str) -> bool:
    """Hidden, or it cannot be shown."""
    return name.startswith(".") or not name.isprintable()
