"""A provider on loopback that answers each question with the next recording, and keeps what it was asked."""

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from journeyman.agent.models.model import Request
from journeyman.errors import ModelError
from journeyman.traces.messages import UserMessage

HELLO = (UserMessage(text="Hello."),)


@dataclass
class Play:
    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    """The connection breaks where more was promised."""


def sse(*events: Any, done: bool = False) -> bytes:
    """Events as they are sent; each has its type's name."""
    lines = [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def error(status: int, body: Any, **headers: str) -> Play:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Play(json.dumps(body).encode(), status, {"content-type": "application/json", **named})


class Provider:
    """What it is asked to GET is looked up in `pages`; each POST gets the next of `plays`."""

    def __init__(self, *plays: bytes | Play, pages: Mapping[str, Any] | None = None) -> None:
        self.plays = [each if isinstance(each, Play) else Play(each) for each in plays]
        self.pages = dict(pages or {})
        self.asked: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.paths: list[str] = []
        self.url = ""

    def get(self, path: str) -> Play:
        self.paths.append(path)
        page = self.pages.get(path.partition("?")[0])
        return error(404, {"error": {"message": "no such page"}}) if page is None else error(200, page)

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Play:
        self.paths.append(path)
        self.headers.append(headers)
        self.asked.append(json.loads(body))
        return self.plays.pop(0)


@contextmanager
def serving(provider: Provider) -> Generator[Provider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(provider.get(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self._send(provider.post(self.path, dict(self.headers.items()), body))

        def _send(self, play: Play) -> None:
            self.send_response(play.status)
            for name, value in {"content-type": "text/event-stream", **play.headers}.items():
                self.send_header(name, value)

            self.send_header("content-length", str(len(play.body) + (100 if play.cut else 0)))
            self.end_headers()
            self.wfile.write(play.body)
            self.close_connection = play.cut

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        provider.url = f"http://127.0.0.1:{server.server_port}"
        yield provider
        server.shutdown()


class Rerouted(httpx2.AsyncHTTPTransport):
    """The network, where every address is the loopback provider's."""

    def __init__(self, provider: Provider) -> None:
        super().__init__()
        self._port = int(provider.url.rpartition(":")[2])

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        return await super().handle_async_request(request)


def rerouted(provider: Provider) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=Rerouted(provider))


async def heard(model: Any, request: Request | None = None) -> tuple[list[Any], Any]:
    """Everything that comes, and the error that ends it; the model is closed."""
    events = []
    try:
        async for event in model.respond(request or Request("r", 1, "Be short.", HELLO, ())):
            events.append(event)  # noqa: PERF401 - what came before an error is wanted too
    except ModelError as caught:
        return events, caught
    finally:
        await model.close()

    return events, None


async def said(model: Any, request: Request | None = None) -> list[Any]:
    """Everything that comes, without the time it took."""
    events, caught = await heard(model, request)
    if caught is not None:
        pytest.fail(f"{caught!r}")

    return [*events[:-1], events[-1].model_copy(update={"seconds": 0.0})]
