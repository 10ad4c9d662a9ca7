"""The standard streams as a wire that is waited for by the event loop.

The SDK reads and writes them in threads: three changes of thread a message, which on a busy machine cost more than most
calls. While the wire is in use, descriptor 0 leads nowhere and 1 to stderr, so that no stray `print` tears a message.
"""

import os
import select
import stat
from collections.abc import Generator
from contextlib import contextmanager

import anyio

READ = 1 << 16
LONGEST = 64 << 20
"""Bytes of one message; whoever sends more is not listened to any longer."""
WRITTEN = 4096
"""Bytes that a pipe takes without waiting once it takes any."""


class Lines:
    """Messages that come in, one a line."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._kept = bytearray()
        self._looked = 0

    def __aiter__(self) -> "Lines":
        return self

    async def __anext__(self) -> str:
        while (end := self._kept.find(b"\n", self._looked)) < 0:
            self._looked = len(self._kept)
            await anyio.wait_readable(self._descriptor)
            data = os.read(self._descriptor, READ)
            if not data or self._looked > LONGEST:
                raise StopAsyncIteration

            self._kept += data

        line = bytes(self._kept[: end + 1])
        del self._kept[: end + 1]
        self._looked = 0
        return line.decode("utf-8", "replace")


class Out:
    """Where messages go."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def write(self, text: str) -> None:
        data = memoryview(text.encode("utf-8", "replace"))
        while data:
            await anyio.wait_writable(self._descriptor)
            data = data[os.write(self._descriptor, data[:WRITTEN]) :]

    async def flush(self) -> None:
        """Nothing is kept back."""


@contextmanager
def wire() -> Generator[tuple[Lines, Out] | None]:
    """Both ends; None where the streams are no pipes, sockets or terminals, which cannot be waited for."""
    if not all(hasattr(select, "epoll") and _can_be_waited_for(descriptor) for descriptor in (0, 1)):
        yield None
        return

    inward, outward = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    os.close(nowhere)
    try:
        yield Lines(inward), Out(outward)
    finally:
        for kept, descriptor in ((inward, 0), (outward, 1)):
            os.dup2(kept, descriptor)
            os.close(kept)


def _can_be_waited_for(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)
