"""Logging in to a remote server: a real authorisation server, a real browser's way, a keyring in memory."""

import json
import secrets
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
import pytest
from keyring.backend import KeyringBackend
from mcp.shared.auth import OAuthClientInformationFull
from pydantic import AnyUrl

from journeyman.errors import ServerError
from journeyman.tools.catalog import Catalog
from journeyman.tools.client import Patience
from journeyman.tools.login import SERVICE, Keys, logging_in
from journeyman.tools.pins import Pins
from journeyman.tools.target import Url
from journeyman.tools.visit import visited
from tests.tools.test_server import SERVERS, call


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Pocket(KeyringBackend):
    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service, username):
        return self.held.get((service, username))

    def set_password(self, service, username, password):
        self.held[service, username] = password

    def delete_password(self, service, username):
        del self.held[service, username]


@pytest.fixture
def pocket():
    import keyring  # noqa: PLC0415 - it looks for a backend

    before, mine = keyring.get_keyring(), Pocket()
    keyring.set_keyring(mine)
    yield mine
    keyring.set_keyring(before)


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@asynccontextmanager
async def guarded() -> AsyncGenerator[Url]:
    """A server that lets nobody in without a token, and gives them out itself."""
    command = [sys.executable, str(SERVERS / "guarded.py")]
    process = await anyio.open_process(command, stderr=None)
    try:
        assert process.stdout is not None
        with anyio.fail_after(40):
            line = await process.stdout.receive()

        yield Url("guarded", line.decode().strip())
    finally:
        process.kill()
        await process.aclose()


async def browse(url: str) -> None:
    async with httpx2.AsyncClient(follow_redirects=True) as browser:
        assert "You are logged in" in (await browser.get(url)).text


async def test_a_person_logs_in_once_and_runs_use_and_renew_what_was_granted(pocket, tmp_path):
    pins = Pins(tmp_path / "mcp.lock")
    async with guarded() as target:
        async with Catalog([target], patience=Patience(start=30)) as stranger:
            (problem,) = stranger.problems
            assert (str(problem), problem.fix) == (
                "MCP server 'guarded' wants to know who you are",
                "journeyman mcp login guarded",
            )

        async with logging_in(target, browse) as auth, visited(target, Patience(start=30), auth=auth) as server:
            assert list(server.definitions) == ["whoami"]
            pins.remember(target, {"login": True})

        async with Catalog([target], pins=pins, patience=Patience(start=30)) as catalog:
            assert (await call(catalog, "guarded__whoami")).text.startswith("token 1 ")

        held = json.loads(pocket.held[SERVICE, target.url])
        pocket.held[SERVICE, target.url] = json.dumps(held | {"until": time.time() - 1})
        async with Catalog([target], pins=pins, patience=Patience(start=30)) as later:
            assert (await call(later, "guarded__whoami")).text.startswith("token 2 ")

        assert await Keys(target.url).forget()
        assert pocket.held == {}


async def test_a_browser_that_connects_for_nothing_and_loads_the_page_again_does_not_end_the_log_in(pocket):
    async def restless(url: str) -> None:
        here = urlsplit(parse_qs(urlsplit(url).query)["redirect_uri"][0])
        for words in (b"", b"GET http://[ HTTP/1.1\r\n\r\n"):
            async with await anyio.connect_tcp("127.0.0.1", here.port or 0) as ahead:
                if words:
                    await ahead.send(words)

                await ahead.send_eof()
                with pytest.raises(anyio.EndOfStream):
                    await ahead.receive()

        async with httpx2.AsyncClient(follow_redirects=True) as browser:
            page = await browser.get(url)
            for again in (page, await browser.get(page.url)):
                assert "You are logged in" in again.text

    async with (
        guarded() as target,
        logging_in(target, restless) as auth,
        visited(target, Patience(start=30), auth=auth) as server,
    ):
        assert list(server.definitions) == ["whoami"]


@pytest.mark.parametrize("spelled", [None, "a free one"])
async def test_the_browser_comes_back_to_the_port_that_is_spelled_or_to_any_free_one(pocket, spelled, free_port):
    place = f":{free_port}" if spelled else ""
    client = OAuthClientInformationFull(client_id="4711", redirect_uris=[AnyUrl(f"http://127.0.0.1{place}/callback")])
    async with logging_in(Url("wiki", "https://wiki.example/mcp"), browse, client=client) as auth:
        (here,) = auth.context.client_metadata.redirect_uris

    assert (here.port == free_port, here.port > 1023) == (bool(spelled), True)


async def test_what_is_no_longer_granted_is_told_and_no_browser_opens(pocket, tmp_path):
    pins = Pins(tmp_path / "mcp.lock")
    async with guarded() as target:
        pins.remember(target, {"login": True})
        keys = Keys(target.url)
        await keys._keep(tokens={"access_token": secrets.token_hex(4), "token_type": "Bearer"})
        async with Catalog([target], pins=pins, patience=Patience(start=30)) as catalog:
            (problem,) = catalog.problems

    assert (type(problem), problem.fix) == (ServerError, "journeyman mcp login guarded")
