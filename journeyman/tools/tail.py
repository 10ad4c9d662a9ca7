"""The last words of a program on its stderr: a pipe that is always emptied and of which only the end is kept."""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Self

import anyio

from journeyman.safe import safe

KEPT = 4096
"""Bytes."""
LINES = 20
ONE_LINE = 5
"""Lines of a sentence that tells of it."""
READ = 64 * 1024
PAUSE_S = 0.001
"""Between two readings: a program that floods is slowed down, and nobody else."""
AT_ONCE = 16
"""Readings that a look at it may take."""


class Tail:
    """`writing` is the program's end; close it here once the program has it."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)
        self._kept = b""
        self._told: dict[str, None] = {}
        self.refused: Callable[[], list[str]] = list
        """The hosts that the sandbox would not let it reach since this was last asked."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._reading)
        self._reading = -1
        self.close_writing()

    def close_writing(self) -> None:
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    async def follow(self) -> None:
        """Empty the pipe until its other end is closed."""
        while True:
            await anyio.wait_readable(self._reading)
            if not self._read():
                return

            await anyio.sleep(PAUSE_S)

    def __str__(self) -> str:
        """The last lines, on one line."""
        return " | ".join(self.lines[-ONE_LINE:])

    @property
    def lines(self) -> list[str]:
        """The last lines, as a person may read them."""
        with suppress(BlockingIOError, OSError):
            for _ in range(AT_ONCE):
                if not self._read():
                    break

        lines = self._kept.decode(errors="replace").splitlines()[-LINES:]
        self._told |= dict.fromkeys(self.refused()[:LINES])
        lines += [f"the sandbox did not let it reach {each}" for each in list(self._told)[:LINES]]
        return [safe(line.strip(), 200) for line in lines if line.strip()]

    def _read(self) -> bytes:
        chunk = os.read(self._reading, READ)
        self._kept = (self._kept + chunk)[-KEPT:]
        return chunk
