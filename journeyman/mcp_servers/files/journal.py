"""What was changed in a folder since the server began, so that it can be seen and taken back.

Kept in memory: undo is for this session. What was deleted outlives it, in `.trash`.
"""

import difflib
import threading
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_hex

from journeyman.errors import ToolError
from journeyman.mcp_servers.files.text import decode, is_binary
from journeyman.sandbox.paths import Root
from journeyman.sandbox.refusals import told

KEPT = 64 * 1024 * 1024
"""Bytes of earlier contents; the oldest are forgotten first."""
SHOWN = 16_000
TRASH = ".trash"


@dataclass(frozen=True, slots=True)
class Change:
    what: str
    path: str
    before: bytes | None = None
    """None where there was no file."""
    after: str = ""
    """Hash of what the change left there."""
    moved: str = ""
    """Where it went, of something that was moved."""
    kept: str = ""
    """Where the file is that a write replaced, if it could not be read to be remembered."""


class Journal:
    """Safe to call from several threads."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._changes: list[Change] = []
        self._held = 0
        """Bytes of earlier contents."""
        self._first: dict[str, bytes | None] = {}
        """What each changed file was when the server began."""

    def now(self, path: str) -> bytes | None:
        """What a change is about to replace; None where that cannot be read, or is not there."""
        try:
            return self._root.read(path).data
        except ToolError:
            return None

    def wrote(self, what: str, path: str, before: bytes | None, after: bytes, kept: str = "") -> None:
        path = self._root.relative(path)
        self._keep(Change(what, path, before, sha256(after).hexdigest(), kept=kept))
        self._first.setdefault(path, before)

    def moved(self, what: str, path: str, to: str) -> None:
        self._keep(Change(what, self._root.relative(path), moved=self._root.relative(to)))

    def undo(self) -> str:
        """Take the last change back. Raises ToolError where there is none, or something else has changed since."""
        with self._lock:
            if not self._changes:
                raise ToolError("there is nothing to undo: nothing was changed in this session")

            change = self._changes[-1]
            if change.moved:
                self._root.move(change.moved, change.path)
            else:
                self._restore(change)

            self._held -= len(self._changes.pop().before or b"")

        return f"undone: {change.what} {told(change.path)}"

    def diff(self, path: str = "") -> str:
        """What was changed in the files since the server began, as a unified diff."""
        wanted = self._root.relative(path) if path.strip() else ""
        pieces = [_compared(each, first, self.now(each)) for each, first in self._first.items() if wanted in {"", each}]
        moves = [f"{each.what} {told(each.path)} -> {told(each.moved)}" for each in self._changes if each.moved]
        moves += [f"{told(each.path)} as it was: {told(each.kept)}" for each in self._changes if each.kept]
        text = "".join(pieces) + "\n".join(moves)
        if len(text) > SHOWN:
            text = f"{text[:SHOWN]}\n[{len(text) - SHOWN} more characters; give a path]"

        return text or "nothing was changed in this session"

    def _keep(self, change: Change) -> None:
        with self._lock:
            self._changes.append(change)
            self._held += len(change.before or b"")
            while self._held > KEPT:
                self._held -= len(self._changes.pop(0).before or b"")

    def _restore(self, change: Change) -> None:
        present = self.now(change.path)
        if present is None or sha256(present).hexdigest() != change.after:
            raise ToolError(f"{told(change.path)} was changed again by something else; nothing was undone")

        if change.kept:
            self._root.stat(change.kept)  # before anything is moved

        if change.before is None:
            self._root.move(change.path, trashed(change.path))
            if change.kept:
                self._root.move(change.kept, change.path)
        else:
            self._root.write(change.path, change.before)


def trashed(path: str) -> str:
    """Where it goes when it is deleted."""
    return f"{TRASH}/{token_hex(4)}/{path.rpartition('/')[2]}"


def _compared(path: str, before: bytes | None, after: bytes | None) -> str:
    if before == after:
        return ""

    if any(side is not None and is_binary(side) for side in (before, after)):
        return f"{told(path)}: a binary file that is not as it was\n"

    old, new = ([*decode(side, path).text.splitlines(keepends=True)] if side else [] for side in (before, after))
    return "".join(
        line if line.endswith("\n") else f"{line}\n"
        for line in difflib.unified_diff(old, new, f"a/{path}" if before is not None else "nothing", f"b/{path}")
    )
