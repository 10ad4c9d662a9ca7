"""The terminal UI in a browser on this machine: textual-serve, behind a door of our own.

The page's address holds a token that nobody else knows; without it nothing is served. A socket must come from that very
page, whatever else the browser shows, and the server must have been asked for under its own name, so that no other site
can act here, not even one whose name points to this machine. Nothing is fetched from elsewhere.
"""

import hmac
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from textual_serve.server import Server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HOST = "127.0.0.1"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Browser(Server):
    """Serves what `command` shows, to whoever knows the address."""

    def __init__(self, command: str, port: int = 0) -> None:
        """A free port is taken where none is given.

        Raises:
            OSError: the port is taken.
        """
        self.token = secrets.token_urlsafe(32)
        self.socket = socket.create_server((HOST, port))
        port = self.socket.getsockname()[1]
        page = Path(__file__).parent / "page"
        super().__init__(command, HOST, port, title="journeyman", templates_path=page)
        self._places = {f"{HOST}:{port}", f"localhost:{port}"}

    @property
    def address(self) -> str:
        return f"{self.public_url}/{self.token}/"

    async def start(self) -> web.AppRunner:
        """Serve until the runner is cleaned up."""
        outer = web.Application(middlewares=[self._guard])
        outer.on_response_prepare.append(_add_headers)
        outer.add_subapp(f"/{self.token}", await self._make_app())
        runner = web.AppRunner(outer, access_log=None)
        await runner.setup()
        await web.SockSite(runner, self.socket).start()
        return runner

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing."""

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin", "").removeprefix("http://")
        is_socket = request.headers.get("Upgrade", "").lower() == "websocket"
        token = request.path.strip("/").partition("/")[0]
        if request.host not in self._places or not hmac.compare_digest(token.encode(), self.token.encode()):
            raise web.HTTPForbidden(text="The address is not complete: journeyman web shows it.")

        if (is_socket or origin) and origin != request.host:
            raise web.HTTPForbidden(text="Another page may not do this.")

        return await handler(request)


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
