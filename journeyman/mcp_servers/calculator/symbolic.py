"""Symbolic mathematics and units, done by a child process that is kept, and killed when it takes too long."""

import json
import sys
from contextlib import suppress
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from journeyman.errors import ToolError

PATIENCE_S = 15.0
LINE = 64 * 1024
TOO_LONG = f"this takes longer than {PATIENCE_S:g} seconds; ask for something simpler"


class Child:
    """Started when it is first needed, and again when it was killed. Requests wait for each other."""

    def __init__(self, patience: float = PATIENCE_S) -> None:
        self._patience = patience
        self._lock = anyio.Lock()
        self._process: Process | None = None
        self._lines: BufferedByteReceiveStream | None = None

    async def ask(self, work: str, **arguments: Any) -> str:
        """What comes of it, as text.

        Raises:
            ToolError: it cannot be done, or not in time.
        """
        async with self._lock:
            try:
                with anyio.fail_after(self._patience):
                    answer = await self._answer({"work": work, **arguments})
            except BaseException as error:
                await self._kill()
                if isinstance(
                    error, TimeoutError | anyio.EndOfStream | anyio.IncompleteRead | anyio.BrokenResourceError
                ):
                    raise ToolError(TOO_LONG) from None

                raise

        if "text" in answer:
            return answer["text"]

        raise ToolError(answer["refused"])

    async def close(self) -> None:
        async with self._lock:
            await self._kill()

    async def _answer(self, request: dict[str, Any]) -> dict[str, str]:
        if self._process is None:
            command = [sys.executable, "-I", "-m", "journeyman.mcp_servers.calculator.worker"]
            environment = {"OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
            self._process = await anyio.open_process(command, env=environment, stderr=None)
            assert self._process.stdout is not None  # noqa: S101 - it is a pipe
            self._lines = BufferedByteReceiveStream(self._process.stdout)

        assert self._process.stdin is not None and self._lines is not None  # noqa: S101, PT018 - the same
        await self._process.stdin.send(json.dumps(request).encode() + b"\n")
        return json.loads(await self._lines.receive_until(b"\n", LINE))

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return

        with anyio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                process.kill()

            await process.aclose()
