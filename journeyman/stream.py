"""The events of a run as they happen, for a loop that reads them."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any

import anyio
from anyio import to_thread

from journeyman.agent.run import Listener
from journeyman.agent.runtime import Runtime
from journeyman.background import LEAVING_S, Opened
from journeyman.traces.events import Event

Go = Callable[[Runtime, Sequence[Listener]], Awaitable[Any]]
"""Runs what is to be heard, in a runtime, with listeners."""


class Stream:
    """The events of one run: iterate it, with `for` or with `async for`. Leaving early ends the run.

    `async for` runs in your own event loop where the agent is entered (`async with agent`), else in the background.
    What ends the run ends the loop too: it is raised after the last event.
    """

    def __init__(self, go: Go, entered: Callable[[], Runtime | None], background: Callable[[], Opened]) -> None:
        self._go, self._entered, self._background = go, entered, background

    def __iter__(self) -> Iterator[Event]:
        there = self._background()
        events = _Events()
        try:
            there.call(events.start, self._go, there.runtime)
            while (event := there.call(events.next)) is not None:
                yield event
        finally:
            there.call(events.close)

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        if runtime := self._entered():
            call = _here
        else:
            there = await to_thread.run_sync(self._background, abandon_on_cancel=True)
            call, runtime = partial(_in_thread, there), there.runtime

        events = _Events()
        try:
            await call(events.start, self._go, runtime)
            while (event := await call(events.next)) is not None:
                yield event
        finally:
            with anyio.CancelScope(shield=True):
                await call(events.close)


async def _here(work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    return await work(*args)


async def _in_thread(there: Opened, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """Wait for another loop. A wait that is cancelled here is left behind; closing the events ends it there."""
    return await to_thread.run_sync(partial(there.call, work, *args), abandon_on_cancel=True)


class _Events:
    """The receiving end of a run that goes on in a task of the runtime's. Every method is for that one loop."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[Event](inf)
        self._run: tuple[anyio.CancelScope, anyio.Event] | None = None
        self._error: Exception | None = None
        self._closed = False

    async def start(self, go: Go, runtime: Runtime) -> None:
        if self._closed:  # whoever asked for it has left already
            return

        scope, ended = self._run = anyio.CancelScope(), anyio.Event()

        async def produce() -> None:
            try:
                with scope:
                    await go(runtime, [self._hear])
            except Exception as error:  # noqa: BLE001 - it is raised again where the events are read
                self._error = error
            finally:
                self._send.close()
                ended.set()

        runtime.spawn(produce)

    def _hear(self, event: Event) -> None:
        with suppress(anyio.BrokenResourceError):  # nobody listens any more; the run still writes its end
            self._send.send_nowait(event)

    async def next(self) -> Event | None:
        with suppress(anyio.EndOfStream):
            return await self._receive.receive()

        if self._error is not None:
            raise self._error

        return None

    async def close(self) -> None:
        """Stop the run and let it write its end."""
        self._closed = True
        self._receive.close()
        if self._run is not None:
            scope, ended = self._run
            scope.cancel()
            with anyio.move_on_after(LEAVING_S):
                await ended.wait()
