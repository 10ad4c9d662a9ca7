"""Lines from standard input, one at a time, whatever it is, without blocking the event loop."""

import os
import stat
import sys

import anyio

PIECE = 1 << 16


class Lines:
    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self._ended = False
        self._lock = anyio.Lock()
        kind = os.fstat(descriptor).st_mode
        self.typed = os.isatty(descriptor)
        self._can_wait = self.typed or stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)  # not /dev/null, which epoll refuses
        """A person types them and sees what they type."""

    @property
    def busy(self) -> bool:
        """Somebody waits for a line already."""
        return self._lock.locked()

    async def ask(self, question: str) -> str | None:
        """What is answered; None at the end of input."""
        async with self._lock:
            sys.stdout.write(question)
            sys.stdout.flush()
            line = await self._next()
            if not self.typed:  # else the answer's own newline ends the line
                sys.stdout.write("\n")

            return line

    async def _next(self) -> str | None:
        while b"\n" not in self._rest and not self._ended:
            if self._can_wait:
                await anyio.wait_readable(self._descriptor)

            piece = os.read(self._descriptor, PIECE)
            self._rest += piece
            self._ended = not piece

        line, newline, self._rest = self._rest.partition(b"\n")
        return line.decode("utf-8", "replace").strip() if line or newline else None
