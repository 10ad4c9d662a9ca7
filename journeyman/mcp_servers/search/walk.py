"""The files of a folder that are worth searching, in a fixed order; no link is followed, nothing leaves the folder."""

from collections.abc import Callable, Iterator

from journeyman.errors import ToolError
from journeyman.sandbox.paths import Root

MAX_FILES = 20_000
MAX_BYTES = 100_000_000
MAX_FILE = 1_000_000
MAX_DEPTH = 40
SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})


class Walk:
    """Hidden and unprintable names are passed over, and what is too large or too deep, which `complete` tells."""

    def __init__(self, root: Root, checkpoint: Callable[[], None], *, largest: int = MAX_FILE) -> None:
        self._root = root
        self._checkpoint = checkpoint
        self._largest = largest
        self.entering: Callable[[str], None] = lambda _: None
        """Told of each folder before it is listed."""
        self.complete = True
        """Whether everything was seen but what is `too_large`; known when `files` has ended."""
        self.too_large: set[str] = set()

    def files(self, below: str = "") -> Iterator[tuple[str, tuple[int, int, int]]]:
        """Path and stamp of each file in a folder, or in all of them."""
        for path, _, stamp in self.sizes(below):
            yield path, stamp

    def sizes(self, below: str = "") -> Iterator[tuple[str, int, tuple[int, int, int]]]:
        """The same, with the size between."""
        count = size = 0
        for path, entry_size, stamp in self._below(below, 0):
            count, size = count + 1, size + entry_size
            if count > MAX_FILES or size > MAX_BYTES:
                self.complete = False
                return

            yield path, entry_size, stamp

    def _below(self, folder: str, depth: int) -> Iterator[tuple[str, int, tuple[int, int, int]]]:
        self._checkpoint()
        self.entering(folder)
        try:
            entries, more = self._root.list(folder or ".", hints=False)
        except ToolError:
            self.complete = False
            return

        self.complete = self.complete and not more
        for entry in entries:
            if passed_over(entry.name):
                continue

            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.kind == "file" and entry.size <= self._largest:
                yield path, entry.size, entry.stamp
            elif entry.kind == "folder" and entry.name not in SKIPPED and depth < MAX_DEPTH:
                yield from self._below(path, depth + 1)
            elif entry.kind == "file":
                self.too_large.add(path)
            elif entry.kind == "folder" and entry.name not in SKIPPED:
                self.complete = False


def passed_over(name: str) -> bool:
    """Hidden, or it cannot be shown."""
    return name.startswith(".") or not name.isprintable()
