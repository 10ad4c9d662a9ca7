"""The writing half of a store: one thread, one connection, one transaction for whatever has gathered.

`Recorder.record` only appends to a queue and never waits. `Recorder.barrier` waits until everything recorded before it
is committed; barriers of many runs share a commit. Between barriers the thread commits what has gathered every `LINGER`
seconds, so that a killed process loses at most the call in flight.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

import anyio
from anyio.lowlevel import EventLoopToken, current_token
from sqlalchemy import Connection, Engine, Update, insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from journeyman.errors import StoreError
from journeyman.traces import schema
from journeyman.traces.codec import Row, encode
from journeyman.traces.events import RunFinished, RunStarted, StoredEvent

LINGER = 0.02


class Stored(NamedTuple):
    """An event with what the store knows of it."""

    run_id: str
    seq: int
    """1 for the first event of a run."""
    at: int
    """Microseconds since 1970, UTC."""
    event: StoredEvent

    def json(self) -> str:
        """One line of JSON: the event's own keys, and `run_id`, `seq` and `at` before them."""
        head = f'"run_id":"{self.run_id}","seq":{self.seq},"at":{self.at}'
        return f"{{{head},{self.event.model_dump_json(exclude_none=True)[1:]}"


Watch = Callable[[Stored], None]


class _Barrier:
    """Woken in its own event loop once the writer has committed, or failed."""

    __slots__ = ("done", "error", "token")

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.error: StoreError | None = None
        self.token = current_token()


class Writer:
    def __init__(self, engine: Engine, explain: Callable[[Exception], StoreError]) -> None:
        self._engine = engine
        self._explain = explain
        self._entries: deque[Stored] = deque()
        self._wake: queue.SimpleQueue[_Barrier | None] = queue.SimpleQueue()
        self._known_blobs: set[str] = set()
        self._error: StoreError | None = None
        self._insert = _insert_statement(engine)
        self._driver_error = engine.dialect.loaded_dbapi.Error
        self._thread = threading.Thread(target=self._work, name="journeyman-store", daemon=True)
        self._thread.start()

    def put(self, entry: Stored) -> None:
        self._entries.append(entry)

    async def barrier(self) -> None:
        """Wait until everything put before is committed.

        Raises:
            StoreError: it could not be written; nothing that was reported as committed is lost.
        """
        barrier = _Barrier()
        self._wake.put(barrier)
        await barrier.done.wait()
        if barrier.error is not None:
            raise barrier.error

    def close(self) -> None:
        """Commit what is left and end the thread."""
        self._wake.put(None)
        self._thread.join()

    def _work(self) -> None:
        with self._engine.connect() as connection:
            closing = False
            while not closing:
                barriers, closing = self._gather()
                if self._entries and self._error is None:
                    self._commit(connection)

                _release(barriers, self._error)

    def _gather(self) -> tuple[list[_Barrier], bool]:
        """Wait for a barrier, or for a while; then take every barrier there is."""
        try:
            first = self._wake.get(timeout=LINGER)
        except queue.Empty:
            return [], False

        tokens = [first]
        while not self._wake.empty():
            tokens.append(self._wake.get())

        return [token for token in tokens if token is not None], None in tokens

    def _commit(self, connection: Connection) -> None:
        entries = [self._entries.popleft() for _ in range(len(self._entries))]
        try:
            self._write(connection, entries)
            if connection.in_transaction():
                connection.commit()
            else:
                connection.connection.commit()
        except (SQLAlchemyError, self._driver_error) as error:
            self._error = self._explain(error)

    def _write(self, connection: Connection, entries: list[Stored]) -> None:
        rows = [(entry, encode(entry.event)) for entry in entries]
        for _, row in rows:
            if row.blobs:
                self._write_blobs(connection, row)

        values = [(e.run_id, e.seq, e.at, row.type, row.body, row.tokens) for e, row in rows]
        with closing(connection.connection.cursor()) as cursor:  # the driver's own: the hot path
            cursor.executemany(self._insert, values)

        for entry in entries:
            if entry.event.type in _PROJECTED:
                _project(connection, entry)

    def _write_blobs(self, connection: Connection, row: Row) -> None:
        for key, data in row.blobs:
            if key not in self._known_blobs:
                dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
                connection.execute(dialect.insert(schema.blob).values(hash=key, data=data).on_conflict_do_nothing())
                self._known_blobs.add(key)


class Recorder:
    """Writes one run. What the loop knows of the store."""

    def __init__(self, writer: Writer, run_id: str, seq: int = 0, watch: Watch | None = None) -> None:
        self.run_id = run_id
        self._writer = writer
        self._seq = seq
        self._watch = watch

    def record(self, event: StoredEvent) -> None:
        self._seq += 1
        stored = Stored(self.run_id, self._seq, time.time_ns() // 1000, event)
        self._writer.put(stored)
        if self._watch is not None:
            self._watch(stored)

    async def barrier(self) -> None:
        await self._writer.barrier()


def _release(barriers: list[_Barrier], error: StoreError | None) -> None:
    """Wake the waiting tasks, each event loop once."""
    by_loop: dict[EventLoopToken, list[_Barrier]] = {}
    for barrier in barriers:
        barrier.error = error
        by_loop.setdefault(barrier.token, []).append(barrier)

    for token, woken in by_loop.items():
        _schedule(token)(_set_all, woken)


def _schedule(token: EventLoopToken) -> Callable[..., object]:
    """How another thread runs a function in that event loop, without waiting for it."""
    native = token.native_token  # asyncio's loop, or trio's token
    return getattr(native, "call_soon_threadsafe", None) or getattr(native, "run_sync_soon")  # noqa: B009


def _set_all(barriers: list[_Barrier]) -> None:
    for barrier in barriers:
        barrier.done.set()


def _insert_statement(engine: Engine) -> str:
    """The INSERT as the driver takes it, compiled once; parameters in the order of the table's columns."""
    placeholders = {"qmark": "?", "format": "%s", "pyformat": "%s"}
    mark = placeholders[engine.dialect.paramstyle]
    columns = [column.name for column in schema.event.columns]
    return f"INSERT INTO event ({', '.join(columns)}) VALUES ({', '.join([mark] * len(columns))})"  # noqa: S608 - no data


_PROJECTED = {"run_started", "run_finished", "message_added"}


def _project(connection: Connection, entry: Stored) -> None:
    """Keep the `run` table, which lists are made from, in step."""
    match entry.event:
        case RunStarted() as event:
            values = {"model": event.model, "prompt": event.prompt, "parent": event.parent}
            statement = insert(schema.run).values(run_id=entry.run_id, started_at=entry.at, **values)
        case RunFinished() as event:
            statement = _update(entry.run_id).values(
                ended_at=entry.at,
                outcome=event.outcome,
                answer=event.answer,
                steps=event.steps,
                prompt_tokens=event.usage.prompt_tokens,
                completion_tokens=event.usage.completion_tokens,
                denied=event.denied,
                seconds=event.seconds,
            )
        case _:  # the run goes on after its end
            statement = _update(entry.run_id).values(ended_at=None, outcome=None)

    connection.execute(statement)


def _update(run_id: str) -> Update:
    return update(schema.run).where(schema.run.c.run_id == run_id)
