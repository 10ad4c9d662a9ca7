"""A part of a long run: how many events it has, and those behind the first so many, without reading all of them.

Counted is as `Store.events` gives them: what a fork shares with its parent comes first.
"""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import func, select

from journeyman.traces import schema
from journeyman.traces.events import RunStarted
from journeyman.traces.store import Store, rows_of
from journeyman.traces.writer import Stored


class _Stretch(NamedTuple):
    run_id: str
    events: int


def length(store: Store, run_id: str) -> int:
    """How many events it has; 0 where there is no such run."""
    return sum(each.events for each in _stretches(store, run_id))


def behind(store: Store, run_id: str, first: int) -> Iterator[Stored]:
    """Its events behind the first so many.

    Raises:
        StoreError: content is missing.
    """
    for run, events in _stretches(store, run_id):
        if first < events:
            yield from _own(store, run, first, events)

        first = max(first - events, 0)


def _stretches(store: Store, run_id: str) -> list[_Stretch]:
    """The runs that its events are stored under, the oldest first, and how many of each are its own."""
    found: list[_Stretch] = []
    until: int | None = None
    while run_id:
        last = _last(store, run_id)
        found.append(_Stretch(run_id, last if until is None else min(until, last)))
        first = next(iter(_own(store, run_id, 0, 1)), None)
        started = first.event if first else None
        parent = started.parent if isinstance(started, RunStarted) and started.parent_seq is not None else None
        until = started.parent_seq if isinstance(started, RunStarted) else None
        run_id = parent or ""

    return found[::-1]


def _last(store: Store, run_id: str) -> int:
    event = schema.event.c
    with store.reading() as connection:
        return connection.scalar(select(func.max(event.seq)).where(event.run_id == run_id)) or 0


def _own(store: Store, run_id: str, first: int, until: int) -> Iterator[Stored]:
    """A row is numbered by the last of its events."""
    with store.reading() as connection:
        for row in connection.execute(rows_of(run_id).where(schema.event.c.seq > first)):
            for each in store.stored(connection, row):
                if each.seq > until:
                    return

                if each.seq > first:
                    yield each
