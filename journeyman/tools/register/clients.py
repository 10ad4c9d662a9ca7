"""The programs that can use our servers: where each keeps its settings, and how it writes a server down.

Sources: each program's own documentation, November 2026; `claude`, `codex`, `gemini` and `opencode` are tried in tests.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from journeyman.tools.mcp_json import Entry
from journeyman.tools.register.documents import Format

Written = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """How a server is written down, both ways; what cannot be read is None."""

    write: Callable[[str, Entry], Written]
    read: Callable[[Mapping[str, Any]], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Client:
    name: str
    title: str
    user: str
    """The user's file. `{config}` is the folder for settings of this system, `~` the home folder."""
    section: tuple[str, ...]
    shape: Shape
    format: Format = "json"
    project: str = ""
    """The file in a project's folder, where there is one."""
    variable: str = ""
    """The environment variable that names the folder of the user's file."""

    def file(self, root: Path | None = None) -> Path | None:
        """The project's file, or the user's; None where it has no such file."""
        if root is not None:
            return root / self.project if self.project else None

        if self.variable and (folder := os.environ.get(self.variable)):
            return Path(folder) / Path(self.user).name

        return Path(self.user.replace("{config}", str(_settings()))).expanduser()


def _settings() -> Path:
    if sys.platform == "darwin":
        return Path("~/Library/Application Support")

    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config")


def _given(entry: Entry) -> Written:
    return {key: value for key, value in entry.model_dump(exclude_unset=True).items() if value}


def _command(raw: Mapping[str, Any]) -> dict[str, Any] | None:
    """`command`, `args`, `env` or `url`, as most write it."""
    kept = {key: raw[key] for key in ("command", "args", "env", "url", "headers") if raw.get(key)}
    url = raw.get("httpUrl") or raw.get("serverUrl") or kept.get("url")
    return kept | ({"url": url} if url else {}) if kept.get("command") or url else None


def _from_opencode(raw: Mapping[str, Any]) -> dict[str, Any] | None:
    if raw.get("type") == "remote":
        return {key: raw[key] for key in ("url", "headers") if raw.get(key)}

    command = raw.get("command") or []
    env = {"env": raw["environment"]} if raw.get("environment") else {}
    return {"command": command[0], "args": list(command[1:]), **env} if command else None


def _from_goose(raw: Mapping[str, Any]) -> dict[str, Any] | None:
    if raw.get("type") == "stdio" and raw.get("cmd"):
        return {"command": raw["cmd"], "args": list(raw.get("args") or []), "env": dict(raw.get("envs") or {})}

    return {"url": raw["uri"]} if raw.get("uri") else None


PLAIN = Shape(lambda _, entry: _given(entry), _command)
TYPED = Shape(lambda _, entry: {"type": "stdio" if entry.command else "http", **_given(entry)}, _command)
OPENCODE = Shape(
    lambda _, entry: (
        {"type": "local", "command": [entry.command, *entry.args], "enabled": True}
        | ({"environment": entry.env} if entry.env else {})
    ),
    _from_opencode,
)
GOOSE = Shape(
    lambda name, entry: {
        "name": name,
        "type": "stdio",
        "cmd": entry.command,
        "args": entry.args,
        "envs": entry.env,
        "timeout": 300,
        "enabled": True,
    },
    _from_goose,
)
SERVERS = ("mcpServers",)
CLIENTS = {
    client.name: client
    for client in (
        Client("claude-code", "Claude Code", "~/.claude.json", SERVERS, TYPED, project=".mcp.json",
               variable="CLAUDE_CONFIG_DIR"),
        Client("claude-desktop", "Claude Desktop", "{config}/Claude/claude_desktop_config.json", SERVERS, PLAIN),
        Client("codex", "Codex", "~/.codex/config.toml", ("mcp_servers",), PLAIN, "toml", variable="CODEX_HOME"),
        Client("cursor", "Cursor", "~/.cursor/mcp.json", SERVERS, PLAIN, project=".cursor/mcp.json"),
        Client("gemini", "Gemini CLI", "~/.gemini/settings.json", SERVERS, PLAIN, project=".gemini/settings.json"),
        Client("goose", "goose", "~/.config/goose/config.yaml", ("extensions",), GOOSE, "yaml"),
        Client("jetbrains", "JetBrains Junie", "~/.junie/mcp/mcp.json", SERVERS, PLAIN, project=".junie/mcp/mcp.json"),
        Client("lm-studio", "LM Studio", "~/.lmstudio/mcp.json", SERVERS, PLAIN),
        Client("opencode", "opencode", "~/.config/opencode/opencode.json", ("mcp",), OPENCODE, project="opencode.json"),
        Client("vscode", "VS Code", "{config}/Code/User/mcp.json", ("servers",), TYPED, project=".vscode/mcp.json"),
        Client("windsurf", "Windsurf", "~/.codeium/windsurf/mcp_config.json", SERVERS, PLAIN),
        Client("zed", "Zed", "~/.config/zed/settings.json", ("context_servers",), PLAIN, project=".zed/settings.json"),
    )
}  # fmt: skip
"""By the name that a command line gives."""
