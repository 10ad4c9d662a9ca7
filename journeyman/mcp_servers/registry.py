"""Which servers there are and how one is built."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from journeyman.errors import UsageError

if TYPE_CHECKING:
    from journeyman.mcp_servers.base import ToolServer
    from journeyman.mcp_servers.toolset import Toolset


SERVERS = {
    "calculator": "Exact arithmetic",
    "code": "Python in a sandbox",
    "files": "Read and change text files in one folder",
    "search": "Full-text search in one folder",
}
"""Name and a line for people."""
WEB = "web"
"""A fifth one, which is there only where it is asked for: it reaches beyond this machine."""


BASIC = frozenset(
    {"calculator.calculate", "code.python", "search.search", "search.open"}
    | {f"files.{tool}" for tool in ("info", "read", "list", "write", "edit")}
)
"""The tools that every model is offered, and all that a small one is: more would cost it more than they help."""


def tools(
    name: str,
    root: Path,
    *,
    sandbox: str = "auto",
    hosts: Sequence[str] = (),
    full: bool = False,
    provider: str = "fetch",
) -> "Toolset":
    """The tools of a server of ours, with `root` as the only folder it may use.

    Args:
        name: one of `SERVERS`, or `WEB`.
        root: the folder.
        sandbox: where the code server's code runs.
        hosts: what that code may reach.
        full: all tools there are, not only the `BASIC` ones.
        provider: who searches the web: `searxng:URL`, `brave` or `tavily`; `fetch` is nobody.

    Raises:
        UsageError: there is no such server, or `root` is no folder.
        ConfigError: the provider cannot be had.
    """
    if name not in {*SERVERS, WEB}:
        raise UsageError(f"there is no server {name!r}", fix=f"take one of: {', '.join([*SERVERS, WEB])}")

    # Imported when it is wanted: some take a while.
    options = {"code": {"sandbox": sandbox, "hosts": hosts}, WEB: {"provider": provider}}.get(name, {})
    return importlib.import_module(f"journeyman.mcp_servers.{name}.server").build(root, full=full, **options)


def build(name: str, root: Path, **options: Any) -> "ToolServer":
    """The same as a server of the MCP SDK, whose import takes half a second."""
    from journeyman.mcp_servers.base import ToolServer  # noqa: PLC0415

    return ToolServer.of(tools(name, root, **options))
