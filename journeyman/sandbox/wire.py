"""A connected socket as a stream, with nothing between: a cell is two system calls and one turn of the event loop."""

import socket

import anyio
from anyio.abc import ByteStream

_LEAST, _MOST = 1 << 14, 1 << 18
"""Bytes of one read: room for them is taken from the system anew each time, so it grows only where they come."""


class Wire(ByteStream):
    """The socket is this stream's from now on. One task reads, one writes."""

    def __init__(self, raw: socket.socket) -> None:
        raw.setblocking(False)
        self._raw = raw
        self._room = _LEAST

    async def receive(self, max_bytes: int = _MOST) -> bytes:
        while True:
            if self._raw.fileno() < 0:
                raise anyio.ClosedResourceError

            try:
                await anyio.wait_readable(self._raw)
                data = self._raw.recv(min(max_bytes, self._room))
            except BlockingIOError:
                continue
            except OSError as error:
                raise anyio.BrokenResourceError from error

            if not data:
                raise anyio.EndOfStream

            self._room = _MOST if len(data) == self._room else _LEAST
            return data

    async def send(self, item: bytes) -> None:
        left = memoryview(item)
        try:
            while left:
                try:
                    left = left[self._raw.send(left) :]
                except BlockingIOError:
                    await anyio.wait_writable(self._raw)
                except OSError as error:
                    raise anyio.BrokenResourceError from error
        finally:
            if 0 < len(left) < len(item):  # half a message: nothing after it would be understood
                self.close()

    async def send_eof(self) -> None:
        self._raw.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        if self._raw.fileno() >= 0:
            anyio.notify_closing(self._raw)
            self._raw.close()
