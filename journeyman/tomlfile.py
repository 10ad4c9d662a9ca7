"""TOML files that people write, read into strict models; what is wrong is told with its file, line and a near match."""

import errno
import io
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from journeyman.errors import ConfigError
from journeyman.safe import safe

M = TypeVar("M", bound=BaseModel)
Loc = Sequence[str | int]

MOST = 1024 * 1024
"""Bytes of a file that a person wrote."""
FAILURES = {
    errno.ENOENT: ("does not exist", "check the path"),
    errno.EISDIR: ("is a folder, not a file", "name the file in it"),
    errno.ELOOP: ("is a link", "put the file itself there"),
}


def read_once(path: Path, error: type[ConfigError] = ConfigError, *, link: bool = False) -> bytes:
    """The bytes of a regular file, opened once: what is judged and what is used is then the same.

    Args:
        path: where it is.
        error: what is raised.
        link: whether it may be a link; a project's own file may not.

    Raises:
        ConfigError: (or the subclass given) it is missing, a link, a device, a pipe, too large or unreadable.
    """
    flags = os.O_NONBLOCK | os.O_NOCTTY | (0 if link else os.O_NOFOLLOW)
    try:
        with io.FileIO(str(path), opener=lambda name, mode: os.open(name, mode | flags)) as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            data = file.read(MOST + 1) if regular else b""
    except OSError as problem:
        what, fix = FAILURES.get(problem.errno or 0, ("", ""))
        told = f"{path} {what}" if what else f"cannot read {path}: {problem.strerror or problem}"
        raise error(told, fix=fix or "check the path and its permissions") from None

    if not regular:
        raise error(f"{path} is not a regular file", fix="put the file itself there")

    if len(data) > MOST:
        raise error(f"{path} has more than {MOST:,} bytes", fix="keep it shorter; nobody could read it")

    return data


def as_text(data: bytes, path: Path, error: type[ConfigError] = ConfigError) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise error(f"{path} is not UTF-8 text", fix="save it as that") from None


def parse(model: type[M], text: str, origin: str, error: type[ConfigError] = ConfigError) -> M:
    """`origin` is what the text is called in messages."""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise error(f"{origin} is not valid TOML: {safe(str(problem))}", fix="mend that line") from None

    try:
        return model.model_validate(data)
    except ValidationError as problem:
        loc, message, fix = explained(model, problem)
        line = line_of(text, loc)
        raise error(f"{origin}:{line}: {message}" if line else f"{origin}: {message}", fix=fix) from None


def line_of(text: str, loc: Loc) -> int | None:
    """The line, from 1, where the key at this place is written; the nearest that can be found, None without any."""
    lines = text.splitlines()
    first, last, found = 0, len(lines), None
    for index, part in enumerate(loc):
        if isinstance(part, int):
            headers = [n for n, line in enumerate(lines) if _is_header(line, str(loc[index - 1]))] if index == 1 else []
            if part < len(headers):
                first, found = headers[part], headers[part]
                last = headers[part + 1] if part + 1 < len(headers) else len(lines)
        else:
            found = next((n for n in range(first, last) if _names(lines[n], part)), found)

    return None if found is None else found + 1


def _is_header(line: str, name: str) -> bool:
    return re.match(rf"\s*\[\[\s*{re.escape(name)}\s*\]\]", line) is not None


def _names(line: str, key: str) -> bool:
    key = re.escape(key)
    return re.search(rf"""(^|[\s.\[{{,"']){key}["']?\s*(=|\.|\])""", line.split("#", 1)[0]) is not None


def explained(model: type[BaseModel], problem: ValidationError) -> tuple[Loc, str, str]:
    """Where the first problem is, what it is and what to do about it; a misspelt key before what it leaves missing."""
    errors = problem.errors(include_url=False)
    first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    loc = tuple(first["loc"])
    if first["type"] == "extra_forbidden":
        known = sorted(_known(model, loc[:-1]))
        near = get_close_matches(str(loc[-1]), known, n=1, cutoff=0.7)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return loc, f"unknown key '{safe(str(loc[-1]))}'", hint

    name = safe(".".join(part for part in loc if isinstance(part, str)))
    message = safe(first["msg"].removeprefix("Value error, "))
    return loc, f"{name}: {message}" if name else message, "mend that value"


def _known(model: type[BaseModel], loc: Loc) -> list[str]:
    """Names of the fields at this place in nested models."""
    for part in loc:
        field = next((f for n, f in model.model_fields.items() if part in {n, f.alias}), None)
        if field is not None:
            model = next(_models(field.annotation), model)

    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation

    for inner in get_args(annotation):
        yield from _models(inner)
