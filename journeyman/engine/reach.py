"""The way to the engine's process, which is started where it is not there."""

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import anyio

from journeyman.engine.place import log_path, short
from journeyman.errors import Disconnected
from journeyman.sandbox.wire import Wire

POLL_S = 0.03


async def reached(path: Path, seconds: float, *, start: bool) -> Wire:
    """A connection to the engine that listens there; where there is none, one is started, if it may `start`.

    Raises:
        Disconnected: there is none, or it does not start in so many `seconds`.
    """
    process: subprocess.Popen[bytes] | None = None
    deadline = anyio.current_time() + seconds
    while True:
        try:
            with short(path) as address:
                return _connected(address)
        except OSError as error:
            if not start:
                raise Disconnected(f"No engine listens at {path}.", fix="journeyman serve") from error

        if process is None or process.poll() == 0:  # the one that was there was about to end
            process = _start(path)

        if process.poll() not in {None, 0} or anyio.current_time() > deadline:
            raise Disconnected(f"The engine does not start. {_tail()}", fix=f"See {log_path()}, or: journeyman serve")

        await anyio.sleep(POLL_S)


def _connected(address: str) -> Wire:
    """Raises OSError: nothing listens there."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.setblocking(False)
        connection.connect(address)
    except OSError:
        connection.close()
        raise

    return Wire(connection)


def _start(path: Path) -> "subprocess.Popen[bytes]":
    """An engine that outlives this process and its terminal. Of several that start at once one stays."""
    try:
        with log_path().open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "journeyman", "serve", "--socket", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
    except OSError as error:
        raise Disconnected(f"The engine cannot be started: {error}.", fix=f"See {log_path()}.") from error

    started.append(process)
    return process


started: "list[subprocess.Popen[bytes]]" = []
"""They outlive us: nobody waits for their end."""


def _tail() -> str:
    with suppress(OSError):
        return log_path().read_text("utf-8", "replace")[-1500:].strip()

    return ""
