"""The process that verifies: reads a job a line, does each in a child of its own, and writes a score a line.

    {"check": {...}, "case": {...}, "seconds": 30}   ->   {"value": 1.0, "verifier": "numeric/1", ...}

A job's process is forked for it and gone with it: what a verifier leaves behind (patched modules, timers, memory, a
signal handler) is no later job's. One that takes too long is killed with all it started.
"""

import contextlib
import os
import select
import signal
import sys
from types import ModuleType

import anyio
from pydantic import ValidationError

from journeyman.errors import JourneymanError
from journeyman.traces.messages import Value
from journeyman.verifiers.case import Case
from journeyman.verifiers.check import Check, verify_here
from journeyman.verifiers.score import Score

MEMORY = 4 << 30
"""Bytes of address space a verifier may take."""


class Job(Value):
    check: Check
    case: Case
    seconds: float = 30.0


def main() -> None:
    for line in sys.stdin.buffer:
        score = _done(line)
        sys.stdout.write(score.model_dump_json() + "\n")
        sys.stdout.flush()


def _done(line: bytes) -> Score:
    try:
        job = Job.model_validate_json(line)
        function = job.check.resolve()  # imports what it needs, once for all jobs
    except (ValidationError, JourneymanError) as error:
        return Score.missing(str(error), "error")

    if not hasattr(os, "fork"):
        return verify_here(job.check, job.case)

    _prepare(sys.modules[function.__module__])
    return _forked(job).model_copy(update={"verifier": function.__verifier__})


def _prepare(module: ModuleType) -> None:
    """Start what makes sandboxes, once for all jobs that need some; each job still has a fresh one of its own."""
    preload = getattr(module, "PRELOAD", None)
    if preload is None:
        return

    from journeyman.sandbox.server import server  # noqa: PLC0415 - few verifiers run code

    if "asyncio" not in sys.modules:
        anyio.run(anyio.sleep, 0)  # imports an event loop

    with contextlib.suppress(JourneymanError, OSError):  # the job will say what is wrong, or take another backend
        server(namespaces=True, preload=preload)


def _forked(job: Job) -> Score:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _child(job, writer)

    os.close(writer)
    try:
        written = _read(reader, job.seconds)
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

        os.waitpid(pid, 0)

    if written is None:
        return Score.missing(f"took more than {job.seconds:g} s", "timeout")

    try:
        return Score.model_validate_json(written)
    except ValidationError:
        return Score.missing("the verifier's process died", "error")


def _child(job: Job, writer: int) -> None:
    """Never returns."""
    code = 1
    try:
        os.setsid()
        _limit()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)  # what a verifier prints is not its score
        data = verify_here(job.check, job.case).model_dump_json().encode()
        while data:
            data = data[os.write(writer, data) :]

        code = 0
    finally:
        os._exit(code)


def _limit() -> None:
    import resource  # noqa: PLC0415 - not everywhere

    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _read(reader: int, seconds: float) -> bytes | None:
    """Everything that was written; None where the end did not come in time."""
    from time import monotonic  # noqa: PLC0415

    end, written = monotonic() + seconds, b""
    while (left := end - monotonic()) > 0:
        if not select.select([reader], [], [], left)[0]:
            return None

        piece = os.read(reader, 65536)
        if not piece:
            return written

        written += piece

    return None


if __name__ == "__main__":
    main()
