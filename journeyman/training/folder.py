"""The folder a run works in: laid out before it, read after it, never by following what the run left in the way."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from journeyman.errors import ConfigError, ToolError
from journeyman.sandbox.paths import Root

MOST_FILES = 2000
LARGEST = 1 << 20
"""Bytes of a file that is read."""


def lay_out(files: Mapping[str, str], root: Path) -> None:
    """Put files, path -> text, into an empty folder.

    Raises:
        ConfigError: a path leads out of it.
    """
    for path, text in files.items():
        target = inside(root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="")


def inside(root: Path, path: str) -> Path:
    """Where a task's file is.

    Raises:
        ConfigError: the path leads out of the folder; tasks come from strangers too.
    """
    if Path(path).is_absolute() or ".." in Path(path).parts or not Path(path).parts:
        raise ConfigError(f"a task has a file {path!r}", fix="name files below the task's own folder")

    return root / path


def texts(root: Path) -> dict[str, str]:
    """Path -> text of the files below a folder that are text, without what git keeps."""
    found = collect(root) if root.is_dir() else {}
    return {path: text for path, text in found.items() if text is not None and not path.startswith(".git/")}


def collect(root: Path) -> dict[str, str | None]:
    """Path -> text of the regular files below a folder; None for what is no text, too long or cannot be read."""
    below = Root(root)
    return {path: _text(below, path) for path in _paths(root)}


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
