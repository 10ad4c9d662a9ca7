"""Matchers: typed conditions on one argument of a call.

Each answers True, False or None: "cannot tell". A path with a NUL, a URL that two parsers read differently, a text
where a number was expected: all None, a match for a rule that asks or denies and none for a rule that allows.
An absent argument satisfies no matcher. A list matches where every item does, and "cannot tell" where only some do.
"""

import math
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from journeyman.policies.labels import Origin
from journeyman.policies.shell import every_is
from journeyman.traces.messages import Value

Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
Names = StrictStr | tuple[StrictStr, ...]
Answer = bool | None

HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
CASE_BLIND = sys.platform in {"darwin", "win32"}
"""File names that differ in case only are the same file."""


class Matcher(Value):
    """All of what is given must hold: `where.path = { under = "src" }`."""

    model_config = ConfigDict(populate_by_name=True, allow_inf_nan=False)

    eq: Scalar | None = None
    one_of: tuple[Scalar, ...] | None = Field(None, alias="in")
    under: Names | None = None
    """Folders; relative ones stand in the folder the tools work in. The path is that folder or beneath it."""
    hidden: StrictBool | None = None
    """Whether a part of the path, in the folder the tools work in, begins with a dot."""
    host: Names | None = None
    """Hosts of a URL: `example.com`, or `*.example.com` for what is below it."""
    max: StrictInt | StrictFloat | None = None
    min: StrictInt | StrictFloat | None = None
    shell: Names | None = None
    """Commands of which a script may be made; `shell.py` says what of a script is understood."""
    origin: tuple[Origin, ...] | None = Field(None, alias="from")
    """Where its values may come from: user, service, unknown, outsider."""

    @model_validator(mode="after")
    def _says_something(self) -> "Matcher":
        if not self.model_fields_set or any(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("a matcher needs one of eq, in, under, hidden, host, max, min, shell, from, with a value")

        return self

    def holds(
        self, value: Any, root: Path | None, origins: Collection[Origin] = (), stands_for: Path | None = None
    ) -> Answer:
        """Does the argument's value satisfy it?

        Args:
            value: what was given.
            root: the folder the tools work in, where there is one.
            origins: where the parts of the value came from; empty where nobody knows.
            stands_for: the folder that `root` is a copy of.
        """
        if self.origin is None:
            return self._holds(value, root, stands_for)

        traced = every(each in self.origin for each in origins) if origins else None
        others = len(self.model_fields_set) > 1
        return all_of((traced, self._holds(value, root, stands_for))) if others else traced

    def _holds(self, value: Any, root: Path | None, stands_for: Path | None) -> Answer:
        if isinstance(value, list | tuple):
            return every(self._holds(item, root, stands_for) for item in value) if value else False

        return all_of(self._answers(value, root, stands_for))

    def _answers(self, value: Any, root: Path | None, stands_for: Path | None) -> Iterable[Answer]:
        if self.eq is not None:
            yield _same(value, self.eq)

        if self.one_of is not None:
            yield any(_same(value, option) for option in self.one_of)

        if self.under is not None:
            yield any_of(_under(value, folder, root, stands_for) for folder in _many(self.under))

        if self.hidden is not None:
            hidden = _hidden(value, root)
            yield None if hidden is None else hidden is self.hidden

        if self.host is not None:
            yield any_of(_host(value, pattern) for pattern in _many(self.host))

        if self.shell is not None:
            yield every_is(value, _many(self.shell))

        if self.max is not None:
            yield value <= self.max if _is_number(value) else None

        if self.min is not None:
            yield value >= self.min if _is_number(value) else None


def all_of(answers: Iterable[Answer]) -> Answer:
    """False if any is False, else None if any is None."""
    told = list(answers)
    return False if False in told else None if None in told else True


def any_of(answers: Iterable[Answer]) -> Answer:
    """True if any is True, else None if any is None."""
    told = list(answers)
    return True if True in told else None if None in told else False


def every(answers: Iterable[Answer]) -> Answer:
    """True or False where all agree, else None."""
    told = set(answers)
    return told.pop() if len(told) == 1 else None


def _many(names: Names) -> Sequence[str]:
    return (names,) if isinstance(names, str) else names


def _same(value: Any, expected: Scalar) -> bool:
    """Equal as JSON: 1 is 1.0 and is not true."""
    return isinstance(value, bool) == isinstance(expected, bool) and value == expected


def _is_number(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _under(value: Any, folder: str, root: Path | None, stands_for: Path | None) -> Answer:
    if not _is_path(value):
        return None

    folder = os.path.expanduser(folder)  # noqa: PTH111 - pathlib has no `normpath`
    if root is None and os.path.isabs(value) != os.path.isabs(folder):  # noqa: PTH117
        return None

    base = str(root or "/.journeyman")
    path = os.path.join(base, value)  # noqa: PTH118

    def inside(tidy: Callable[[str], str]) -> Answer:
        return any_of(_inside(tidy(path), top) for top in _tops(folder, base, stands_for, tidy))

    written = inside(os.path.normpath)
    if root is None or written is None:
        return written

    real = inside(os.path.realpath)  # a link is followed before the `..` behind it
    return written if written == real else None


def _tops(folder: str, base: str, stands_for: Path | None, tidy: Callable[[str], str]) -> Iterator[str]:
    """Where a rule's folder lies; where `base` is a copy, that is in the copy and in what was copied."""
    yield tidy(os.path.join(base, folder))  # noqa: PTH118
    if stands_for is None:
        return

    original, meant = tidy(str(stands_for)), tidy(os.path.join(stands_for, folder))  # noqa: PTH118
    yield meant
    if _inside(original, meant) is not False:
        yield tidy(base)
    elif _inside(meant, original) is not False:
        yield tidy(base) + meant[len(original) :]


def _hidden(value: Any, root: Path | None) -> Answer:
    if not _is_path(value):
        return None

    base = str(root or "/.journeyman")
    path = os.path.join(base, value)  # noqa: PTH118
    written = _has_dot(os.path.relpath(path, base))
    real = _has_dot(os.path.relpath(os.path.realpath(path), os.path.realpath(base))) if root else written
    return written if written == real else None


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value and not value.startswith("~")


def _has_dot(path: str) -> bool:
    return any(part.startswith(".") and part not in {".", ".."} for part in Path(path).parts)


def _inside(path: str, top: str) -> Answer:
    exact = _beneath(path, top)
    return exact if not CASE_BLIND or exact == _beneath(path.casefold(), top.casefold()) else None


def _beneath(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip(os.sep) + os.sep)


def _host(value: Any, pattern: str) -> Answer:
    name = host_of(value)
    if name is None:
        return None

    pattern = pattern.lower().rstrip(".")
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern


def host_of(value: Any) -> str | None:
    """The host of an http URL, or of a bare `host[:port]`; None where parsers could differ about it."""
    if not isinstance(value, str) or not value.isascii() or re.search(r"[\x00-\x20\x7f\\]", value):
        return None

    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        _ = parts.port  # raises where it is none
    except ValueError:
        return None

    name = (parts.hostname or "").rstrip(".")
    plain = parts.scheme in {"http", "https"} and "@" not in parts.netloc and HOST.fullmatch(name)
    return name if plain else None
