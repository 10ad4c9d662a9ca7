"""Unified diffs, applied to files in memory: exactly or not at all."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from journeyman.errors import ConfigError

HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")


class Hunk(NamedTuple):
    start: int
    """Lines before it."""
    body: list[str]
    """Lines that stay, go and come, marked by a space, a minus or a plus."""


def apply(files: Mapping[str, str], diff: str) -> dict[str, str | None]:
    """The files that a diff changes, as they are afterwards; None for those it removes.

    Raises:
        ConfigError: it does not fit.
    """
    changed: dict[str, str | None] = {}
    for old, new, hunks in _files(diff.splitlines(keepends=True)):
        before = "" if old is None else files.get(old)
        if before is None:
            raise ConfigError(f"the patch changes {old}, which is not there", fix="take the snapshot it was made for")

        if old is not None and old != new:
            changed[old] = None

        if new is not None:
            changed[new] = _patched(before, hunks, new)

    return changed


def _files(lines: list[str]) -> Iterator[tuple[str | None, str | None, list[Hunk]]]:
    """Path before, path after, and what is changed."""
    at = 0
    while at + 1 < len(lines):
        if not (lines[at].startswith("--- ") and lines[at + 1].startswith("+++ ")):
            at += 1
            continue

        old, new, hunks = _path(lines[at]), _path(lines[at + 1]), []
        at += 2
        while at < len(lines) and (match := HUNK.match(lines[at])):
            end = _end(lines, at + 1, int(match[2] or 1), int(match[3] or 1))
            hunks.append(Hunk(int(match[1]) - (match[2] != "0"), _without_newline(lines[at + 1 : end])))
            at = end

        yield old, new, hunks


def _end(lines: list[str], at: int, old: int, new: int) -> int:
    """Where a hunk of so many lines before and after ends: what is removed may look like the head of a file."""
    while at < len(lines) and (old > 0 or new > 0 or lines[at].startswith("\\")):
        old -= lines[at][:1] in {" ", "-", "\n"}
        new -= lines[at][:1] in {" ", "+", "\n"}
        at += 1

    return at


def _path(line: str) -> str | None:
    """Of `--- a/src/x.py`, src/x.py."""
    path = line[4:].partition("\t")[0].strip()
    return None if path == "/dev/null" else path.removeprefix("a/").removeprefix("b/")


def _patched(text: str, hunks: list[Hunk], path: str) -> str:
    before, after, at = text.splitlines(keepends=True), [], 0
    for start, body in hunks:
        old = [line[1:] for line in body if line[:1] in {" ", "-"}]
        if start < at or before[start : start + len(old)] != old:
            raise ConfigError(f"the patch does not fit {path}, line {start + 1}", fix="take the snapshot it is for")

        after += before[at:start] + [line[1:] for line in body if line[:1] in {" ", "+"}]
        at = start + len(old)

    return "".join([*after, *before[at:]])


def _without_newline(body: list[str]) -> list[str]:
    r"""`\ No newline at end of file` takes the newline from the line before it."""
    lines: list[str] = []
    for line in body:
        if line.startswith("\\"):
            lines[-1] = lines[-1].removesuffix("\n")
        else:
            lines.append(" \n" if line == "\n" else line)

    return lines
