"""Reading one page of the web, as text. Every connection, those of redirects too, goes to an address that was judged.

NOT covered: what a page does with being asked for (its address can carry data away, which is the policy's to judge).
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
import anyio.to_thread
import httpcore2
import httpx2

from journeyman.errors import ToolError, install
from journeyman.sandbox.egress import Egress
from journeyman.sandbox.refusals import told

SECONDS = 30.0
MAX_BYTES = 4_000_000
SHOWN = 16_000
REDIRECTS = 5
KEPT = 8
"""Pages, so that going on reading one does not ask for it again."""
TEXTS = ("text/", "application/json", "application/xml", "application/xhtml", "application/javascript", "+json", "+xml")
HEADERS = {
    "user-agent": "journeyman (+https://pypi.org/project/journeyman)",
    "accept": "text/html, text/plain;q=0.9, */*;q=0.5",
    "accept-encoding": "gzip, deflate",
}


class Page(NamedTuple):
    url: str
    """Where it was found in the end."""
    title: str
    text: str
    whole: bool
    """All of it was read."""


class _Judged(httpcore2.AsyncNetworkBackend):
    """Connects to the addresses that an allow-list has judged, whatever the name says the second time."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._network: Any = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the same
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        address, *_ = await self._egress.judge(host, port)
        return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)


class Reader:
    """Reads pages.

    Args:
        egress: where it may connect to; any public address unless given.
    """

    def __init__(self, egress: Egress | None = None) -> None:
        self._egress = egress or Egress(["*"])
        self._pages: OrderedDict[str, Page] = OrderedDict()

    async def fetch(self, url: str, start: int = 0) -> tuple[Page, str]:
        """The page, and its text from a character on, with a word on how to go on.

        Raises:
            ToolError: it cannot be had, or is no text.
        """
        if start == 0 or url not in self._pages:
            self._pages[url] = await self._page(url)
            while len(self._pages) > KEPT:
                self._pages.popitem(last=False)

        page = self._pages[url]
        shown = page.text[start : start + SHOWN]
        end = start + len(shown)
        notes = [f"[characters {start}-{end} of {len(page.text)}; go on with start={end}]"] * (end < len(page.text))
        notes += ["[the page is longer than can be read]"] * (not page.whole and end == len(page.text))
        return page, "\n".join([shown or "(no text)", *notes])

    async def _page(self, url: str) -> Page:
        try:
            with anyio.fail_after(SECONDS):
                return await self._read(_checked(url))
        except TimeoutError:
            raise ToolError(f"{told(url)} does not answer within {SECONDS:g} seconds") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ToolError(f"{told(url)} cannot be read: {str(error)[:200] or type(error).__name__}") from None

    async def _read(self, url: httpx2.URL) -> Page:
        async with _client(self._egress) as client, client.stream("GET", url) as answer:
            kind = answer.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
            if answer.status_code >= 400:  # noqa: PLR2004 - where errors begin
                raise ToolError(f"{told(str(answer.url))} answers {answer.status_code} {answer.reason_phrase}")

            if not any(part in kind for part in TEXTS):
                raise ToolError(f"{told(str(answer.url))} is {told(kind)}, not text")

            data = bytearray()
            async for block in answer.aiter_bytes():
                data += block
                if len(data) > MAX_BYTES:
                    break

            text = bytes(data[:MAX_BYTES]).decode(answer.encoding or "utf-8", "replace")
            title, readable = "", text
            if "html" in kind:
                title, readable = await anyio.to_thread.run_sync(_readable, text)

            return Page(str(answer.url), title, readable, len(data) <= MAX_BYTES)


@asynccontextmanager
async def _client(egress: Egress) -> AsyncGenerator[httpx2.AsyncClient]:
    transport = httpx2.AsyncHTTPTransport(trust_env=False)
    transport._pool = httpcore2.AsyncConnectionPool(  # noqa: SLF001 - the only way to say who connects
        ssl_context=httpx2.create_ssl_context(), network_backend=_Judged(egress), max_connections=4
    )
    async with httpx2.AsyncClient(
        transport=transport,
        headers=HEADERS,
        timeout=SECONDS,
        follow_redirects=True,
        max_redirects=REDIRECTS,
        trust_env=False,
    ) as client:
        yield client


def _checked(text: str) -> httpx2.URL:
    url = httpx2.URL(text.strip())
    if url.scheme not in {"http", "https"} or not url.host:
        raise ToolError(f"{told(text)} is no address of a page; write https://HOST/PATH")

    if url.userinfo:
        raise ToolError("an address with a name or password in it is not read")

    return url


def _readable(html: str) -> tuple[str, str]:
    """The title, and the text without what stands around it; of a page that is only that, all text."""
    try:
        from resiliparse.extract.html2text import extract_plain_text  # noqa: PLC0415 - may not be installed
        from resiliparse.parse.html import HTMLTree  # noqa: PLC0415
    except ImportError:
        raise ToolError(f"reading web pages needs resiliparse: {install('journeyman[web]')}") from None

    tree = HTMLTree.parse(html)
    text = extract_plain_text(tree, main_content=True, links=False)
    return (tree.title or "").strip(), text.strip() or extract_plain_text(tree).strip()
