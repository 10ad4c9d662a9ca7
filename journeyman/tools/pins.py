"""Pins: what each MCP server's tools looked like when they were first used, or last accepted.

A server can change its tools at any time: a description that lures, an argument that carries off, a new tool. So the
whole definition of every tool is kept (name, description, schemas, annotations, icons, `_meta`: whatever the server
sent), with its SHA-256, and so is the set of tools. Any difference puts the server in quarantine: none of its tools can
be called until a person has looked (`journeyman mcp diff`) and accepted (`journeyman mcp pin`). Its resources and
prompts are kept too; of these, only what is new or has changed cannot be used before.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from journeyman.errors import ConfigError
from journeyman.home import alone, config_dir, replace_text
from journeyman.safe import safe
from journeyman.tools.target import Command, Target, Url

Offers = Mapping[str, Sequence[Mapping[str, Any]]]
"""What a server has besides tools, by kind: see `offers.offers`."""
SHOWN = 300
"""Characters of a value that a difference shows."""
ABSENT = object()


class Pins:
    """The lock file, `mcp.lock`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of_user(cls) -> "Pins":
        return cls(config_dir() / "mcp.lock")

    def of(self, target: Target) -> dict[str, str] | None:
        """Canonical definitions by tool; None where the server was never pinned.

        Raises:
            ConfigError: the file is damaged: nothing can be compared with it.
        """
        entry = self._read().get(key(target))
        if entry is None or "tools" not in entry:
            return None

        definitions = {name: canonical(each["definition"]) for name, each in entry["tools"].items()}
        if any(hash_of(definitions[name]) != each["sha256"] for name, each in entry["tools"].items()):
            raise self._damaged("a hash in it is not that of its definition")

        return definitions

    def pin(self, target: Target, definitions: Mapping[str, str], offers: Offers | None = None) -> None:
        """From now on the server has to look like this; what it offers besides, only where that is given.

        Raises:
            ConfigError: it cannot be kept.
        """
        tools = {
            name: {"sha256": hash_of(text), "definition": json.loads(text)}
            for name, text in sorted(definitions.items())
        }
        besides = {} if offers is None else {"offers": offers, "odd": False}
        self._put(target, {"tools": tools, "changed": False, **besides})

    def remembered(self, target: Target) -> dict[str, Any]:
        """What else is known of a server: its `era`, whether it was `silent`, whether it has `changed`.

        Raises:
            ConfigError: the file is damaged.
        """
        return self._read().get(key(target), {})

    def remember(self, target: Target, facts: Mapping[str, Any]) -> None:
        """Keep what was learned of a server; where that is nothing new, or the disk is full, nothing is written."""
        known = self.remembered(target)
        news = {name: value for name, value in facts.items() if known.get(name, False) != value}
        if news:
            with suppress(ConfigError):
                self._put(target, news)

    def _put(self, target: Target, facts: Mapping[str, Any]) -> None:
        try:
            with alone(self.path):
                entries = self._read()
                entries[key(target)] = {"reaches": str(target)} | entries.get(key(target), {}) | dict(facts)
                replace_text(self.path, json.dumps(entries, indent=1, ensure_ascii=False, sort_keys=True))
        except OSError as error:
            told = f"make {self.path.parent} writable"
            raise ConfigError(f"the tools of {target.name} cannot be pinned: {error}", fix=told) from error

    def _read(self) -> dict[str, Any]:
        try:
            entries = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise self._damaged(str(error)) from error

        if not isinstance(entries, dict):
            raise self._damaged("it is no JSON object")

        return entries

    def _damaged(self, why: str) -> ConfigError:
        return ConfigError(
            f"{self.path} cannot be used: {why}", fix=f"remove it, and accept each server anew: rm {self.path}"
        )


def key(target: Target) -> str:
    """The server's name in the user's own configuration, and what it reaches."""
    match target:
        case Command():
            reaches = json.dumps([*target.command, str(target.cwd or "")])
        case Url():
            reaches = target.url
        case _:
            reaches = "built in"

    return f"{target.name} {sha256(reaches.encode(errors='surrogatepass')).hexdigest()[:16]}"


def canonical(definition: Any) -> str:
    """One text for one definition."""
    return json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def besides(offers: Offers) -> dict[str, str]:
    """What a server has besides tools, as definitions by kind and name."""
    each = ((kind.removesuffix("s"), found) for kind, several in offers.items() for found in several)
    return {f"{kind} {found['name']}": canonical(found.get("definition")) for kind, found in each}


def hash_of(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


def differences(pinned: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """What changed, a line each, fit to be shown."""
    for name in sorted(pinned.keys() | now.keys()):
        if name not in now:
            yield f"- {safe(name)}: it is gone"
        elif name not in pinned:
            yield f"+ {safe(name)}: it is new: {safe(now[name], SHOWN)}"
        elif pinned[name] != now[name]:
            for path, old, new in _changes(json.loads(pinned[name]), json.loads(now[name]), ""):
                yield f"~ {safe(name)}: {safe(path)}: {_shown(old)} -> {_shown(new)}"


def _changes(old: Any, new: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _changes(old.get(name, ABSENT), new.get(name, ABSENT), f"{path}.{name}" if path else name)
    elif ABSENT in (old, new) or canonical(old) != canonical(new):
        yield path, old, new


def _shown(value: Any) -> str:
    return "nothing" if value is ABSENT else safe(json.dumps(value, ensure_ascii=False), SHOWN)
