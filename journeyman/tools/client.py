"""The MCP SDK's client, tamed: imported on first use, silent on the terminal, lenient about one bad tool in a list."""

import logging
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Self

import anyio

from journeyman.mcp_servers import build
from journeyman.tools.pins import canonical
from journeyman.tools.schema import broken
from journeyman.tools.stdio import stdio
from journeyman.tools.tail import Tail
from journeyman.tools.target import Builtin, Command, Target, Url
from journeyman.traces.span import traceparent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcp import Client
    from mcp.client import Transport

Notice = Callable[[str], None]


def client(
    target: Target,
    mode: str,
    stderr: Tail,
    timeout: float,
    *,
    notice: Notice,
    ended: Callable[[], None],
    saw: Callable[[str, str], None],
) -> "Client":
    """A client that is not entered yet. It must be entered and left in one task.

    Args:
        target: whom to reach.
        mode: `auto` or `legacy`, the era of the protocol.
        stderr: takes what a command writes there.
        timeout: seconds an answer may take.
        notice: is told about tools that had to be left out.
        ended: is called when nothing more will be heard.
        saw: is told each tool that is listed: its name and its whole definition, as the server sent it.
    """
    from mcp import Client  # noqa: PLC0415 - takes half a second

    logging.getLogger("mcp").addHandler(logging.NullHandler())  # else its tracebacks reach the terminal
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
            transport = _sifted(stdio(target, stderr), notice, ended, saw)
        case Url():
            transport = _sifted(_url(target, timeout), notice, ended, saw)

    return Client(transport, mode=mode, read_timeout_seconds=timeout)


@asynccontextmanager
async def _url(target: Url, timeout: float) -> "AsyncGenerator[Any]":  # noqa: ASYNC109 - the HTTP client's own
    import httpx2  # noqa: PLC0415
    from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        limits = httpx2.Timeout(10, read=timeout)
        hooks: Any = {"request": [_hand_on]}
        http = httpx2.AsyncClient(headers=dict(target.headers), timeout=limits, event_hooks=hooks)
        await stack.enter_async_context(http)
        yield await stack.enter_async_context(streamable_http_client(target.url, http_client=http))


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


async def _hand_on(request: Any) -> None:
    """The same as a header, for what stands between us and the server."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    TraceContextTextMapPropagator().inject(request.headers)


@asynccontextmanager
async def _sifted(
    transport: "Transport", notice: Notice, ended: Callable[[], None], saw: Callable[[str, str], None]
) -> "AsyncGenerator[Any]":
    async with transport as (reading, writing):
        yield Sieve(reading, notice, ended, saw), writing


class Sieve:
    """A transport's reading end that takes unusable tools out of a list; the SDK would refuse the whole list.

    What a tool says of its results is taken out too: the SDK would check them by a stranger's schema, in any time.
    """

    def __init__(self, stream: Any, notice: Notice, ended: Callable[[], None], saw: Callable[[str, str], None]) -> None:
        self._stream = stream
        self._notice = notice
        self._ended = ended
        self._saw = saw

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
        from mcp_types import Tool  # noqa: PLC0415
        from pydantic import ValidationError  # noqa: PLC0415

        if isinstance(tool, dict):
            self._saw(str(tool.get("name")), canonical(tool))
            tool.pop("outputSchema", None)
            if isinstance(schema := tool.get("inputSchema"), dict):
                schema.setdefault("type", "object")

        try:
            Tool.model_validate(tool, by_name=False)
            schema = tool["inputSchema"]
            problem = broken(schema) if schema["type"] == "object" else "its arguments are not an object"
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            problem = f"{place}: {first['msg']}" if place else "it is not an object"

        if problem:
            name = tool.get("name") if isinstance(tool, dict) else tool
            self._notice(f"the tool {name!r} is left out: {problem}")

        return not problem
