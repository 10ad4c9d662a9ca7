"""The user's own MCP servers, in the `.mcp.json` form that other clients read too.

    {"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]},
                    "wiki": {"url": "https://wiki.example/mcp", "headers": {"Authorization": "Bearer ${WIKI_TOKEN}"}}}}

A command runs in the sandbox (`confined.py`): "sandbox": {"read": [PATH], "write": [PATH], "hosts": ["example.org"]}
lets it do more there, "sandbox": "off" lets it run outside.

Two files: the user's (`mcp.json` in the config folder) and the project's (`.mcp.json` in the working folder). A project
can be a clone of somebody else's and starting its servers is running its programs, so its file counts only once the
user has trusted exactly this content (`journeyman.home.trust`); until then it is a notice. `${NAME}` and
`${NAME:-default}` stand for environment variables. Keys that are not known here, and the order of all, are kept.
"""

import json
import os
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from journeyman.errors import ConfigError
from journeyman.home import alone, config_dir, is_trusted, replace_text, trust
from journeyman.safe import safe
from journeyman.sandbox.egress import Egress
from journeyman.tomlfile import as_text, read_once
from journeyman.tools.pins import Pins
from journeyman.tools.target import Command, Confined, Target, Url, check_name

SERVERS = "mcpServers"
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class Sandbox(BaseModel):
    """See `Confined`; paths are relative to the file's folder, and `~` is the user's home."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    read: list[str] = []
    write: list[str] = []
    hosts: list[str] = []


class Entry(BaseModel):
    """One server. Keys of other clients are let pass."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    command: str | None = Field(None, min_length=1)
    args: list[str] = []
    env: dict[str, str] = {}
    cwd: str | None = None
    url: str | None = Field(None, pattern=r"^https?://")
    headers: dict[str, str] = {}
    disabled: bool = False
    sandbox: Literal["off"] | Sandbox = Sandbox()
    """Of a command."""

    @model_validator(mode="after")
    def _one_way(self) -> "Entry":
        if (self.command is None) == (self.url is None):
            raise ValueError("a server has either a command or a url")

        return self

    def __str__(self) -> str:
        """What it reaches, for a person."""
        where = " ".join(f"{key}={','.join(value)}" for key, value in self._more.items())
        return safe(" ".join(filter(None, [self.url or self.command, *self.args, f"[{where}]" if where else ""])))

    @property
    def _more(self) -> dict[str, list[str]]:
        """What it may do beyond what the sandbox lets any program do."""
        if self.sandbox == "off":
            return {"sandbox": ["off"]}

        return {key: value for key, value in self.sandbox.model_dump().items() if value}


class Found(NamedTuple):
    targets: tuple[Target, ...]
    notices: tuple[str, ...]
    """What was left out and why; worth a line each on stderr."""


def user_file() -> Path:
    return config_dir() / "mcp.json"


def project_file(root: Path) -> Path:
    return root / ".mcp.json"


def servers(root: Path) -> Found:
    """The servers that may be started for a run in this folder; a user's server wins over a project's namesake.

    Raises:
        ConfigError: a file that counts is not right; with the server and the key.
    """
    users, path = _targets(load(user_file()), user_file()), project_file(root)
    try:
        data = read(path)
    except ConfigError as error:
        return Found(users, (f"the project's servers are not started: {error}",))

    if not is_trusted(path, data):
        return Found(users, _untrusted(data, path))

    taken = {each.name for each in users}
    found = _targets(entries(data, path), path)
    hidden = [each.name for each in found if each.name in taken]
    notices = tuple(f"{path}: {name} is left out: the user's own server has that name" for name in hidden)
    return Found((*users, *(each for each in found if each.name not in taken)), notices)


def targets(path: Path) -> tuple[Target, ...]:
    """The servers of a file that the caller names and so trusts.

    Raises:
        ConfigError: there is no such file, or it is not right; with the server and the key.
    """
    return _targets(entries(read_once(path, link=True), path), path)


def standing(name: str, entry: Entry, path: Path, pins: Pins) -> str:
    """How it stands with a server, by what is known without starting it: used before or not yet, or what is in the way.

    `incomplete`: a variable is not set. `no program`: its command is not there. `quarantined`: its tools were not what
    they were when it was last used. `silent`: it did not answer then.
    """
    try:
        target = target_of(name, entry, path)
        known = pins.remembered(target)
    except ConfigError:
        return "incomplete"

    if isinstance(target, Command) and target.program is None:
        return "no program"

    if known.get("changed") or known.get("silent"):
        return "quarantined" if known.get("changed") else "silent"

    return "used before" if "tools" in known else "not used yet"


def _targets(known: Mapping[str, Entry], path: Path) -> tuple[Target, ...]:
    return tuple(target_of(name, entry, path) for name, entry in known.items() if not entry.disabled)


def _untrusted(data: bytes, path: Path) -> tuple[str, ...]:
    """What would be started, for a person to judge by."""
    try:
        known = [f"{safe(name)} ({entry})" for name, entry in entries(data, path).items() if not entry.disabled]
    except ConfigError as error:
        return (f"{path} is not trusted and not read: {error}",)

    return (f"{path} is not trusted, so its servers are not started: {'; '.join(known)}",) if known else ()


def load(path: Path) -> dict[str, Entry]:
    """The file's servers, in its order; none where there is no file.

    Raises:
        ConfigError: it cannot be read, or is not right; with the server and the key.
    """
    return entries(read(path), path)


def read(path: Path) -> bytes:
    """The file as it is now; nothing where there is none. The user's own may be a link.

    Raises:
        ConfigError: it cannot be read.
    """
    return read_once(path, link=path == user_file()) if os.path.lexists(path) else b""


def entries(data: bytes, path: Path) -> dict[str, Entry]:
    """The servers that these bytes of the file name.

    Raises:
        ConfigError: it is not right; with the server and the key.
    """
    return {name: _entry(name, raw, path) for name, raw in _section(_document(data, path), path).items()}


def add(path: Path, name: str, entry: Entry) -> bool:
    """Write a server into the file, which is made if need be. Whether it counts: trust goes on, where there was any.

    Raises:
        ConfigError: the name will not do or is taken, or the file cannot be read or written.
    """
    check_name(name)
    with _changing(path) as section:
        if name in section:
            fix = f"remove it first: journeyman mcp remove {name}"
            raise ConfigError(f"{path} has a server {name!r} already", fix=fix)

        section[name] = entry.model_dump(exclude_unset=True)

    return path == user_file() or is_trusted(path, read(path))


def remove(path: Path, name: str) -> None:
    """Take a server out of the file.

    Raises:
        ConfigError: it is not there, or the file cannot be read or written.
    """
    if not path.exists():  # nor is its folder made
        raise ConfigError(f"{path} has no server {name!r}", fix="it has none; journeyman mcp list")

    with _changing(path) as section:
        if name not in section:
            known = f"it has {safe(', '.join(section))}" if section else "it has none"
            raise ConfigError(f"{path} has no server {name!r}", fix=f"{known}; journeyman mcp list")

        del section[name]


def _document(data: bytes, path: Path) -> dict[str, Any]:
    try:
        document = json.loads(as_text(data, path) or "{}", object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid JSON: {error}", fix="mend that place") from None

    if not isinstance(document, dict):
        raise ConfigError(f"{path} is not a JSON object", fix=f'begin with {{"{SERVERS}": {{}}}}')

    return document


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")

    return values


def _section(document: dict[str, Any], path: Path) -> dict[str, Any]:
    section = document.get(SERVERS, {})
    if not isinstance(section, dict):
        raise ConfigError(f"{path}: {SERVERS} is not an object", fix=f'write {{"{SERVERS}": {{"name": {{...}}}}}}')

    return section


def _entry(name: str, raw: Any, path: Path) -> Entry:
    try:
        return Entry.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join([SERVERS, safe(name), *(safe(str(part)) for part in first["loc"])])
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{path}: {place}: {message}", fix=f"mend it or journeyman mcp remove {safe(name)}") from None


def target_of(name: str, entry: Entry, path: Path) -> Target:
    """What an entry of a file means.

    Raises:
        ConfigError: its name will not do, or a variable in it is not set.
    """
    check_name(name)

    def filled(text: str) -> str:
        return _filled(text, os.environ, lambda variable: _unset(f"{path}: {SERVERS}.{name}", variable))

    if entry.url is not None:
        return Url(name, filled(entry.url), {key: filled(value) for key, value in entry.headers.items()})

    words = (filled(entry.command or ""), *(filled(word) for word in entry.args))
    folder = path.parent / filled(entry.cwd or "") if entry.cwd or path != user_file() else None
    env = {key: filled(value) for key, value in entry.env.items()}
    return Command(name, words, env, folder, confined(entry.sandbox, path.parent, filled))


def confined(
    sandbox: Literal["off"] | Sandbox | Mapping[str, Sequence[str]],
    folder: Path,
    filled: Callable[[str], str] = str,
) -> Confined | None:
    """What a definition lets a program do, with its paths where they are; None outside of the sandbox.

    Raises:
        ConfigError: it is none, or a host of it is none.
    """
    if sandbox == "off":
        return None

    try:
        said = sandbox if isinstance(sandbox, Sandbox) else Sandbox.model_validate(sandbox)
    except ValidationError as error:
        fix = 'write {"read": [PATH], "write": [PATH], "hosts": [HOST]}, with none, some or all of them, or "off"'
        raise ConfigError(f"{sandbox!r} says not what the sandbox lets a server do", fix=fix) from error

    Egress(said.hosts)
    read, write = ([folder / Path(filled(each)).expanduser() for each in paths] for paths in (said.read, said.write))
    return Confined(tuple(read), tuple(write), tuple(said.hosts))


def _filled(text: str, environment: Mapping[str, str], unset: Callable[[str], ConfigError]) -> str:
    def value(match: re.Match[str]) -> str:
        found = environment.get(match[1], match[2])
        if found is None:
            raise unset(match[1])

        return found

    return VARIABLE.sub(value, text)


def _unset(place: str, variable: str) -> ConfigError:
    return ConfigError(
        f"{place} needs the environment variable {variable}, which is not set", fix=f"export {variable}=..."
    )


@contextmanager
def _changing(path: Path) -> Generator[dict[str, Any]]:
    """The file's servers, to be changed: they are written at the end, and trusted if they were."""
    try:
        with alone(path):
            before = read(path)
            document = _document(before, path)
            yield document.setdefault(SERVERS, _section(document, path))
            text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
            replace_text(path.resolve() if path == user_file() else path, text)  # the user's own may be a link
            if path != user_file() and (not before or is_trusted(path, before)):
                trust(path, text.encode())
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror or error}", fix="check its folder's permissions"
        ) from None
