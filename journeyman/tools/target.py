"""What an MCP server is reached by: our own in this process, a command, or a URL. Naming one starts nothing."""

import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from journeyman.errors import ConfigError
from journeyman.policies.labels import OURS

NAME = re.compile(r"[A-Za-z0-9-]+(_[A-Za-z0-9-]+)*")
LONGEST = 32


@dataclass(frozen=True, slots=True)
class Builtin:
    """One of `journeyman.mcp_servers`, in this process."""

    name: str
    root: Path
    """The only folder it may use."""
    sandbox: str = "auto"
    """Where code runs: `auto`, or a backend by name."""
    hosts: tuple[str, ...] = ()
    """What that code may reach."""
    full: bool = False
    """All of its tools, not only the basic ones."""
    provider: str = "fetch"
    """Who searches the web."""


@dataclass(frozen=True, slots=True)
class Confined:
    """What a program sees in the sandbox beside itself, the system and what its own command names."""

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    """It has a home of its own besides, which is kept."""
    hosts: tuple[str, ...] = ()
    """As in `Egress`."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program that speaks MCP on its standard input and output."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Beside the few harmless variables that every server gets."""
    cwd: Path | None = None
    sandbox: Confined | None = None
    """None: it runs as any program of the user's."""

    @property
    def program(self) -> Path | None:
        """Where it lies: by a path from its own working folder, else on its `PATH`; None where it is not there."""
        word = self.command[0]
        name = str((self.cwd or Path.cwd()) / word) if "/" in word else word
        found = shutil.which(name, path=self.env.get("PATH"))
        return Path(found).absolute() if found else None

    def __str__(self) -> str:
        """The program; what follows may hold a secret."""
        return Path(self.command[0]).name


@dataclass(frozen=True, slots=True)
class Url:
    """A server that is reached by streamable HTTP."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        """The host; what stands around it may hold a secret."""
        return _host(self.url)


Target = Builtin | Command | Url


def target(text: str, name: str | None = None) -> Command | Url:
    """`uvx mcp-server-time` is the command `time`; `https://host/mcp` is the URL `host`; a name given wins.

    A command runs in the sandbox.

    Raises:
        ConfigError: the text or the name will not do.
    """
    if text.startswith(("http://", "https://")):
        return Url(check_name(name or _tidy(_host(text).split(":")[0])), text)

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no command: {error}", fix="close the quotes") from None

    if not words:
        raise ConfigError("an empty command starts no MCP server", fix='give a command or a URL: "uvx mcp-server-time"')

    return Command(check_name(name or _guess(words)), tuple(words), sandbox=Confined())


def check_name(name: str) -> str:
    """The name, if a server may have it: policies call its tools `name.tool`, models `name__tool`.

    Raises:
        ConfigError: it is reserved, or could not be told apart in there.
    """
    if name in OURS:
        raise ConfigError(f"the server name {name!r} is journeyman's own", fix="give the server another name")

    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise ConfigError(
            f"{name!r} cannot be a server's name",
            fix=f"take at most {LONGEST} letters, digits, - and single _",
        )

    return name


def _host(url: str) -> str:
    return re.split(r"[/?#]", url)[2].rpartition("@")[2]


def _guess(words: list[str]) -> str:
    """The last word that looks like a package, a script or a module."""
    plain = [word for word in words[1:] if not word.startswith("-")] or words
    named = next((word for word in reversed(plain) if "mcp" in word or "server" in word), plain[0])
    return _tidy(Path(named).stem if named.endswith((".py", ".js", ".ts")) else named.rpartition("/")[2])


def _tidy(text: str) -> str:
    text = re.sub(r"^(mcp[-_])?(server[-_])?|([-_](mcp|server))+$|@[\w.]+$", "", text.lower())
    return re.sub(r"[^a-z0-9-]+", "_", text).strip("_")[:LONGEST] or "server"
