"""What of a session is in the store: its run, or the beginning of another one that it was forked from."""

from collections.abc import AsyncGenerator, Iterator
from itertools import islice
from typing import Any, NamedTuple

import anyio
from anyio import to_thread

from journeyman.engine.updates import Updates
from journeyman.traces.events import MessageAdded, RunStarted
from journeyman.traces.paging import behind, length
from journeyman.traces.store import Store
from journeyman.traces.writer import Stored

PAGE = 2000
"""Events that are read at once."""
TAIL = 8
"""Events at the end of a turn that say what the session has spent."""


class Stem(NamedTuple):
    """What a fork shares, until its first turn makes it a run."""

    run_id: str
    events: int


class Record:
    """Events are numbered through, 1 the first of all, whichever run they are stored under."""

    def __init__(self, store: Store, session_id: str, *, stored: bool = False, stem: Stem | None = None) -> None:
        self.store = store
        self.id = session_id
        self.stored = stored
        """It has a run of its own."""
        self.stem = stem
        self._catching = anyio.Lock()
        self.count = 0
        """Events of the turns that have ended."""

    @property
    def base(self) -> str | None:
        """The run that says what model and folder it began with."""
        return self.id if self.stored else self.stem.run_id if self.stem else None

    async def measure(self) -> None:
        """Count what is stored."""
        if self.stored:
            self.count = await to_thread.run_sync(length, self.store, self.id)
        elif self.stem:
            self.count = self.stem.events

    async def updates(self, start: int, until: int, root: str) -> AsyncGenerator[dict[str, Any]]:
        """Those of the events after the `start`-th up to the `until`-th. What was spent is right from the first on."""
        updates = Updates(start, root)
        events = self._events(start)
        while updates.count < until:
            page = await to_thread.run_sync(lambda: list(islice(events, min(PAGE, until - updates.count))))
            if not page:
                return

            for each in page:
                for update in updates.of(each.event, each.at / 1e6):
                    yield update

    async def catch_up(self, updates: Updates) -> None:
        """Let a translation know what was said before."""
        async with self._catching:
            if updates.count < self.count:
                await self._catch_up(updates)

    async def _catch_up(self, updates: Updates) -> None:
        start = max(self.count - TAIL, 0)
        last = await to_thread.run_sync(lambda: list(self._events(start)))
        if not last or last[-1].event.type != "run_finished":  # it was killed: nothing sums it up
            start, last = 0, await to_thread.run_sync(lambda: list(self._events()))

        updates.count = start
        for each in last:
            updates.of(each.event, each.at / 1e6)

    async def said_at(self, seq: int) -> tuple[int, str]:
        """How many events stand before a message of the user's, and what it says; (0, "") where there is none."""
        for each in await to_thread.run_sync(lambda: list(islice(self._events(max(seq - 1, 0)), 1))):
            match each.event:
                case RunStarted(parent_seq=None):
                    return 0, each.event.prompt
                case MessageAdded(origin="user"):
                    return seq - 1, each.event.text

        return 0, ""

    def _events(self, start: int = 0) -> Iterator[Stored]:
        events = behind(self.store, self.base, start) if self.base else iter(())
        return events if self.stored or self.stem is None else islice(events, max(self.stem.events - start, 0))


def first_of(store: Store, run_id: str) -> RunStarted | None:
    """How a run began; None where there is no such run."""
    stored: Stored | None = next(iter(store.own_events(run_id)), None)
    return stored.event if stored and isinstance(stored.event, RunStarted) else None
