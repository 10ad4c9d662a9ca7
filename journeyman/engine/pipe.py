"""A connected socket, read and written without blocking the event loop.

anyio's own stream may fall over itself where a read is cancelled in the moment that something comes.
"""

import socket

import anyio

PIECE = 1 << 18


class Pipe:
    """Every method raises OSError where the other end is gone, or anyio.ClosedResourceError once it is closed."""

    def __init__(self, address: str) -> None:
        """Connect.

        Raises:
            OSError: nothing listens there.
        """
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._sending = anyio.Lock()
        try:
            self._socket.setblocking(False)
            self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise

    async def receive(self) -> bytes:
        """What has come; nothing at the end."""
        while True:
            try:
                return self._socket.recv(PIECE)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)

    async def send(self, data: bytes) -> None:
        async with self._sending:
            rest = memoryview(data)
            try:
                while rest:
                    try:
                        rest = rest[self._socket.send(rest) :]
                    except BlockingIOError:
                        await anyio.wait_writable(self._socket)
            finally:
                if 0 < len(rest) < len(data):  # half a message: nothing after it would be understood
                    self.close()

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            anyio.notify_closing(self._socket)
            self._socket.close()
