"""Which servers there are and how one is built."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from journeyman.errors import UsageError

if TYPE_CHECKING:
    from journeyman.mcp_servers.base import ToolServer


@dataclass(frozen=True, slots=True)
class Builtin:
    name: str
    summary: str
    """One line for people."""
    module: str
    """Has `build(root: Path) -> ToolServer`; imported when it is wanted, because the MCP SDK takes a while."""


SERVERS = {
    builtin.name: builtin
    for builtin in (
        Builtin("calculator", "Exact arithmetic", "journeyman.mcp_servers.calculator.server"),
        Builtin("code", "Python in a sandbox", "journeyman.mcp_servers.code.server"),
        Builtin("files", "Read and change text files in one folder", "journeyman.mcp_servers.files.server"),
        Builtin("search", "Full-text search in one folder", "journeyman.mcp_servers.search.server"),
    )
}


def build(name: str, root: Path) -> "ToolServer":
    """A server of ours, with `root` as the only folder it may use.

    Raises:
        UsageError: there is no such server.
        ConfigError: `root` is no folder.
    """
    if name not in SERVERS:
        raise UsageError(f"there is no server {name!r}", fix=f"take one of: {', '.join(SERVERS)}")

    return importlib.import_module(SERVERS[name].module).build(root)
