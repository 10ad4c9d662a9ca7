"""Running one of our servers for somebody else's client: over stdio, or over HTTP on this machine only."""

import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from journeyman.errors import ServerError, UsageError
from journeyman.mcp_servers.registry import build


async def serve(
    name: str,
    root: Path,
    http: tuple[str, int] | None = None,
    *,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until the client goes away (stdio) or the task is cancelled (HTTP).

    Args:
        name: one of `SERVERS`.
        root: the only folder the server may use.
        http: address and port to listen on; port 0 takes a free one. Without it: stdin and stdout.
        ready: called once with the URL when HTTP is listening.

    Raises:
        UsageError: no such server, or an address that other machines can reach.
        ConfigError: `root` is no folder.
        ServerError: the port is taken.
    """
    server = build(name, root)
    if http is None:
        await server.run_stdio_async()
        return

    host, port = http
    with _listen(host, port) as listener:
        await _serve_http(server.streamable_http_app(host=host), listener, ready)


async def _serve_http(app: Any, listener: socket.socket, ready: Callable[[str], None] | None) -> None:
    import uvicorn  # noqa: PLC0415 - only HTTP needs it

    if ready is not None:
        host, port = listener.getsockname()[:2]
        ready(f"http://{f'[{host}]' if ':' in host else host}:{port}/mcp")

    config = uvicorn.Config(app, log_level="warning", lifespan="on")
    await uvicorn.Server(config).serve(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket on the loopback. There is no log-in, so no other machine may reach it."""
    if host == "localhost":
        host = "127.0.0.1"

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None

    if address is None or not address.is_loopback:
        raise UsageError(
            f"{host} could be reached from other machines, and these servers have no log-in",
            fix="listen on 127.0.0.1; to serve other machines put a gateway with authentication in front",
        )

    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET  # noqa: PLR2004 - the version of IP
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ServerError(
            f"cannot listen on {host}:{port}: {error}", fix="give another port, or 0 for a free one"
        ) from None
