"""Writing our servers into another program's settings, taking them out, and reading what else stands there.

Only the entries that are ours change; the rest stays as it was written, comments too. The file as it was before is kept
beside it. What is written is the exact command, with the interpreter's own path, and it was started before.
"""

import json
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from journeyman.errors import ConfigError
from journeyman.home import replace_text
from journeyman.safe import safe
from journeyman.tools.mcp_json import Entry
from journeyman.tools.register.clients import Client
from journeyman.tools.register.documents import WRITERS, changed

OURS = "journeyman-"
"""What the names of our servers begin with there."""


class Plan(NamedTuple):
    path: Path
    before: str
    after: str
    changes: tuple[str, ...] = ()
    """Entry by entry; not as lines of the file, which may hold other programs' secrets."""

    @property
    def diff(self) -> str:
        return "\n".join([str(self.path), *self.changes])


def entry_of(server: str, root: Path) -> Entry:
    """The command that serves one of our servers, whatever folder and environment it is started in."""
    arguments = ["-m", "journeyman", "mcp", "serve", server, "--root", str(root.absolute())]
    return Entry(command=sys.executable, args=arguments)


def registering(client: Client, path: Path, servers: Iterable[str], root: Path) -> Plan:
    """With these servers of ours.

    Raises:
        ConfigError: the file cannot be read, or cannot be changed safely.
    """
    return planned(client, path, {f"{OURS}{name}": entry_of(name, root) for name in servers})


def planned(client: Client, path: Path, wanted: Mapping[str, Entry | None]) -> Plan:
    """With these entries, without those that are None. Raises ConfigError as `registering` does."""
    before = after = _text(path)
    there, changes = _section(client, before, path), []
    for name, entry in wanted.items():
        value = client.shape.write(name, entry) if entry else None
        if there.get(name) != value:
            after = _changed(client, after, path, name, value)
            changes += [_told("-", client, name, there[name])] if name in there else []
            changes += [_told("+", client, name, value)] if value is not None else []

    return Plan(path, before, after, tuple(changes))


def unregistering(client: Client, path: Path, servers: Iterable[str] = ()) -> Plan:
    """Without these servers of ours, or without any. Raises ConfigError as `registering` does."""
    before = after = _text(path)
    wanted, changes = {f"{OURS}{name}" for name in servers}, []
    for name, value in _section(client, before, path).items():
        if name in wanted or (not wanted and name.startswith(OURS)):
            after = _changed(client, after, path, name, None)
            changes.append(_told("-", client, name, value))

    return Plan(path, before, after, tuple(changes))


def _told(sign: str, client: Client, name: str, value: Any) -> str:
    return f"{sign} {'.'.join(client.section)}.{safe(name)}: {safe(json.dumps(value, ensure_ascii=False))}"


def apply(plan: Plan) -> Path | None:
    """Write it; where the file as it was is kept, if there was one.

    Raises:
        ConfigError: it cannot be written, or was changed since it was read.
    """
    path = plan.path.resolve()  # a link is written through, not replaced
    try:
        if _text(path) != plan.before:
            raise ConfigError(f"{path} was changed by something else meanwhile", fix="do it again")

        kept = _backup(path)
        replace_text(path, plan.after, mode=path.stat().st_mode & 0o777 if kept else 0o600)
    except OSError as error:
        told = f"check the permissions of {path.parent}"
        raise ConfigError(f"cannot write {path}: {error.strerror or error}", fix=told) from None

    return kept


def known(client: Client, path: Path) -> dict[str, Entry | None]:
    """The servers of a client's file; None for one that cannot be read. Raises ConfigError: the file cannot be."""
    return {name: _entry(client, raw) for name, raw in _section(client, _text(path), path).items()}


def _entry(client: Client, raw: Any) -> Entry | None:
    try:
        fields = client.shape.read(raw) if isinstance(raw, dict) else None
        return Entry.model_validate(fields) if fields else None
    except (ValidationError, TypeError, ValueError, IndexError):
        return None


def _backup(path: Path) -> Path | None:
    if not path.exists():
        return None

    kept = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}.bak")
    if not kept.exists():  # of two within a second the older one is worth more
        shutil.copy2(path, kept)

    return kept


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode() if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", fix="mend it, or move it away") from None


def _section(client: Client, text: str, path: Path) -> dict[str, Any]:
    try:
        found: Any = WRITERS[client.format].parse(text.removeprefix(MARK))
        for name in client.section:
            found = found.get(name) if isinstance(found, dict) else None

        found = {} if found is None else found
        if not isinstance(found, dict):
            raise ValueError(f"{'.'.join(client.section)} is no table")  # noqa: TRY004, TRY301 - a wrong file

        return {str(name): _plain(value) for name, value in found.items()}
    except ValueError as error:
        raise _unreadable(client, path, error) from None


def _changed(client: Client, text: str, path: Path, name: str, value: Any | None) -> str:
    mark = MARK if text.startswith(MARK) else ""
    try:
        return mark + changed(client.format, text.removeprefix(mark), [*client.section, name], value)
    except ValueError as error:
        raise _unreadable(client, path, error) from None


def _unreadable(client: Client, path: Path, error: ValueError) -> ConfigError:
    told = f"{client.title} will not read it either: mend that place" if path.exists() else "write it by hand"
    return ConfigError(f"{path}: {safe(str(error))}", fix=told)


def _plain(value: Any) -> Any:
    """Without what a format's library adds to dictionaries and lists."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}

    return [_plain(each) for each in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


MARK = "\ufeff"
"""What some editors put before a text."""
