"""What of a session is in the store: its run, or the beginning of another one that it was forked from."""

from collections.abc import AsyncGenerator, Iterator
from itertools import islice
from typing import Any, NamedTuple

from anyio import to_thread

from journeyman.engine.updates import Updates
from journeyman.traces.events import MessageAdded, RunStarted
from journeyman.traces.store import Store
from journeyman.traces.writer import Stored

PAGE = 2000
"""Events that are read at once."""


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
        self.count = 0
        """Events of the turns that have ended."""

    @property
    def base(self) -> str | None:
        """The run that says what model and folder it began with."""
        return self.id if self.stored else self.stem.run_id if self.stem else None

    async def measure(self) -> None:
        """Count what is stored."""
        self.count = await to_thread.run_sync(lambda: sum(1 for _ in self._events()))

    async def updates(self, start: int, until: int) -> AsyncGenerator[dict[str, Any]]:
        """Those of the events after the `start`-th up to the `until`-th."""
        updates = Updates()
        events = self._events()
        while updates.count < until:
            page = await to_thread.run_sync(lambda: list(islice(events, min(PAGE, until - updates.count))))
            if not page:
                return

            for each in page:
                found = updates.of(each.event, each.at / 1e6)
                for update in found if updates.count > start else ():
                    yield update

    async def catch_up(self, updates: Updates) -> None:
        """Let a translation know what was said before."""
        if updates.count < self.count:
            for each in await to_thread.run_sync(lambda: list(islice(self._events(), self.count))):
                updates.of(each.event, each.at / 1e6)

    async def said_at(self, seq: int) -> tuple[int, str]:
        """How many events stand before a message of the user's, and what it says; (0, "") where there is none."""
        for number, each in enumerate(await to_thread.run_sync(lambda: list(self._events())), 1):
            if number == seq:
                match each.event:
                    case RunStarted(parent_seq=None):
                        return 0, each.event.prompt
                    case MessageAdded(origin="user"):
                        return number - 1, each.event.text

        return 0, ""

    def _events(self) -> Iterator[Stored]:
        base = self.base
        events = self.store.events(base) if base else iter(())
        return events if self.stored or self.stem is None else islice(events, self.stem.events)


def first_of(store: Store, run_id: str) -> RunStarted | None:
    """How a run began; None where there is no such run."""
    stored: Stored | None = next(iter(store.own_events(run_id)), None)
    return stored.event if stored and isinstance(stored.event, RunStarted) else None
