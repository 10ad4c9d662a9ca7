"""The folder a run works in: laid out before it, read after it, never by following what the run left in the way."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from journeyman.errors import ToolError
from journeyman.sandbox.paths import Root

MOST_FILES = 2000
LARGEST = 1 << 20
"""Bytes of a file that is read."""


def lay_out(files: Mapping[str, str], root: Path) -> None:
    """Put files, path -> text, into an empty folder."""
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="")


def collect(root: Path) -> dict[str, str | None]:
    """Path -> text of the regular files below a folder; None for what is no text, too long or cannot be read."""
    inside = Root(root)
    return {path: _text(inside, path) for path in _paths(root)}


def _paths(root: Path) -> Iterator[str]:
    found = 0
    for folder, folders, names in os.walk(root, followlinks=False):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file():
                continue

            found += 1
            if found > MOST_FILES:
                return

            yield path.relative_to(root).as_posix()


def _text(root: Root, path: str) -> str | None:
    try:
        return root.read(path, limit=LARGEST).data.decode()
    except (ToolError, UnicodeDecodeError):
        return None
