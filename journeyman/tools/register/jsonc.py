"""Changing one member of a JSON text that people also edit: everything else stays byte for byte, comments too.

Read is JSON with `//` and `/* */` comments and commas before a closing bracket, as editors take it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

DEEPEST = 100
_SKIP = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_ATOM = re.compile(r"-?\d[\d.eE+-]*|true|false|null")
_INDENT = re.compile(r"\n([ \t]+)\S")
Path = Sequence[str]


@dataclass(slots=True)
class Member:
    start: int
    """Where its name begins."""
    node: "Node"
    comma: int | None = None
    """Where the comma behind it stands."""


@dataclass(slots=True)
class Node:
    start: int
    end: int
    value: Any
    members: dict[str, Member] | None = None
    """Of an object."""
    last: int = 0
    """Behind the last thing in an object, comments too."""


@dataclass(slots=True)
class _Reader:
    text: str
    depth: int = field(default=0)

    def whole(self) -> Node:
        node = self.value(self.skip(0))
        if self.skip(node.end) != len(self.text):
            raise self.wrong(node.end)

        return node

    def skip(self, at: int) -> int:
        found = _SKIP.match(self.text, at)
        return found.end() if found else at

    def wrong(self, at: int) -> ValueError:
        return ValueError(f"line {self.text.count(chr(10), 0, at) + 1}: {self.text[at : at + 20]!r} is not expected")

    def value(self, at: int) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise ValueError("nested too deeply")

        try:
            match self.text[at : at + 1]:
                case "{":
                    return self.object(at)
                case "[":
                    return self.array(at)
                case '"':
                    return self.atom(at, _STRING)
                case _:
                    return self.atom(at, _ATOM)
        finally:
            self.depth -= 1

    def atom(self, at: int, shape: re.Pattern[str]) -> Node:
        found = shape.match(self.text, at)
        if found is None:
            raise self.wrong(at)

        return Node(at, found.end(), json.loads(found[0]))

    def array(self, start: int) -> Node:
        values = []
        at = self.skip(start + 1)
        while self.text[at : at + 1] != "]":
            node = self.value(at)
            values.append(node.value)
            at = self.next(node.end, "]")[0]

        return Node(start, at + 1, values)

    def object(self, start: int) -> Node:
        members: dict[str, Member] = {}
        at = self.skip(start + 1)
        while self.text[at : at + 1] != "}":
            name = self.atom(at, _STRING)
            colon = self.skip(name.end)
            if self.text[colon : colon + 1] != ":":
                raise self.wrong(colon)

            if name.value in members:
                raise ValueError(f"{name.value!r} is there twice")

            member = members[name.value] = Member(at, self.value(self.skip(colon + 1)))
            at, member.comma = self.next(member.node.end, "}")

        last = len(self.text[:at].rstrip())
        return Node(start, at + 1, {name: each.node.value for name, each in members.items()}, members, last)

    def next(self, end: int, closing: str) -> tuple[int, int | None]:
        """Where the next one begins, or the end is; and the comma before it."""
        at = self.skip(end)
        if self.text[at : at + 1] == ",":
            return self.skip(at + 1), at

        if self.text[at : at + 1] != closing:
            raise self.wrong(at)

        return at, None


def parse(text: str) -> Any:
    """Raises ValueError, with the line."""
    return _Reader(text).whole().value if text.strip() else {}


def put(text: str, path: Path, value: Any) -> str:
    """The text with the member at `path` set; objects on the way are made.

    Raises:
        ValueError: it is no such text, or something on the way is no object.
    """
    if not text.strip():
        text = "{}\n"

    node, deep = _Reader(text).whole(), 0
    while deep < len(path):
        members = _members(node, path[:deep])
        if path[deep] not in members:
            break

        node, deep = members[path[deep]].node, deep + 1

    unit = found[1] if (found := _INDENT.search(text)) else "  "
    if deep == len(path):
        return text[: node.start] + _written(text, value, unit, len(path)) + text[node.end :]

    for name in reversed(path[deep + 1 :]):
        value = {name: value}

    return _with_member(text, node, path[deep], _written(text, value, unit, deep + 1), unit, deep)


def drop(text: str, path: Path) -> str:
    """The text without the member at `path`; as it was where there is none. Raises ValueError as `put` does."""
    if not text.strip():
        return text

    node = _Reader(text).whole()
    for deep, name in enumerate(path):
        members = _members(node, path[:deep])
        if name not in members:
            return text

        if deep < len(path) - 1:
            node = members[name].node
            continue

        member, others = members[name], [each for each in members.values() if each is not members[name]]
        begin = len(text[: member.start].rstrip(" \t"))
        begin = len(text[:begin].removesuffix("\n").removesuffix("\r"))
        end = member.node.end if member.comma is None else member.comma + 1
        before = max((each.comma for each in others if each.comma is not None and each.comma < begin), default=None)
        if member.comma is None and before is not None:  # the one before it is the last now
            return text[:before] + text[before + 1 : begin] + text[end:]

        return text[:begin] + text[end:]

    return text


def _members(node: Node, path: Path) -> dict[str, Member]:
    if node.members is None:
        raise ValueError(f"{'.'.join(path) or 'it'} is no object")

    return node.members


def _with_member(text: str, node: Node, name: str, value: str, unit: str, deep: int) -> str:  # noqa: PLR0917 - all of them places
    newline = "\r\n" if "\r\n" in text else "\n"
    members = list((node.members or {}).values())
    outer = unit * deep
    closing = text[node.last : node.end - 1]
    text_after = (closing if "\n" in closing else f"{newline}{outer}") + text[node.end - 1 :]
    added = f"{newline}{outer}{unit}{json.dumps(name, ensure_ascii=False)}: {value}"
    if not members or members[-1].comma is not None:  # a comma behind the last one stays a comma behind the last one
        return text[: node.last] + added + "," * len(members[:1]) + text_after

    end = members[-1].node.end
    return f"{text[:end]},{text[end : node.last]}{added}{text_after}"


def _written(text: str, value: Any, unit: str, deep: int) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = json.dumps(value, indent=unit, ensure_ascii=False).split("\n")
    return f"{newline}{unit * deep}".join(lines)
