"""What was probably meant by a path that does not exist: the nearest names, or else what there is."""

from typing import TYPE_CHECKING

from journeyman.errors import ToolError
from journeyman.sandbox.entry import Entry

if TYPE_CHECKING:
    from journeyman.sandbox.paths import Root

SHOWN = 10
VISITED = 2_000
"""Entries looked at when a name is searched in the folders below; a mistake must stay cheap."""


def hint(root: "Root", path: str) -> str:
    """`; did you mean notes.txt?`, `; here are: a.txt, docs/`, or nothing."""
    try:
        parent, _, name = root.relative(path).rpartition("/")
        names = _names(root, parent or ".")
    except ToolError:
        parent, name, names = "", path.rpartition("/")[2], _names(root, ".")

    prefix = f"{parent}/" if parent else ""
    from difflib import get_close_matches  # noqa: PLC0415 - seldom needed, and copied with each sandbox

    close = get_close_matches(name, [found.removesuffix("/") for found in names], n=3, cutoff=0.6)
    if meant := [f"{prefix}{found}" for found in close] or _below(root, name):
        return f"; did you mean {' or '.join(meant)}?"

    if not names:
        return f"; {parent or 'the folder'} is empty"

    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"; {'in ' + parent if parent else 'here'} are: {', '.join(names[:SHOWN])}{more}"


def _names(root: "Root", folder: str) -> list[str]:
    entries, _ = root.list(folder, hints=False)
    return [_shown(entry) for entry in entries if not entry.name.startswith(".") and entry.name.isprintable()]


def _shown(entry: Entry) -> str:
    return entry.name + ("/" if entry.kind == "folder" else "")


def _below(root: "Root", name: str) -> list[str]:
    """Paths of files of exactly this name further down, nearest first."""
    found: list[str] = []
    folders = [""]
    visited = 0
    while folders and visited < VISITED and len(found) < SHOWN:
        folder = folders.pop(0)
        try:
            entries, _ = root.list(folder or ".", limit=VISITED, hints=False)
        except ToolError:
            continue

        visited += len(entries)
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.kind == "folder" and not entry.name.startswith("."):
                folders.append(path)
            elif entry.kind == "file" and entry.name == name:
                found.append(path)

    return found[:3]
