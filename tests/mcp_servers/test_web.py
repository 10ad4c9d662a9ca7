"""The web server, against a web of this machine's own: it is reached only because its address is written out."""

import gzip
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from mcp import Client

from journeyman.errors import ConfigError
from journeyman.mcp_servers.base import ToolServer
from journeyman.mcp_servers.web.fetching import MAX_BYTES, Reader
from journeyman.mcp_servers.web.providers import Provider, provider
from journeyman.mcp_servers.web.server import server
from journeyman.sandbox.egress import Egress
from tests.mcp_servers.asked import asked
from tests.need import need

Answer = tuple[int, dict[str, str], bytes]
HTML = b"""<html><head><title>Walruses</title><script>steal()</script></head><body>
<nav><a href="/">Home</a></nav><main><article><h1>Walruses</h1><p>A walrus is a large seal with tusks, which lives on
the ice around the pole and eats clams.</p></article></main><footer>Imprint</footer></body></html>"""


class Web:
    """A little web server. What is asked for is looked up in `pages`, and kept in `asked`."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                web.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                status, headers, data = web.pages.get(self.path.partition("?")[0], (404, {}, b""))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)

                self.end_headers()
                self.wfile.write(data)

            do_POST = do_GET  # noqa: N815 - http.server's own

            def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the same

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    yield web
    web.close()


def browser(web: Web, searching: Provider | None = None, *, allowed: bool = True) -> AbstractAsyncContextManager[Any]:
    reader = Reader(Egress([web.host] if allowed else ["*"]))
    return asked(ToolServer.of(server(reader, searching)))


async def test_a_page_is_read_as_text_without_what_stands_around_it(web: Web) -> None:
    need("resiliparse")
    web.pages["/w"] = 200, {"Content-Type": "text/html; charset=utf-8"}, HTML
    web.pages["/moved"] = 302, {"Location": "/w"}, b""
    async with browser(web) as call:
        text = await call("fetch", url=f"http://{web.host}/moved")

    assert text.startswith(f"Walruses\nhttp://{web.host}/w\n\n")
    assert "large seal with tusks" in text
    assert "steal" not in text
    assert "Imprint" not in text


async def test_a_long_page_is_read_in_parts_and_asked_for_once(web: Web) -> None:
    web.pages["/long"] = 200, {"Content-Type": "text/plain"}, b"".join(b"%06d\n" % n for n in range(4000))
    url = f"http://{web.host}/long"
    async with browser(web) as call:
        first = await call("fetch", url=url)
        second = await call("fetch", url=url, start=16000)

    assert first.endswith("[characters 0-16000 of 28000; go on with start=16000]")
    assert second.endswith("003999\n")
    assert len(web.asked) == 1


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:{port}/", "it is not on the list"),
        ("http://127.0.0.1/", "127.0.0.1, this machine"),
        ("http://localhost/", ", this machine"),
        ("http://0x7f.1/", "this machine"),
        ("http://2130706433/", "this machine"),
        ("http://[::ffff:127.0.0.1]/", "this machine"),
        ("http://[::1]/", "this machine"),
        ("http://169.254.169.254/latest/meta-data/", "a cloud's metadata service"),
        ("http://10.0.0.7/", "a private network"),
        ("http://192.168.1.1/", "a private network"),
        ("http://0.0.0.0/", "this machine"),
        ("file:///etc/passwd", "is no address of a page"),
        ("ftp://example.org/", "is no address of a page"),
        ("gopher://example.org/", "is no address of a page"),
        ("http://user:pass@example.org/", "a name or password"),
        ("http://", "is no address of a page"),
        ("not a url", "is no address of a page"),
    ],
)
async def test_no_page_of_this_machine_or_its_network_is_read(web: Web, url: str, told: str) -> None:
    async with browser(web, allowed=False) as call:
        text = await call("fetch", url=url.format(port=web.host.rpartition(":")[2]))

    assert text.startswith("error: ")
    assert told in text
    assert web.asked == []


async def test_a_redirect_into_the_network_is_not_followed(web: Web) -> None:
    web.pages["/go"] = 302, {"Location": "http://169.254.169.254/latest/meta-data/"}, b""
    web.pages["/round"] = 302, {"Location": "/round"}, b""
    async with browser(web) as call:
        assert "it is not on the list" in await call("fetch", url=f"http://{web.host}/go")
        assert "redirects" in await call("fetch", url=f"http://{web.host}/round")


async def test_what_is_no_text_missing_or_endless_is_told(web: Web) -> None:
    web.pages["/image"] = 200, {"Content-Type": "image/png"}, b"\x89PNG"
    bomb = gzip.compress(b"a" * (MAX_BYTES * 4))
    web.pages["/bomb"] = 200, {"Content-Type": "text/plain", "Content-Encoding": "gzip"}, bomb
    async with browser(web) as call:
        assert (await call("fetch", url=f"http://{web.host}/image")).endswith("/image is image/png, not text")
        assert (await call("fetch", url=f"http://{web.host}/gone")).endswith("/gone answers 404 Not Found")
        last = await call("fetch", url=f"http://{web.host}/bomb", start=MAX_BYTES - 5)
        assert last == "aaaaa\n[the page is longer than can be read]"


SEARXNG = (
    b'{"results": [{"title": "Walrus", "url": "https://w.example/a", "content": "A  large\\nseal"}, {"url": "u"}]}'
)
BRAVE = b'{"web": {"results": [{"title": "Walrus", "url": "https://w.example/a", "description": "A large seal"}]}}'


@pytest.mark.parametrize(
    ("name", "path", "body", "sent"),
    [
        ("searxng", "/search", SEARXNG, ("/search?q=big+seals&format=json", {}, b"")),
        (
            "brave",
            "/res/v1/web/search",
            BRAVE,
            ("/res/v1/web/search?q=big+seals&count=1", {"x-subscription-token": "k"}, b""),
        ),
        (
            "tavily",
            "/search",
            SEARXNG,
            ("/search", {"authorization": "Bearer k"}, b'{"query":"big seals","max_results":1}'),
        ),
    ],
)
async def test_whoever_is_configured_is_asked_in_its_own_way(
    web: Web, name: str, path: str, body: bytes, sent: tuple[str, dict[str, str], bytes]
) -> None:
    web.pages[path] = 200, {"Content-Type": "application/json"}, body
    who = provider(f"{name}:http://{web.host}", {"BRAVE_API_KEY": "k", "TAVILY_API_KEY": "k"})
    async with browser(web, who) as call:
        assert await call("search", query="big seals", k=1) == "1. Walrus\n   https://w.example/a\n   A large seal"

    ((asked, headers, posted),) = web.asked
    assert (asked, {key: headers[key] for key in sent[1]}, posted) == sent


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((401, {}, b""), "error: searxng answers 401: the key is refused"),
        ((429, {}, b""), "error: searxng answers 429: too many requests, or none left; wait a while"),
        ((200, {}, b"<html>"), "error: searxng answers what cannot be understood"),
        ((200, {}, b'{"results": [1]}'), "error: searxng answers what cannot be understood"),
        ((200, {}, b'{"results": []}'), "no results"),
    ],
)
async def test_a_search_that_fails_says_why(web: Web, answer: Answer, told: str) -> None:
    web.pages["/search"] = answer
    async with browser(web, provider(f"searxng:http://{web.host}")) as call:
        assert await call("search", query="seals") == told


def test_without_a_key_or_an_address_nobody_searches() -> None:
    for text, told in (
        ("brave", "brave needs the environment variable BRAVE_API_KEY"),
        ("searxng", "'searxng' is nobody who searches the web"),
        ("bing", "'bing' is nobody who searches the web"),
    ):
        with pytest.raises(ConfigError, match=told):
            provider(text, {})


async def test_without_a_provider_only_pages_are_offered(web: Web) -> None:
    async with Client(ToolServer.of(server(Reader(), None))) as client:
        (tool,) = (await client.list_tools()).tools

    assert tool.annotations is not None
    assert (tool.name, tool.annotations.model_dump(exclude_none=True)) == (
        "fetch",
        {"read_only_hint": True, "destructive_hint": False, "idempotent_hint": True, "open_world_hint": True},
    )
