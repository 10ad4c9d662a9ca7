"""A runtime that is kept open in an event loop of its own, in a thread, for callers that have none."""

import atexit
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from typing import NamedTuple, ParamSpec, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from journeyman.agent.runtime import Runtime

P = ParamSpec("P")
T = TypeVar("T")

LEAVING_S = 10.0
"""For a run that is stopped to write its end."""


class Opened(NamedTuple):
    portal: BlockingPortal
    runtime: Runtime

    def call(self, work: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it over there and wait for it; an interrupt here (Ctrl-C) stops it there, and waits for its end."""
        ended = threading.Event()

        async def watched() -> T:
            try:
                return await work(*args, **kwargs)
            finally:
                ended.set()

        future = self.portal.start_task_soon(watched)
        try:
            return future.result()
        except BaseException:
            if future.cancel():
                ended.wait(LEAVING_S)

            raise


class Background:
    """Opens what `make` makes on first use, once for all threads, until `close` or the end of the program."""

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[Runtime]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._opened: Opened | None = None

    def open(self) -> Opened:
        with self._lock:
            if self._opened is None:
                with ExitStack() as stack:
                    portal = stack.enter_context(start_blocking_portal())
                    runtime = stack.enter_context(portal.wrap_async_context_manager(self._make()))
                    self._stack, self._opened = stack.pop_all(), Opened(portal, runtime)
                    atexit.register(self.close)

            return self._opened

    def close(self) -> None:
        atexit.unregister(self.close)
        with self._lock:
            self._opened = None
            self._stack.close()
