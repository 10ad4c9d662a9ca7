"""TOML files that people write, read into strict models; what is wrong is told with its file, line and a near match."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from journeyman.errors import ConfigError

M = TypeVar("M", bound=BaseModel)
Loc = Sequence[str | int]


def read(model: type[M], path: Path, error: type[ConfigError] = ConfigError) -> M:
    """The file as a value of the model.

    Raises:
        ConfigError: (or the subclass given) it cannot be read, is not TOML, or has keys or types that do not belong.
    """
    return parse(model, read_text(path, error), str(path), error)


def read_text(path: Path, error: type[ConfigError] = ConfigError) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise error(f"{path} does not exist", fix="check the path") from None
    except IsADirectoryError:
        raise error(f"{path} is a folder, not a file", fix="name the file in it") from None
    except UnicodeDecodeError:
        raise error(f"{path} is not UTF-8 text", fix="TOML files are UTF-8; save it as that") from None
    except OSError as problem:
        raise error(
            f"cannot read {path}: {problem.strerror or problem}", fix="check the path and its permissions"
        ) from problem


def parse(model: type[M], text: str, origin: str, error: type[ConfigError] = ConfigError) -> M:
    """`origin` is what the text is called in messages."""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise error(f"{origin} is not valid TOML: {problem}", fix="mend that line") from None

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
        return loc, f"unknown key {str(loc[-1])!r}", hint

    name = ".".join(str(part) for part in loc if isinstance(part, str))
    message = first["msg"].removeprefix("Value error, ")
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
