"""The writing half of a store: one connection, one transaction for whatever has gathered.

`Recorder.record` only appends to a queue and never waits. `Recorder.barrier` waits until everything recorded before
it is committed; runs that are ready at once share a commit. On SQLite a barrier commits on the spot where the file is
free: that costs less than two changes of thread. Where it is not (another process writes, the disk must be waited for,
the database is a server) a thread does it and the caller's event loop goes on. Between barriers that thread commits
what has gathered every `LINGER` seconds, so that a killed process loses at most the call in flight; and it alone moves
the write-ahead log into the file, which waits for the disk.

A run belongs to one process at a time (`claim.py`). Whoever comes second is refused before anything is written, and
the other runs of its store go on.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import anyio
from anyio.lowlevel import EventLoopToken, checkpoint, current_token
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from journeyman.errors import StoreError
from journeyman.traces.chain import START, seal
from journeyman.traces.claim import Claims, ServerClaims
from journeyman.traces.codec import pack
from journeyman.traces.events import StoredEvent
from journeyman.traces.listed import AFTER, LISTED, Listing

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


Entry = tuple[str, int, int, StoredEvent]
"""What `Stored` says, before anybody asks for it."""
Watch = Callable[[Stored], None]


class End(NamedTuple):
    """How far a run is stored."""

    seq: int
    link: bytes
    ended: bool = False


class _Barrier:
    """Woken in its own event loop once the writer has committed, or failed."""

    __slots__ = ("done", "token")

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.token = current_token()


class Writer:
    def __init__(
        self, engine: Engine, explain: Callable[[Exception], StoreError], claims: Claims | None, *, quick: bool
    ) -> None:
        """`quick`: a commit does not wait for anything but the file's lock, so that it may be made on the spot."""
        self._engine = engine
        self._explain = explain
        self._quick = quick
        self.entries: deque[Entry] = deque()
        self._wake: queue.SimpleQueue[_Barrier | None] = queue.SimpleQueue()
        self._ends: dict[str, End] = {}
        """Of the runs that are ours and have not ended."""
        self._refused: dict[str, StoreError] = {}
        self._error: StoreError | None = None
        self._pooled = engine.raw_connection()
        self._db: Any = self._pooled.driver_connection
        self._cursor = self._pooled.cursor()
        if engine.dialect.name == "sqlite":
            self._cursor.execute("PRAGMA busy_timeout = 0")  # patience is ours

        self._claims = claims or ServerClaims(self._cursor)
        mark = "?" if engine.dialect.paramstyle == "qmark" else "%s"
        columns = "run_id, seq, at, body, blobs, tokens, link"
        self._insert = f"INSERT INTO event ({columns}) VALUES ({', '.join([mark] * 7)})"  # noqa: S608 - no data
        self._insert_blob = f"INSERT INTO blob (hash, data) VALUES ({mark}, {mark}) ON CONFLICT DO NOTHING"  # noqa: S608
        self._last = f"SELECT seq, link FROM event WHERE run_id = {mark} ORDER BY seq DESC LIMIT 1"  # noqa: S608
        self._listing = Listing(self._cursor, mark)
        self._using = threading.Lock()
        self._commits = 0
        self._thread = threading.Thread(target=self._work, name="journeyman-store", daemon=True)
        self._thread.start()

    @property
    def failed(self) -> bool:
        """Something could not be written; nothing more will be."""
        return self._error is not None

    def admit(self, run_id: str) -> None:
        """Let a run try again that was refused."""
        self._refused.pop(run_id, None)

    def commit_now(self) -> bool:
        """Commit on the spot; False where that would mean to wait."""
        if not self._quick or not self._using.acquire(blocking=False):
            return False

        try:
            return self._commit()
        finally:
            self._using.release()

    async def commit_soon(self) -> None:
        """Have the thread commit."""
        barrier = _Barrier()
        self._wake.put(barrier)
        await barrier.done.wait()

    def check(self, run_id: str) -> None:
        """Raise what keeps a run from being stored."""
        if error := self._error or self._refused.get(run_id):
            raise error

    @property
    def shared(self) -> bool:
        """More than one run is under way."""
        return len(self._ends) > 1

    def close(self) -> None:
        """Commit what is left and end the thread."""
        self._wake.put(None)
        self._thread.join()
        self._pooled.invalidate()  # closed, not kept: a server's claims are the connection's
        self._claims.close()

    def _work(self) -> None:
        closing, seen = False, 0
        while not closing:
            barriers, closing = self._gather()
            if barriers or closing or seen == self._commits:  # else the runs themselves do, and would have to wait
                self._commit_patiently()

            seen = self._commits
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
        if not self.entries or self._error is not None:
            return True

        entries = [self.entries.popleft() for _ in range(len(self.entries))]
        try:
            ends = self._write(entries)
            self._db.commit()
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits for a barrier must hear of it
            with suppress(Exception):  # the connection may be gone altogether
                self._db.rollback()

            if _busy(error) and not give_up:
                self.entries.extendleft(reversed(entries))
                return False

            self._error = self._explain(error)
        else:
            self._commits += 1
            self._ends |= ends
            if ended := [run_id for run_id, end in ends.items() if end.ended]:
                self._let_go(ended)

        return True

    def _let_go(self, run_ids: Sequence[str]) -> None:
        """Give back runs that have ended, if only for now."""
        for run_id in run_ids:
            del self._ends[run_id]

        with suppress(Exception):  # the connection may be gone, and with it what it had claimed
            self._claims.give(run_ids)
            self._db.commit()

    def _checkpoint(self) -> None:
        self._commits = 0
        with suppress(SQLAlchemyError), self._engine.connect() as connection:  # what fails now is done the next time
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def _write(self, entries: Sequence[Entry]) -> dict[str, End]:
        """How far the runs are stored once this is committed; a run that is another's is left out."""
        runs: dict[str, list[Entry]] = {}
        listed = []
        for entry in entries:
            if (events := runs.get(entry[0])) is None:
                events = runs[entry[0]] = []

            events.append(entry)
            if entry[3].type in LISTED:
                listed.append(entry)

        ends: dict[str, End] = {}
        rows = []
        for run_id, events in runs.items():
            end = self._end(run_id, events[0][1])
            if end is None:
                continue

            for row, contents in pack(events):
                if contents:
                    self._cursor.executemany(self._insert_blob, contents)

                end = End(row.seq, seal(end.link, row), events[-1][3].type in AFTER)
                rows.append((run_id, *row, end.link))

            ends[run_id] = end

        self._cursor.executemany(self._insert, rows)
        for run_id, _, at, event in listed:
            if run_id in ends:
                self._listing.keep(run_id, at, event)

        return ends

    def _end(self, run_id: str, seq: int) -> End | None:
        """Where a run goes on, None where it is not ours to go on with from that event."""
        if run_id in self._refused:
            return None

        end = self._ends.get(run_id)
        if end is None:
            if not self._claims.take(run_id):
                return self._refuse(run_id, "is being written by another process", "Wait for it to end, or end it.")

            self._cursor.execute(self._last, (run_id,))
            found = self._cursor.fetchone()
            end = End(found[0], bytes(found[1])) if found else End(0, START)

        if end.seq + 1 != seq:
            return self._refuse(run_id, "has gone on meanwhile", "See how: journeyman traces show")

        return end

    def _refuse(self, run_id: str, why: str, fix: str) -> None:
        self._refused[run_id] = StoreError(f"The run {run_id} {why}; nothing was added to it.", fix=fix)


class Recorder:
    """Writes one run. What the loop knows of the store."""

    def __init__(self, writer: Writer, run_id: str, seq: int = 0, watch: Watch | None = None) -> None:
        self.run_id = run_id
        self._writer = writer
        self._put = writer.entries.append
        self._seq = seq
        self._watch = watch

    def record(self, event: StoredEvent) -> None:
        self._seq += 1
        entry = (self.run_id, self._seq, time.time_ns() // 1000, event)
        self._put(entry)
        if self._watch is not None:
            self._watch(Stored(*entry))

    async def barrier(self) -> None:
        """Wait until everything recorded before is committed.

        Raises:
            StoreError: it could not be written, or another process goes on with this run; nothing that was reported
                as committed is lost.
        """
        writer = self._writer
        if writer.shared:
            await checkpoint()  # whoever else is ready now shares the commit

        if not writer.commit_now():
            await writer.commit_soon()

        writer.check(self.run_id)


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
