"""Finding files: by a pattern of their names, by what stands in them, or as a tree.

A pattern comes from a model, so its matching has a deadline: some patterns take longer than the universe has.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

import regex

from journeyman.errors import ToolError
from journeyman.mcp_servers.files.text import decode, is_binary
from journeyman.mcp_servers.search.walk import Walk, unseen
from journeyman.sandbox.paths import MAX_READ, Root
from journeyman.sandbox.refusals import told

SECONDS = 10.0
SHOWN = 100
LONGEST = 240
BRANCHES = 300
_GLOB = re.compile(r"(\*\*/)|(\*\*)|(\*)|(\?)|(\[!?[^]/]+\])|(.)", re.DOTALL)
_WORDS = ("(?:.*/)?", ".*", "[^/]*", "[^/]")


T = TypeVar("T")


class Match(NamedTuple):
    path: str
    line: int
    text: str
    around: str
    """As it is shown, with the lines around it."""


class Page(NamedTuple, Generic[T]):
    text: str
    """What a model reads, with a word on how to go on."""
    items: list[T]
    next: int | None
    """What to skip for the rest, if there is one."""


class Finder:
    """Looks through a folder; hidden files, ignored ones and folders such as node_modules are passed over."""

    def __init__(self, root: Root, checkpoint: Callable[[], None]) -> None:
        self._root = root
        self._checkpoint = checkpoint

    def glob(self, pattern: str, path: str = ".", skip: int = 0, *, ignored: bool = False) -> Page[str]:
        """Paths that match `**/*.md`; a pattern without a slash is one for names, wherever they are."""
        walk = Walk(self._root, self._checkpoint, largest=None, everything=ignored)
        found = list(_timed(self._named(walk, pattern, path), pattern))
        shown = [told(each) for each in found[skip : skip + SHOWN]]
        return _page(shown, "\n".join(shown) or f"no file matches {told(pattern)}", len(found), skip, walk)

    def grep(
        self, pattern: str, path: str, glob: str, context: int, skip: int, *, ignore_case: bool, ignored: bool
    ) -> Page[Match]:
        """Lines that match, each as `path:line: text`."""
        try:
            wanted = regex.compile(pattern, regex.MULTILINE | (regex.IGNORECASE if ignore_case else 0))
        except regex.error as error:
            raise ToolError(f"{told(pattern)} is no regular expression: {error}") from None

        walk = self._walk(ignored=ignored)
        found: list[Match] = []
        count = 0
        for hits in _timed(self._matching(walk, wanted, path, glob, context), pattern):
            count += 1
            if skip < count <= skip + SHOWN:
                found.append(hits)

            if count > skip + SHOWN:
                break

        text = ("\n--\n" if context else "\n").join(each.around for each in found)
        return _page(found, text or f"nothing matches {told(pattern)}", count, skip, walk)

    def tree(self, path: str = ".", depth: int = 3, *, ignored: bool = False) -> str:
        """Folders and files below, indented; what is deeper is counted."""
        lines: list[str] = []
        walk = self._walk(ignored=ignored)
        below = self._root.relative(path)
        walk.approach("" if below == "." else below)
        more = self._grow("" if below == "." else below, depth, lines, walk)
        if not lines:
            return f"{told(path)} is empty"

        return "\n".join([*lines, f"[only the first {BRANCHES}; give a folder or less depth]"] if more else lines)

    def _walk(self, *, ignored: bool) -> Walk:
        return Walk(self._root, self._checkpoint, largest=MAX_READ, everything=ignored)

    def _files(self, walk: Walk, path: str) -> Iterator[str]:
        """The file itself, or those below the folder."""
        if self._root.stat(path).kind == "file":
            yield self._root.relative(path)
            return

        below = self._root.relative(path)
        for found, _ in walk.files("" if below == "." else below):
            yield found

    def _named(self, walk: Walk, pattern: str, path: str) -> Iterator[str]:
        fits = _fitting(pattern)
        return (found for found in self._files(walk, path) if fits(found))

    def _matching(self, walk: Walk, wanted: Any, path: str, glob: str, context: int) -> Iterator[Match]:
        ends = time.monotonic() + SECONDS
        for found in self._named(walk, glob or "**", path):
            self._checkpoint()
            data = self._data(found, walk)
            if not data:
                continue

            text = decode(data, found)
            if wanted.search(text.text, timeout=max(ends - time.monotonic(), 0.001), concurrent=True) is None:
                continue

            lines = text.lines
            for number, line in enumerate(lines):
                if wanted.search(line, timeout=max(ends - time.monotonic(), 0.001)):
                    shown = _shown(found, lines, number, context)
                    yield Match(told(found), number + 1, _short(line.strip()), shown)

    def _data(self, path: str, walk: Walk) -> bytes:
        try:
            data = self._root.read(path).data
        except ToolError:
            walk.complete = False
            return b""

        return b"" if is_binary(data) else data

    def _grow(self, path: str, depth: int, lines: list[str], walk: Walk, indent: str = "") -> bool:
        """Whether there was no room for all."""
        self._checkpoint()
        entries, more = self._root.list(path or ".")
        for entry in walk.wanted(path, entries, hidden=True):
            if len(lines) >= BRANCHES:
                return True

            below = f"{path}/{entry.name}" if path else entry.name
            lines.append(f"{indent}{told(entry.name)}{'/' if entry.kind == 'folder' else ''}")
            if entry.kind == "folder" and not entry.name.startswith("."):
                if depth > 1:
                    more = self._grow(below, depth - 1, lines, walk, f"{indent}  ") or more
                else:
                    lines[-1] += f" [{len(self._root.list(below)[0])}]"

        return more


def _fitting(pattern: str) -> Callable[[str], bool]:
    if not pattern or pattern.startswith("/") or ".." in pattern.split("/"):
        raise ToolError(f"{told(pattern)} is no pattern for files here; write for example **/*.md")

    whole = pattern if "/" in pattern or pattern == "**" else f"**/{pattern}"
    pieces = []
    for found in _GLOB.finditer(whole):
        which = (found.lastindex or 0) - 1
        pieces.append(_WORDS[which] if which < len(_WORDS) else _class(found[0]))

    try:
        wanted = regex.compile("".join(pieces), regex.DOTALL)
    except regex.error:
        raise ToolError(f"{told(pattern)} is no pattern for files") from None

    ends = time.monotonic() + SECONDS
    return lambda path: wanted.fullmatch(path, timeout=max(ends - time.monotonic(), 0.001)) is not None


def _class(text: str) -> str:
    if len(text) == 1:
        return re.escape(text)

    negated = "^" if text[1] == "!" else ""
    inner = text[2 if negated else 1 : -1].replace("\\", r"\\").replace("^", r"\^").replace("[", r"\[")
    return f"[{negated}{inner}]"


def _timed(found: Iterator[T], pattern: str) -> Iterator[T]:
    try:
        yield from found
    except TimeoutError:
        raise ToolError(f"{told(pattern)} takes longer than {SECONDS:g} seconds; ask for something simpler") from None


def _shown(path: str, lines: list[str], number: int, context: int) -> str:
    if not context:
        return f"{told(path)}:{number + 1}: {_short(lines[number].strip())}"

    around = range(max(number - context, 0), min(number + context + 1, len(lines)))
    return "\n".join(
        f"{told(path)}:{at + 1}{':' if at == number else '-'} {_short(lines[at].rstrip())}" for at in around
    )


def _short(line: str) -> str:
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."


def _page(items: list[T], text: str, count: int, skip: int, walk: Walk) -> Page[T]:
    notes, rest = [text], skip + len(items) if skip + len(items) < count else None
    if rest:
        notes.append(f"[there are more; go on with skip={rest}]")

    if note := unseen(walk.too_large, complete=walk.complete):
        notes.append(note)

    return Page("\n".join(notes), items, rest)
