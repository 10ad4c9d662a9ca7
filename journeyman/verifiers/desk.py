"""Where runs are verified: in processes of their own, several at once, each with a time it may take.

async with Desk() as desk:
    scores = await desk.verify(checks, case)
"""

import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Self

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from pydantic import ValidationError

from journeyman.verifiers.case import Case
from journeyman.verifiers.check import Check
from journeyman.verifiers.score import Score
from journeyman.verifiers.worker import Job

GRACE = 10.0
"""Seconds over a job's own time until its worker is given up."""
LONGEST = 1 << 20
ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "JOURNEYMAN_HOME", "SYSTEMROOT")
"""What a verifier's process knows of ours: no keys."""


class Desk:
    """Workers are started with the first jobs; at most `workers` at once.

    Args:
        workers: as many as there are cores, by default.
        seconds: that a check may take.
    """

    def __init__(self, workers: int | None = None, *, seconds: float = 30.0) -> None:
        self.workers = workers or os.cpu_count() or 1
        self._seconds = seconds
        self._idle: list[_Worker] = []
        self._slots = anyio.CapacityLimiter(self.workers)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        for worker in self._idle:
            await worker.stop()

    async def verify(self, checks: Sequence[Check], case: Case) -> list[Score]:
        """A score for each check, in their order; a verifier's failure is a score without a value.

        Raises:
            ConfigError: a check names no verifier.
        """
        for check in checks:
            check.resolve()

        return [await self._one(check, case) for check in checks]

    async def _one(self, check: Check, case: Case) -> Score:
        job = Job(check=check, case=case, seconds=self._seconds).model_dump_json()
        async with self._slots:
            worker = self._idle.pop() if self._idle else await _Worker.start()
            try:
                with anyio.move_on_after(self._seconds + GRACE):
                    score = await worker.do(job)
                    self._idle.append(worker)
                    return score
            except (
                OSError,
                anyio.EndOfStream,
                anyio.IncompleteRead,
                anyio.DelimiterNotFound,
                ValidationError,
            ) as error:
                await worker.stop()
                return Score.missing(f"the verifier's worker died: {type(error).__name__}", "error")
            except BaseException:  # cancelled: whatever it is doing, nobody waits for it any more
                await worker.stop()
                raise

        await worker.stop()
        return Score.missing(f"took more than {self._seconds:g} s", "timeout")


class _Worker:
    def __init__(self, process: Process) -> None:
        self._process = process
        self._jobs = process.stdin
        self._answers = BufferedByteReceiveStream(process.stdout) if process.stdout else None

    @classmethod
    async def start(cls) -> Self:
        known = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        command = [sys.executable, "-m", "journeyman.verifiers.worker"]
        return cls(await anyio.open_process(command, stderr=None, env=known))

    async def do(self, job: str) -> Score:
        if self._jobs is None or self._answers is None:
            raise anyio.EndOfStream

        await self._jobs.send(f"{job}\n".encode())
        return Score.model_validate_json(await self._answers.receive_until(b"\n", LONGEST))

    async def stop(self) -> None:
        with anyio.CancelScope(shield=True):
            if self._process.returncode is None:
                self._process.kill()

            await self._process.aclose()
