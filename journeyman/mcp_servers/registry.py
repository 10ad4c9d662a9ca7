"""Which servers there are and how one is built."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from journeyman.errors import UsageError

if TYPE_CHECKING:
    from journeyman.mcp_servers.base import ToolServer


SERVERS = {
    "calculator": "Exact arithmetic",
    "code": "Python in a sandbox",
    "files": "Read and change text files in one folder",
    "search": "Full-text search in one folder",
}
"""Name and a line for people."""


BASIC = frozenset(
    {"calculator.calculate", "code.python", "search.search", "search.open"}
    | {f"files.{tool}" for tool in ("info", "read", "list", "write", "edit")}
)
"""The tools that every model is offered, and all that a small one is: more would cost it more than they help."""


def build(name: str, root: Path, *, sandbox: str = "auto", full: bool = False) -> "ToolServer":
    """A server of ours, with `root` as the only folder it may use; `sandbox` is where the code server's code runs.

    With the `BASIC` tools, or with all there are.

    Raises:
        UsageError: there is no such server.
        ConfigError: `root` is no folder.
    """
    if name not in SERVERS:
        raise UsageError(f"there is no server {name!r}", fix=f"take one of: {', '.join(SERVERS)}")

    # Imported when it is wanted, because the MCP SDK takes a while.
    options = {"sandbox": sandbox} if name == "code" else {}
    return importlib.import_module(f"journeyman.mcp_servers.{name}.server").build(root, full=full, **options)
