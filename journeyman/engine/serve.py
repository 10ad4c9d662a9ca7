"""The engine as a process: on a socket that only this user reaches, or on standard input and output for one client."""

import asyncio
import fcntl
import os
import signal
import socket
import struct
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import anyio
from acp.connection import Connection
from acp.stdio import stdio_streams
from anyio.abc import TaskStatus

from journeyman.engine.agent import Agent
from journeyman.engine.engine import Engine
from journeyman.engine.peer import LEAVING_S, Peer
from journeyman.engine.place import short
from journeyman.errors import ConfigError, UsageError

LONGEST_LINE = 64 << 20
"""Bytes of one message."""
IDLE_S = 600.0
"""How long an engine stays that has nothing to do and nobody to talk to."""


async def on_socket(
    path: Path, idle: float = IDLE_S, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> bool:
    """Serve until idle, stopped or signalled; False at once where another engine already does.

    Raises:
        ConfigError: nothing can listen there.
    """
    with _alone(path) as alone:
        if not alone:
            return False

        async with _engine() as engine:
            server = await _listen(path, engine)
            task_status.started()
            try:
                await engine.until_idle(idle)
            finally:
                server.close()

        return True


async def on_stdio() -> None:
    """Serve the client on standard input and output until it leaves."""
    try:
        reader, writer = await stdio_streams(limit=LONGEST_LINE)
    except ValueError as error:  # asyncio's word for a file
        fix = "Let an editor start it: journeyman acp register"
        raise UsageError(f"ACP needs pipes: {error}.", fix=fix) from error

    sys.stdout = sys.stderr  # what else is printed must not get between
    async with _engine() as engine:
        await _client(engine, reader, writer)


@asynccontextmanager
async def _engine() -> AsyncGenerator[Engine]:
    """Leaving it interrupts what is under way."""
    with ExitStack() as stack:
        async with anyio.create_task_group() as group:
            engine = Engine(group)
            stack.callback(engine.close)
            group.start_soon(_until_signalled, group.cancel_scope)
            yield engine
            group.cancel_scope.cancel()


async def _client(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    peer = Peer()
    engine.join(peer)
    try:
        async with anyio.create_task_group() as group:
            await peer.serve(Connection(Agent(engine, peer), writer, reader, listening=False), group)
    finally:
        engine.leave(peer)
        writer.close()


async def _caller(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await _client(engine, reader, writer)
    finally:
        with anyio.move_on_after(LEAVING_S, shield=True), suppress(OSError):
            await writer.wait_closed()


async def _listen(path: Path, engine: Engine) -> asyncio.Server:
    def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if _is_ours(writer.get_extra_info("socket")):
            engine.group.start_soon(_caller, engine, reader, writer)
        else:
            writer.close()

    before = os.umask(0o177)
    try:
        with short(path) as address:
            return await asyncio.start_unix_server(come, address, limit=LONGEST_LINE)
    except OSError as error:
        raise ConfigError(f"The engine cannot listen at {path}: {error}.", fix="Make its folder your own.") from error
    finally:
        os.umask(before)


def _is_ours(connection: socket.socket) -> bool:
    """The other end belongs to this user, whatever the file's permissions say."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return struct.unpack("3i", told)[1] == os.getuid()


@contextmanager
def _alone(path: Path) -> Generator[bool]:
    """Is this the only engine there? The lock goes with the process, however it ends."""
    descriptor = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
        yield True
        path.unlink(missing_ok=True)
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


async def _until_signalled(scope: anyio.CancelScope) -> None:
    with suppress(NotImplementedError), anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return
