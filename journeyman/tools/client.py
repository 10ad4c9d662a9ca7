"""The MCP SDK's client, tamed: imported on first use, silent on the terminal, lenient about one bad tool in a list."""

import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import anyio

from journeyman.mcp_servers import build
from journeyman.tools.definition import usable
from journeyman.tools.pins import canonical
from journeyman.tools.stdio import MOST, stdio
from journeyman.tools.tail import Tail
from journeyman.tools.target import Builtin, Command, Url
from journeyman.traces.span import traceparent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcp import Client
    from mcp.client import Transport

    from journeyman.tools.server import Server

UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds."""

    answer: float = 600.0
    """For the result of a call; whoever makes it may have less patience."""
    start: float = 20.0
    """For a server to start and to list its tools: a program may have to be fetched first."""
    again: float = 2.5
    """The same for one that was silent the last time."""

    @property
    def probe(self) -> float:
        """For a program to say anything to the first word of the present protocol."""
        return min(5.0, 0.6 * self.start)


def client(host: "Server", mode: str, stderr: Tail, *, ended: Callable[[], None], auth: Any = None) -> "Client":
    """A client that is not entered yet. It must be entered and left in one task.

    Args:
        host: whom to reach, and who hears of it.
        mode: `auto` or `legacy`, the era of the protocol.
        stderr: takes what a command writes there.
        ended: is called when nothing more will be heard.
        auth: for a URL: what authorises requests.
    """
    from mcp import Client  # noqa: PLC0415 - takes half a second

    from journeyman.tools.tasks import Handles  # noqa: PLC0415

    logging.getLogger("mcp").addHandler(logging.NullHandler())  # else its tracebacks reach the terminal
    target, timeout = host.target, host.patience.answer
    match target:
        case Builtin():
            server = build(
                target.name,
                target.root,
                sandbox=target.sandbox,
                hosts=target.hosts,
                full=target.full,
                provider=target.provider,
            )
            return Client(server, read_timeout_seconds=timeout)
        case Command():
            transport = _sifted(stdio(target, stderr, host.patience.probe), host, ended)
        case Url():
            transport = _sifted(_url(target, host, auth), host, ended)

    return Client(
        transport,
        mode=mode,
        read_timeout_seconds=timeout,
        elicitation_callback=host.elicit,
        message_handler=host.heard,
        extensions=[Handles()],
        cache=None,  # what it lists is remembered here, and compared
    )


@asynccontextmanager
async def _url(target: Url, host: "Server", auth: Any) -> "AsyncGenerator[Any]":
    import httpx2  # noqa: PLC0415
    from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415

    from journeyman.tools.body import bound  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        limits = httpx2.Timeout(10, read=host.patience.answer)
        hooks: Any = {"request": [_hand_on], "response": [bound] if auth else [bound, _strangers(host)]}
        headers = {"Accept-Encoding": "identity", **target.headers}
        http = httpx2.AsyncClient(headers=headers, timeout=limits, event_hooks=hooks, auth=auth)
        await stack.enter_async_context(http)
        streams = streamable_http_client(target.url, http_client=http, max_sse_event_size=MOST)
        yield await stack.enter_async_context(streams)


@contextmanager
def traced() -> Generator[None]:
    """The SDK writes the context of the call under way into the `_meta` of what is sent inside."""
    from opentelemetry import context  # noqa: PLC0415 - comes with the SDK
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    if (parent := traceparent()) is None:
        yield
        return

    token = context.attach(TraceContextTextMapPropagator().extract({"traceparent": parent}))
    try:
        yield
    finally:
        context.detach(token)


def _strangers(host: "Server") -> Callable[[Any], Awaitable[None]]:
    """The SDK does not tell that a server lets nobody in without a word of who it is."""

    async def look(response: Any) -> None:
        if response.status_code == UNAUTHORIZED:
            host.refused()

    return look


async def _hand_on(request: Any) -> None:
    """The same as a header, for what stands between us and the server."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    TraceContextTextMapPropagator().inject(request.headers)


@asynccontextmanager
async def _sifted(transport: "Transport", host: "Server", ended: Callable[[], None]) -> "AsyncGenerator[Any]":
    async with transport as (reading, writing):
        yield Sieve(reading, host, ended), writing


class Sieve:
    """A transport's reading end that takes unusable tools out of a list; the SDK would refuse the whole list."""

    def __init__(self, stream: Any, host: "Server", ended: Callable[[], None]) -> None:
        self._stream = stream
        self._host = host
        self._ended = ended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> bool | None:
        return await self._stream.__aexit__(*error)

    def __aiter__(self) -> "Sieve":
        return self

    async def __anext__(self) -> Any:
        try:
            return self._sift(await self._stream.__anext__())
        except StopAsyncIteration:
            self._ended()
            raise

    async def receive(self) -> Any:
        try:
            return self._sift(await self._stream.receive())
        except anyio.EndOfStream:
            self._ended()
            raise

    def _sift(self, item: Any) -> Any:
        result = getattr(getattr(item, "message", None), "result", None)
        if isinstance(result, dict) and isinstance(result.get("tools"), list):
            result["tools"] = [tool for tool in result["tools"] if self._keep(tool)]

        return item

    def _keep(self, tool: Any) -> bool:
        if isinstance(tool, dict):
            self._host.saw(str(tool.get("name")), canonical(tool))

        return usable(tool, self._host.notice) is not None
