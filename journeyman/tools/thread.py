"""Runs a blocking function beside the event loop, in a daemon thread that serves one call after another.

A thread cannot be killed. Cancelling leaves it running and throws its result away; being a daemon it does not hold up
the end of the process, which the event loop's own worker threads would.
"""

from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import anyio
from anyio.lowlevel import current_token

T = TypeVar("T")
Job = Callable[[], object]

IDLE = 16
"""Threads that are kept for the next call; starting one takes longer than most functions."""
_idle: list["SimpleQueue[Job]"] = []


async def in_thread(function: Callable[[], T]) -> T:
    """What the function returns or raises. It sees the caller's context variables."""
    loop: Any = current_token().native_token
    wake = loop.call_soon_threadsafe if hasattr(loop, "call_soon_threadsafe") else loop.run_sync_soon  # asyncio or trio
    done, context = anyio.Event(), copy_context()
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome[:] = [context.run(function), None]
        except BaseException as error:  # noqa: BLE001 - carried over to the waiting task
            outcome[:] = [None, error]

        with suppress(RuntimeError):  # the loop is gone: nobody waits
            wake(done.set)

    _hand_over(work)
    await done.wait()
    value, error = outcome
    if error is not None:
        raise error

    return value


def _hand_over(job: Job) -> None:
    try:
        jobs = _idle.pop()
    except IndexError:
        jobs = SimpleQueue[Job]()
        Thread(target=_serve, args=(jobs,), daemon=True, name="journeyman tool").start()

    jobs.put(job)


def _serve(jobs: "SimpleQueue[Job]") -> None:
    while True:
        jobs.get()()
        if len(_idle) >= IDLE:
            return

        _idle.append(jobs)
