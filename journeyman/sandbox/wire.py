"""A connected socket as a stream, with nothing between: a cell is two system calls and one turn of the event loop."""

import socket

import anyio
from anyio.abc import ByteStream

_CHUNK = 1 << 18


class Wire(ByteStream):
    """The socket is this stream's from now on. One task reads, one writes."""

    def __init__(self, raw: socket.socket) -> None:
        raw.setblocking(False)
        self._raw = raw

    async def receive(self, max_bytes: int = _CHUNK) -> bytes:
        while True:
            try:
                await anyio.wait_readable(self._raw)
                data = self._raw.recv(max_bytes)
            except BlockingIOError:
                continue
            except OSError as error:
                raise anyio.BrokenResourceError from error

            if not data:
                raise anyio.EndOfStream

            return data

    async def send(self, item: bytes) -> None:
        left = memoryview(item)
        while left:
            try:
                left = left[self._raw.send(left) :]
            except BlockingIOError:
                await anyio.wait_writable(self._raw)
            except OSError as error:
                raise anyio.BrokenResourceError from error

    async def send_eof(self) -> None:
        self._raw.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        if self._raw.fileno() >= 0:
            anyio.notify_closing(self._raw)
            self._raw.close()
