"""`journeyman web` in a real browser."""

import os
import subprocess
import sys
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import aiohttp
import anyio
import pytest

from tests.need import need

OPENED = """new Promise(told => {{
    const s = new WebSocket({!r}); s.onopen = () => told(true); s.onerror = () => told(false) }})"""
DRAWN = """new Promise(told => setInterval(
    () => document.querySelector("body.-first-byte .xterm-screen") && told(true), 50))"""
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0")


@pytest.fixture
def browser(tmp_path):
    """Chromium, which finds nothing but this machine; where it takes orders."""
    need("chromium")
    need("textual")
    only_here = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
    command = ["chromium", *FLAGS, only_here, f"--user-data-dir={tmp_path / 'browser'}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8")
    assert process.stderr is not None
    told = next(line for line in process.stderr if "DevTools listening on ws://" in line)
    yield "http://" + told.split("ws://")[1].partition("/")[0]
    process.terminate()
    process.stderr.close()
    process.wait(50)


class Page:
    """A tab of it, by the DevTools protocol."""

    def __init__(self, socket):
        self._socket = socket
        self._numbers = count(1)

    async def ask(self, method, **params):
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        return (await self.heard(id=number))["result"]

    async def heard(self, **fields):
        with anyio.fail_after(60):
            while True:
                message = await self._socket.receive_json()
                if fields.items() <= message.items():
                    return message

    async def run(self, script):
        """What a script in the page comes to."""
        answer = await self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return answer["result"].get("value")


@asynccontextmanager
async def page(browser, address):
    async with aiohttp.ClientSession() as session:
        async with session.put(f"{browser}/json/new?about:blank") as answer:
            told = await answer.json()

        async with session.ws_connect(told["webSocketDebuggerUrl"]) as socket:
            page = Page(socket)
            await page.ask("Page.enable")
            await page.ask("Page.navigate", url=address)
            await page.heard(method="Page.loadEventFired")
            yield page


@pytest.fixture
def served(place):
    """The command as a user starts it, and its address."""
    model = place.script("From the browser.")["model"]
    process = subprocess.Popen(
        [sys.executable, "-m", "journeyman", "web", "--root", str(place.folder), "--model", model],
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=dict(os.environ),
    )
    assert process.stderr is not None
    yield next(line for line in process.stderr if "http" in line).split()[1]
    process.terminate()
    process.stderr.close()
    process.wait(50)
    subprocess.run([sys.executable, "-m", "journeyman", "serve", "--stop"], check=False, capture_output=True)


@pytest.mark.timeout(180)  # a browser and the UI start
async def test_the_ui_is_drawn_and_nothing_is_fetched_from_elsewhere(browser, served):
    async with page(browser, served) as tab:
        assert await tab.run(DRAWN)
        fetched = await tab.run('performance.getEntriesByType("resource").map(each => each.name)')
        assert len(fetched) >= 2
        assert all(each.startswith(served) for each in fetched)


async def test_another_page_is_refused_and_so_is_a_missing_token(browser, served):
    place, _, token = served.rstrip("/").rpartition("/")
    socket = place.replace("http", "ws")
    async with page(browser, f"{browser}/json/version") as foreign:  # a page of another port
        assert await foreign.run("location.origin") == browser
        assert await foreign.run(OPENED.format(f"{socket}/{token}/ws")) is False

    async with page(browser, served) as tab:
        assert await tab.run(OPENED.format(f"{socket}/{token}/ws")) is True
        assert await tab.run(OPENED.format(f"{socket}/ws")) is False
        assert await tab.run(OPENED.format(f"{socket}/{'x' * len(token)}/ws")) is False
        for path in ("/", "/ws", "/static/js/textual.js", f"/{'x' * len(token)}/"):
            assert await tab.run(f"fetch({path!r}).then(answer => answer.status)") == 403


async def test_a_name_that_another_site_points_here_is_refused(served):
    async with aiohttp.ClientSession() as session:
        for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
            async with session.get(served, headers=headers) as answer:
                assert answer.status == 403

        async with session.get(served) as answer:
            assert answer.status == 200
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert str(Path.home()) not in await answer.text()
