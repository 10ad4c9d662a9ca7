"""Who the user is at a remote server: OAuth 2.1 with PKCE, by the SDK, with what it yields in the system's keyring.

A person logs in once, in their browser (`journeyman mcp login NAME`); the answer comes back to this machine on the
loopback. Runs use and renew what was granted, and never open a browser: where that does not do, they say who has to log
in. Nothing of it is ever written to a file.
"""

import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Never
from urllib.parse import parse_qs, urlsplit

import anyio
from anyio.abc import SocketAttribute, SocketStream
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthMetadata, OAuthToken
from pydantic import AnyUrl

from journeyman.errors import ConfigError, ServerError, install
from journeyman.tools.target import Url
from journeyman.tools.thread import in_thread

SERVICE = "journeyman mcp"
"""What the keyring files them under; the entry's name is the server's URL."""
WAIT_S = 300.0
"""For a person in a browser."""
LARGEST = 16 * 1024
"""Bytes of the request that the browser brings back."""
PAGE = b"HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n%s"
Browse = Callable[[str], Awaitable[None]]


class Keys:
    """What one server granted, in the user's keyring. The SDK's `TokenStorage`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._known: dict[str, Any] = {}
        self.metadata: Callable[[], OAuthMetadata | None] = lambda: None

    async def open(self) -> bool:
        """Read them; whether there are any.

        Raises:
            ConfigError: there is no keyring.
        """
        text = await in_thread(lambda: _keyring("get_password", SERVICE, self._url))
        self._known = json.loads(text) if text else {}
        return "tokens" in self._known

    async def get_tokens(self) -> OAuthToken | None:
        if (found := self._known.get("tokens")) is None:
            return None

        token = OAuthToken.model_validate(found)
        if (until := self._known.get("until")) is not None:
            token.expires_in = max(0, int(until - time.time()))

        return token

    async def set_tokens(self, tokens: OAuthToken) -> None:
        until = None if tokens.expires_in is None else time.time() + tokens.expires_in
        metadata = self.metadata()
        issuer = metadata.model_dump(mode="json", exclude_none=True) if metadata else None
        await self._keep(tokens=tokens.model_dump(mode="json", exclude_none=True), until=until, issuer=issuer)

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        found = self._known.get("client")
        return None if found is None else OAuthClientInformationFull.model_validate(found)

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        await self._keep(client=client_info.model_dump(mode="json", exclude_none=True))

    @property
    def issuer(self) -> OAuthMetadata | None:
        """Where tokens are renewed."""
        found = self._known.get("issuer")
        return None if found is None else OAuthMetadata.model_validate(found)

    async def forget(self) -> bool:
        """Whether there was anything to forget."""
        found = await self.open()
        if self._known:
            await in_thread(lambda: _keyring("delete_password", SERVICE, self._url))

        return found

    async def _keep(self, **news: Any) -> None:
        self._known |= news
        text = json.dumps(self._known)
        await in_thread(lambda: _keyring("set_password", SERVICE, self._url, text))


def _keyring(what: str, *args: str) -> str | None:
    try:
        import keyring  # noqa: PLC0415 - an extra
        from keyring.errors import KeyringError  # noqa: PLC0415
    except ImportError:
        raise ConfigError("logging in needs a keyring", fix=install("journeyman[keyring]")) from None

    try:
        return getattr(keyring, what)(*args)
    except KeyringError as error:
        raise ConfigError(
            f"the system's keyring cannot be used: {error}",
            fix="unlock or install one, or give a token by hand: journeyman mcp add --header 'Authorization: ...'",
        ) from error


class _Provider(OAuthClientProvider):
    async def _initialize(self) -> None:
        """The SDK forgets when a token ends, and where it is renewed."""
        await super()._initialize()
        keys = self.context.storage
        if isinstance(keys, Keys):
            keys.metadata = lambda: self.context.oauth_metadata
            self.context.oauth_metadata = keys.issuer

        if self.context.current_tokens is not None:
            self.context.update_token_expiry(self.context.current_tokens)


async def granted(target: Url) -> Any:
    """What authorises requests to this server in a run; None where nobody has logged in there.

    Raises:
        ConfigError: there is no keyring.
    """
    keys = Keys(target.url)
    if not await keys.open():
        return None

    async def nobody(*_: Any) -> Never:
        raise ServerError(
            f"MCP server {target.name!r} wants you to log in again", fix=f"journeyman mcp login {target.name}"
        )

    return _Provider(target.url, _about("http://127.0.0.1/callback"), keys, nobody, nobody)


@asynccontextmanager
async def logging_in(
    target: Url,
    browse: Browse,
    *,
    client: OAuthClientInformationFull | None = None,
    client_url: str | None = None,
) -> AsyncGenerator[Any]:
    """What authorises requests by asking the user; what is granted stays in the keyring.

    Args:
        target: the server.
        browse: shows the user the page to log in at.
        client: who we are there, where the server does not let us register.
        client_url: the document that says so, for servers that take one.

    Raises:
        ConfigError: there is no keyring.
    """
    keys = Keys(target.url)
    await keys.open()
    if client is not None:
        await keys.set_client_info(client)

    known = await keys.get_client_info()
    # As it is spelled: the port of an `AnyUrl` is 80 where none is given.
    port = urlsplit(str(known.redirect_uris[0])).port if known and known.redirect_uris else None
    send, receive = anyio.create_memory_object_stream[AuthorizationCodeResult](1)

    async def answer(stream: SocketStream) -> None:
        async with stream:
            try:
                found = await _callback(stream)
                if found is not None:
                    send.send_nowait(found)
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.WouldBlock, ValueError):
                pass  # a browser connects ahead of need, hangs up, or loads the page once more; or no URL was asked for

    async def wait() -> AuthorizationCodeResult:
        with anyio.move_on_after(WAIT_S):
            return await receive.receive()

        raise ServerError(f"nobody logged in to {target.name!r} within {WAIT_S:g} seconds", fix="try once more")

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port or 0)
    async with listener, send, receive, anyio.create_task_group() as group:
        group.start_soon(listener.serve, answer)
        own = listener.extra(SocketAttribute.local_port)  # noqa: S610 - no Django far and wide
        here = f"http://127.0.0.1:{own}/callback"
        yield _Provider(target.url, _about(here), keys, browse, wait, client_url)
        group.cancel_scope.cancel()


def _about(redirect: str) -> OAuthClientMetadata:
    return OAuthClientMetadata(
        client_name="journeyman",
        redirect_uris=[AnyUrl(redirect)],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
    )


async def _callback(stream: SocketStream) -> AuthorizationCodeResult | None:
    """What the browser brings back; None for anything else that knocks."""
    head = b""
    with anyio.move_on_after(10):
        while b"\r\n\r\n" not in head and len(head) < LARGEST:
            head += await stream.receive()

    address = urlsplit(head.split(b" ")[1].decode("ascii", "replace") if head.startswith(b"GET ") else "")
    said = {name: values[0] for name, values in parse_qs(address.query).items()}
    if address.path != "/callback" or "state" not in said:
        await stream.send(PAGE % (b"404 Not Found", b"This is not the page you are looking for."))
        return None

    told = b"You are logged in. Close this page." if "code" in said else b"You were not let in. Close this page."
    with suppress(anyio.BrokenResourceError):  # what it brought counts, though it does not wait for the page
        await stream.send(PAGE % (b"200 OK", told))

    return AuthorizationCodeResult(code=said.get("code", ""), state=said["state"], iss=said.get("iss"))
