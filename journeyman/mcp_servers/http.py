"""A server over HTTP, on this machine only.

Other users of this machine reach the port too, so nothing is answered there without the server's token.
"""

import hmac
import ipaddress
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anyio
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import PlainTextResponse

from journeyman.errors import ServerError, UsageError

if TYPE_CHECKING:
    from journeyman.mcp_servers.base import ToolServer

LAST_PORT = 65535
GOODBYE_S = 2
"""How long open connections may take to end."""


async def serve(
    server: "ToolServer", host: str, port: int, *, ready: Callable[[str], None] | None = None, token: str | None = ""
) -> None:
    """Serve until the task is cancelled; `ready` is called with the URL. Raises UsageError, ServerError."""
    if token == "":
        raise UsageError("a server on a port needs a token", fix='serve(..., token="...")')

    with _listen(host, port) as listener:
        await _serve(server, listener, ready, token)


async def _serve(
    server: "ToolServer", listener: socket.socket, ready: Callable[[str], None] | None, token: str | None
) -> None:
    host, port = listener.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    # No page has business here: whatever names another origin than ours, or reached us under another name, is refused.
    origins = [f"http://{name}:{port}", f"http://localhost:{port}"]
    guard = TransportSecuritySettings(allowed_hosts=[f"{name}:*", "localhost:*"], allowed_origins=origins)
    inner = server.streamable_http_app(host=host, transport_security=guard)
    app = inner if token is None else _locked(inner, token)
    how: dict[str, Any] = {"log_config": None, "log_level": "error", "ws": "none"}
    web = uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=GOODBYE_S, **how))
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            # Cancelled from outside, it would leave its connections open; it is asked to stop instead.
            with anyio.CancelScope(shield=True):
                await web.serve(sockets=[listener])

            tasks.cancel_scope.cancel()

        tasks.start_soon(run)
        try:
            if ready is not None:
                ready(f"http://{name}:{port}/mcp")

            await anyio.sleep_forever()
        finally:
            web.should_exit = True


def _locked(app: Any, token: str) -> Any:
    """The application, for requests that bear the token; 401 for the rest."""
    refusal = PlainTextResponse(
        "The token is missing or wrong: Authorization: Bearer TOKEN.\n", 401, {"WWW-Authenticate": "Bearer"}
    )

    async def guard(scope: Any, receive: Any, send: Any) -> None:
        scheme, _, given = dict(scope.get("headers", ())).get(b"authorization", b"").partition(b" ")
        knows = scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), token.encode())
        answer = app if knows or scope["type"] == "lifespan" else refusal
        await answer(scope, receive, send)

    return guard


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket on the loopback: no other machine reaches it."""
    if host == "localhost":
        host = "127.0.0.1"

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None

    if address is None or not address.is_loopback:
        raise UsageError(
            f"{host} could be reached from other machines, and what is said there is not encrypted",
            fix="listen on 127.0.0.1; to serve other machines put a gateway with TLS in front",
        )

    if not 0 <= port <= LAST_PORT:
        raise UsageError(f"there is no port {port}", fix=f"give one from 0 (any free one) to {LAST_PORT}")

    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET  # noqa: PLR2004 - the version of IP
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ServerError(
            f"cannot listen on {host}:{port}: {error}", fix="give another port, or 0 for a free one"
        ) from None
