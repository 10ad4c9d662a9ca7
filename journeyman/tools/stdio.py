"""A program that speaks MCP on its standard input and output, kept within bounds.

The SDK's own transport reads a line of any length, in time that grows with its square. Here a message has at most 16
MiB; the answer to a call that is larger becomes an error of that call, or ends the connection where it is not clear
whose answer it is. When the connection ends so does the program, with what it started in its own session.

A program of the older protocol may say nothing at all to the first word of the present one. Then it is answered for it
here, so that it is soon spoken to in its own.
"""

import os
import re
import signal
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, ObjectReceiveStream, ObjectSendStream, Process

from journeyman.tools.confined import started
from journeyman.tools.tail import Tail
from journeyman.tools.target import Command

if TYPE_CHECKING:
    from mcp.shared.message import SessionMessage

MOST = 16 * 1024 * 1024
"""Bytes of one message."""
GRACE_S = 2.0
"""For the program to end by itself once its input is closed, and again once it is asked to."""

SOON_S = 0.2
"""The same for one that never said anything."""

EDGE = 200
"""Bytes that are kept of both ends of a message that is too long."""
FIRST = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d+)\s*[,}]')
LAST = re.compile(rb',\s*"id"\s*:\s*(\d+)\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$')
"""A message's own id, where it stands at one of its ends; any other could belong to something inside it."""
GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


@asynccontextmanager
async def stdio(target: Command, stderr: Tail, probe: float) -> AsyncGenerator[Any]:
    """The program's messages and the way to it, as the SDK's client wants them.

    Args:
        target: the program.
        stderr: takes what it writes there.
        probe: seconds for it to say anything to `server/discover`.

    Raises:
        OSError, ServerError: the program cannot be started.
    """
    async with started(target, stderr) as process:
        if process.stdin is None or process.stdout is None:
            raise AssertionError  # both are pipes

        told, hearing = anyio.create_memory_object_stream[Any](0)
        speaking, said = anyio.create_memory_object_stream[Any](0)
        try:
            async with anyio.create_task_group() as group:
                heard = anyio.Event()
                group.start_soon(_hear, process.stdout, told, heard)
                probed = partial(group.start_soon, _probe, heard, told, probe)
                group.start_soon(_speak, said, process.stdin, told, probed)
                group.start_soon(stderr.follow)
                try:
                    yield hearing, speaking
                finally:
                    with anyio.CancelScope(shield=True):
                        await _end(process, GRACE_S if heard.is_set() else SOON_S)

                    group.cancel_scope.cancel()
        finally:
            for stream in (told, hearing, speaking, said):
                stream.close()

            with anyio.CancelScope(shield=True), suppress(*GONE):
                await process.aclose()


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line that nobody keeps."""

    first: bytes
    last: bytes

    @property
    def id(self) -> int | None:
        found = LAST.search(self.last) or FIRST.match(self.first)
        return int(found[1]) if found else None


class Lines:
    """Bytes as lines; of a line that is too long only both ends."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._line = bytearray()
        self._length = 0

    def feed(self, chunk: bytes) -> Iterator[bytes | TooLong]:
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            self._extend(piece)
            line = self._line
            yield bytes(line) if self._length <= self._most else TooLong(bytes(line[:EDGE]), bytes(line[-EDGE:]))
            self._line, self._length = bytearray(), 0

        self._extend(rest)

    def _extend(self, piece: bytes) -> None:
        self._length += len(piece)
        self._line += piece
        if self._length > self._most:
            del self._line[EDGE:-EDGE]


async def _hear(stdout: ByteReceiveStream, told: ObjectSendStream[Any], heard: anyio.Event) -> None:
    """Until the program closes its output, or says something too long that no call can be told about."""
    lines = Lines()
    async with told:
        with suppress(*GONE):
            async for chunk in stdout:
                for line in lines.feed(chunk):
                    if isinstance(line, TooLong) and line.id is None:
                        return

                    if (message := _message(line)) is not None:
                        heard.set()
                        await told.send(message)


async def _probe(heard: anyio.Event, told: ObjectSendStream[Any], seconds: float, asked: Any) -> None:
    """Say for a program that says nothing that it does not know the word."""
    from mcp.shared.message import SessionMessage  # noqa: PLC0415
    from mcp_types import METHOD_NOT_FOUND, ErrorData, JSONRPCError  # noqa: PLC0415

    with anyio.move_on_after(seconds):
        await heard.wait()
        return

    error = ErrorData(code=METHOD_NOT_FOUND, message="no answer")
    with suppress(*GONE):
        await told.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=asked.id, error=error)))


async def _speak(
    said: ObjectReceiveStream[Any],
    stdin: ByteSendStream,
    told: ObjectSendStream[Any],
    probed: Callable[[Any], None],
) -> None:
    try:
        async for each in said:
            if getattr(each.message, "method", "") == "server/discover":
                probed(each.message)

            text = each.message.model_dump_json(by_alias=True, exclude_unset=True)
            await stdin.send(text.encode() + b"\n")
    except GONE:
        await told.aclose()  # nobody reads any more: let the session see the end


def _message(line: bytes | TooLong) -> "SessionMessage | Exception | None":
    from mcp.shared.message import SessionMessage  # noqa: PLC0415
    from mcp_types import INTERNAL_ERROR, ErrorData, JSONRPCError, jsonrpc_message_adapter  # noqa: PLC0415

    if isinstance(line, TooLong):
        error = ErrorData(code=INTERNAL_ERROR, message=f"the server's answer is larger than {MOST:,} bytes")
        return SessionMessage(JSONRPCError(jsonrpc="2.0", id=line.id, error=error))

    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False)) if line.strip() else None
    except ValueError as error:
        return error


async def _end(process: Process, grace: float) -> None:
    """Close its input, then ask it, then kill it; and whatever it started with it."""
    if process.stdin is not None:
        with suppress(*GONE):
            await process.stdin.aclose()

    for last in (signal.SIGTERM, signal.SIGKILL):
        with anyio.move_on_after(grace):
            await process.wait()

        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, last)

    with anyio.move_on_after(GRACE_S):
        await process.wait()
