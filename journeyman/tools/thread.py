"""Runs a blocking function beside the event loop, in a daemon thread of its own.

A thread cannot be killed. Cancelling leaves it running and throws its result away; being a daemon it does not hold up
the end of the process, which the event loop's own worker threads would.
"""

from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import Any, TypeVar

import anyio
from anyio import from_thread
from anyio.lowlevel import current_token

T = TypeVar("T")


async def in_thread(function: Callable[[], T]) -> T:
    """What the function returns or raises. It sees the caller's context variables."""
    token, done, context = current_token(), anyio.Event(), copy_context()
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome[:] = [context.run(function), None]
        except BaseException as error:  # noqa: BLE001 - carried over to the waiting task
            outcome[:] = [None, error]

        with suppress(RuntimeError):  # the loop is gone: nobody waits
            from_thread.run_sync(done.set, token=token)

    Thread(target=work, daemon=True, name="journeyman tool").start()
    await done.wait()
    value, error = outcome
    if error is not None:
        raise error

    return value
