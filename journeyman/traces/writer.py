"""The writing half of a store: one connection, one transaction for whatever has gathered.

`Recorder.record` only appends to a queue and never waits. `Recorder.barrier` waits until everything recorded before
it is committed; barriers of many runs share a commit. On SQLite a barrier commits on the spot where the file is free:
that costs less than two changes of thread. Where it is not (another process writes, the disk must be waited for, the
database is a server) a thread does it and the caller's event loop goes on. Between barriers that thread commits what
has gathered every `LINGER` seconds, so that a killed process loses at most the call in flight; and it alone moves the
write-ahead log into the file, which waits for the disk.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import Any, NamedTuple

import anyio
from anyio.lowlevel import EventLoopToken, current_token
from sqlalchemy import Connection, Engine, select

from journeyman.errors import StoreError
from journeyman.traces import schema
from journeyman.traces.chain import START, Chain, Entry, line, seal
from journeyman.traces.codec import encode
from journeyman.traces.events import StoredEvent
from journeyman.traces.listed import LISTED, keep_listed

LINGER = 0.02
PATIENCE = 30.0
"""Seconds that another process may keep us from writing before the run ends with an error."""
CHECKPOINT_AFTER = 400
"""Commits after which the write-ahead log is moved into the file."""


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

    __slots__ = ("done", "token")

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.token = current_token()


class Writer:
    def __init__(self, engine: Engine, explain: Callable[[Exception], StoreError], *, quick: bool) -> None:
        """`quick`: a commit does not wait for anything but the file's lock, so that it may be made on the spot."""
        self._engine = engine
        self._explain = explain
        self._quick = quick
        self._entries: deque[Stored] = deque()
        self._wake: queue.SimpleQueue[_Barrier | None] = queue.SimpleQueue()
        self._links: dict[str, bytes] = {}
        self._error: StoreError | None = None
        self._insert = _insert_statement(engine, schema.event.columns.keys())
        self._insert_blob = _insert_statement(engine, ["hash", "data"], "blob", " ON CONFLICT DO NOTHING")
        self._connection = engine.connect()
        if engine.dialect.name == "sqlite":
            self._connection.exec_driver_sql("PRAGMA busy_timeout = 0")  # patience is ours
            self._connection.commit()

        self._using = threading.Lock()
        self._commits = 0
        self._thread = threading.Thread(target=self._work, name="journeyman-store", daemon=True)
        self._thread.start()

    @property
    def failed(self) -> bool:
        """Something could not be written; nothing more will be."""
        return self._error is not None

    def put(self, entry: Stored) -> None:
        self._entries.append(entry)

    async def barrier(self) -> None:
        """Wait until everything put before is committed.

        Raises:
            StoreError: it could not be written; nothing that was reported as committed is lost.
        """
        if not (self._quick and self._commit_now()):
            barrier = _Barrier()
            self._wake.put(barrier)
            await barrier.done.wait()

        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Commit what is left and end the thread."""
        self._wake.put(None)
        self._thread.join()
        self._connection.close()

    def _commit_now(self) -> bool:
        """Commit on the spot; False where that would mean to wait."""
        if not self._using.acquire(blocking=False):
            return False

        try:
            return self._commit()
        finally:
            self._using.release()

    def _work(self) -> None:
        closing = False
        while not closing:
            barriers, closing = self._gather()
            self._commit_patiently()
            _release(barriers)
            if self._commits >= CHECKPOINT_AFTER and self._quick:
                self._checkpoint()

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

    def _commit_patiently(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            with self._using:
                if self._commit(give_up=time.monotonic() > deadline):
                    return

            time.sleep(LINGER / 4)

    def _commit(self, *, give_up: bool = False) -> bool:
        """Commit what has gathered; False where another process is writing, unless that is to count as an error."""
        if not self._entries or self._error is not None:
            return True

        entries = [self._entries.popleft() for _ in range(len(self._entries))]
        try:
            links = self._write(self._connection, entries)
            self._connection.connection.commit()
            self._connection.commit()
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits for a barrier must hear of it
            self._undo()
            if _busy(error) and not give_up:
                self._entries.extendleft(reversed(entries))
                return False

            self._error = self._explain(error)
        else:
            self._commits += 1
            self._links |= links
            for entry in entries:
                if entry.event.type == "run_finished":
                    self._links.pop(entry.run_id, None)

        return True

    def _undo(self) -> None:
        with suppress(Exception):  # the connection may be gone altogether
            self._connection.connection.rollback()
            self._connection.rollback()

    def _checkpoint(self) -> None:
        self._commits = 0
        with self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def _write(self, connection: Connection, entries: list[Stored]) -> dict[str, bytes]:
        """The links that stand once this is committed."""
        values: list[tuple[Any, ...]] = []
        lines: dict[str, list[str]] = {}
        blobs: list[tuple[str, bytes]] = []
        for run_id, seq, at, event in entries:
            kind, body, tokens, named = encode(event)
            blobs += named
            values.append((run_id, seq, at, kind, body, tokens, None))
            if run_id not in lines:
                lines[run_id] = []

            lines[run_id].append(line(seq, at, kind, body, tokens))

        links = {run_id: self._seal(connection, run_id, added) for run_id, added in lines.items()}
        last = {entry.run_id: n for n, entry in enumerate(entries)}
        for run_id, n in last.items():
            values[n] = (*values[n][:-1], links[run_id])

        with closing(connection.connection.cursor()) as cursor:  # the driver's own: the hot path
            for blob in blobs:
                cursor.execute(self._insert_blob, blob)

            cursor.executemany(self._insert, values)

        for run_id, _, at, event in entries:
            if event.type in LISTED:
                keep_listed(connection, run_id, at, event)

        return links

    def _seal(self, connection: Connection, run_id: str, added: list[str]) -> bytes:
        link = self._links.get(run_id)
        if link is not None or added[0].startswith("1 "):
            return seal(link or START, added)

        return _chain(connection, run_id).seal_open(added)


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


def _chain(connection: Connection, run_id: str) -> Chain:
    """Of a run that an earlier process began."""
    chain = Chain()
    query = select(schema.event).where(schema.event.c.run_id == run_id).order_by(schema.event.c.seq)
    for row in connection.execute(query):
        list(chain.add(Entry(row.seq, row.at, row.type, row.body, row.tokens), row.link))

    return chain


def _busy(error: Exception) -> bool:
    return "database is locked" in str(error)


def _release(barriers: list[_Barrier]) -> None:
    """Wake the waiting tasks, each event loop once."""
    by_loop: dict[EventLoopToken, list[_Barrier]] = {}
    for barrier in barriers:
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


def _insert_statement(engine: Engine, columns: Sequence[str], table: str = "event", end: str = "") -> str:
    """The INSERT as the driver takes it, made once; parameters in the order of the columns."""
    placeholders = {"qmark": "?", "format": "%s", "pyformat": "%s"}
    marks = ", ".join([placeholders[engine.dialect.paramstyle]] * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}){end}"  # noqa: S608 - no data
