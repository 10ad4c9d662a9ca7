"""Running one of our servers for somebody else's client: over stdio, or over HTTP on this machine only."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from journeyman.mcp_servers.registry import tools
from journeyman.mcp_servers.talk import Talk
from journeyman.mcp_servers.wire import wire

if TYPE_CHECKING:
    from journeyman.mcp_servers.base import ToolServer
    from journeyman.mcp_servers.toolset import Toolset


async def serve(
    name: str,
    root: Path,
    http: tuple[str, int] | None = None,
    *,
    token: str = "",
    ready: Callable[[str], None] | None = None,
    provider: str = "fetch",
) -> None:
    """Serve until the client goes away (stdio) or the task is cancelled (HTTP).

    Args:
        name: one of `SERVERS`, or `WEB`.
        root: the only folder the server may use.
        http: address and port to listen on; port 0 takes a free one. Without it: stdin and stdout.
        token: what every HTTP request must bear.
        ready: called once with the URL when HTTP is listening.
        provider: who searches the web.

    Raises:
        UsageError: no such server, folder or port, an address that other machines can reach, or no token for HTTP.
        ServerError: the port is taken.
    """
    toolset = tools(name, root, full=True, provider=provider)
    if http is not None or not await talked(toolset):
        from journeyman.mcp_servers.base import ToolServer  # noqa: PLC0415 - takes half a second

        await offer(ToolServer.of(toolset), http, token=token, ready=ready)


async def talked(toolset: "Toolset") -> bool:
    """Served on the standard streams, until the client went away; False where they cannot be waited for."""
    with wire() as ends:
        if ends is not None:
            await Talk(toolset).run(*ends)

        return ends is not None


async def offer(
    server: "ToolServer",
    http: tuple[str, int] | None = None,
    *,
    token: str | None = "",
    ready: Callable[[str], None] | None = None,
) -> None:
    """The same for a server that is built already. Only where the token is None, said outright, anybody is served."""
    if http is None:
        await server.run_stdio_async()
        return

    from journeyman.mcp_servers.http import serve  # noqa: PLC0415 - only HTTP needs what it imports

    await serve(server, *http, ready=ready, token=token)
