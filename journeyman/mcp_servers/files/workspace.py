"""Text files in one folder: look, read, write, edit. All of it through `sandbox.paths`; every result is bounded."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from journeyman.errors import ToolError
from journeyman.mcp_servers.files.editing import replace
from journeyman.mcp_servers.files.journal import TRASH, Journal, trashed
from journeyman.mcp_servers.files.reading import excerpt, long_excerpt
from journeyman.mcp_servers.files.text import Text, decode, is_binary
from journeyman.sandbox.entry import Entry, Stamp
from journeyman.sandbox.paths import MAX_READ, Root
from journeyman.sandbox.refusals import told

LISTED = 200


@dataclass(frozen=True, slots=True)
class Facts:
    path: str
    kind: str
    """file, folder, binary, too large to count, folder too large to count, or other"""
    bytes: int | None = None
    lines: int | None = None
    words: int | None = None
    entries: int | None = None

    @property
    def text(self) -> str:
        """What the model reads: `notes.txt: 12 lines, 61 words, 340 bytes`."""
        known = (
            (self.lines, "line", "lines"),
            (self.words, "word", "words"),
            (self.bytes, "byte", "bytes"),
            (self.entries, "entry", "entries"),
        )
        counts = [f"{number} {one if number == 1 else many}" for number, one, many in known if number is not None]
        return f"{told(self.path)}: {', '.join([self.kind, *counts] if self.kind != 'file' else counts)}"


class Workspace:
    """The files of a folder. Safe to call from several threads; changes are made one at a time."""

    def __init__(self, root: Root, journal: Journal | None = None) -> None:
        self._root = root
        self._journal = journal
        self._changing = threading.Lock()

    def info(self, path: str) -> Facts:
        """What a path is and how much is in it."""
        entry = self._root.stat(path)
        if entry.kind == "folder":
            entries, more = self._root.list(path)
            return Facts(path, "folder too large to count") if more else Facts(path, "folder", entries=len(entries))

        if entry.kind != "file":
            return Facts(path, "other")

        if entry.size > MAX_READ:
            return Facts(path, "too large to count", bytes=entry.size)

        data = self._root.read(path).data
        if is_binary(data):
            return Facts(path, "binary", bytes=len(data))

        file = decode(data, told(path))
        return Facts(path, "file", bytes=len(data), lines=len(file.lines), words=len(file.text.split()))

    def read(self, path: str, start: int = 1, lines: int = 200) -> str:
        """Lines of a text file; what was left out is told in a last line."""
        try:
            found = self._text(path).lines
        except ToolError:
            if self._root.stat(path).size <= MAX_READ:
                raise

            return long_excerpt(told(path), self._root.blocks(path), start, lines)

        return excerpt(told(path), found, start, lines)

    def list(self, path: str = ".") -> tuple[str, Sequence[Entry], bool]:
        """The names in a folder, one a line, folders with a `/` behind; which entries these are; are there more?"""
        entries, more = self._root.list(path)
        shown = entries[:LISTED]
        names = [told(entry.name) + ("/" if entry.kind == "folder" else "") for entry in shown]
        if not names:
            return f"{told(path)} is empty" if path != "." else "the folder is empty", (), False

        if more or len(entries) > LISTED:
            names.append(f"[{LISTED} of {len(entries)}{'+' if more else ''} names]")

        return "\n".join(names), shown, more or len(entries) > LISTED

    def write(self, path: str, content: str) -> tuple[str, Facts]:
        """Make a file hold exactly `content`, in UTF-8; folders on the way are created."""
        file = Text(content, "utf-8")
        data = file.encode(content)
        with self._changing:
            kept = self._write("write", path, data, self._journal.now(path) if self._journal else None)

        facts = _size(path, file, data)
        return f"wrote {facts.text}{f'; what was there is kept as {told(kept)}' if kept else ''}", facts

    def edit(self, path: str, old: str, new: str) -> tuple[str, Facts]:
        """Replace the only occurrence of `old`; encoding, byte order mark and newlines stay as they are."""
        with self._changing:
            before = self._root.read(path)
            file = decode(before.data, told(path))
            text = replace(told(path), file, old, new)
            data = file.encode(text)
            self._write("edit", path, data, before.data, before.stamp)

        facts = _size(path, Text(text, file.encoding), data)
        return f"edited {facts.text}", facts

    def move(self, source: str, target: str) -> str:
        """Give a file or a folder another name; nothing is replaced."""
        with self._changing:
            self._root.move(source, target)
            if self._journal is not None:
                self._journal.moved("move", source, target)

        return f"moved {told(source)} to {told(target)}"

    def delete(self, path: str) -> str:
        """Move a file or a folder into the trash."""
        relative = self._root.relative(path)
        if relative.split("/")[0] == TRASH:
            raise ToolError(f"{told(path)} is in the trash already")

        where = trashed(relative)
        with self._changing:
            self._root.move(path, where)
            if self._journal is not None:
                self._journal.moved("delete", path, where)

        return f"deleted {told(path)}; it is kept as {told(where)}"

    def _write(self, what: str, path: str, data: bytes, before: bytes | None, was: Stamp | None = None) -> str:
        """Where that is kept which it replaced and which could not be read, if so."""
        aside = trashed(self._root.relative(path)) if self._journal is not None and before is None else ""
        kept = aside if self._root.write(path, data, aside=aside, was=was) else ""
        if self._journal is not None:
            self._journal.wrote(what, path, before, data, kept)

        return kept

    def _text(self, path: str) -> Text:
        return decode(self._root.read(path).data, told(path))


def _size(path: str, file: Text, data: bytes) -> Facts:
    return Facts(path, "file", bytes=len(data), lines=len(file.lines))
