"""All sessions of one engine process, and whoever follows them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from journeyman.config import Settings, load_settings
from journeyman.engine.models import Models
from journeyman.engine.peer import Peer
from journeyman.engine.record import Record, Stem, first_of
from journeyman.engine.session import Session, no_session
from journeyman.engine.waiting import is_kept
from journeyman.errors import JourneymanError, UsageError
from journeyman.tools.target import Target
from journeyman.traces import schema
from journeyman.traces.store import RunSummary, Store, new_run_id

Json = dict[str, Any]
PAGE = 50
"""Sessions that are listed at once."""
ENDING_S = 60.0
"""For a session that ends to close its model and servers."""
LOOKED_AT = 500
"""Runs for a page of those of one folder; more, as long as there is none of it."""


class Engine:
    """`group` is where everything in it runs; cancelling it interrupts all turns, which can be taken up again."""

    def __init__(self, group: TaskGroup) -> None:
        self.group = group
        self.sessions: dict[str, Session] = {}
        self.peers: set[Peer] = set()
        self.changed = anyio.Event()
        self._stores: dict[str, Store] = {}
        self._models = Models()
        self._opening = anyio.Lock()
        self._beginning = anyio.Lock()

    async def new(self, cwd: Path, given: Json, servers: Sequence[Target], stem: Stem | None = None) -> Session:
        """A session with nothing said in it, or with what another one's beginning says.

        Raises:
            ConfigError: the folder or the settings will not do.
        """
        return await self._begin(new_run_id(), cwd, given, servers, stem=stem)

    async def find(self, session_id: str, cwd: Path, given: Json, servers: Sequence[Target]) -> Session:
        """A session that is open here, or stored.

        Raises:
            UsageError: there is no such session.
            JourneymanError: it is ending, and does not come to an end.
        """
        while True:
            async with self._beginning:  # who else asks for it meanwhile finds this one
                found = self.sessions.get(session_id)
                if found is None:
                    store = await self.store(cwd, given)
                    stored = await to_thread.run_sync(_resolved, store, session_id, cwd)
                    session_id = stored or session_id
                    found = self.sessions.get(session_id)

                if found is None:
                    return await self._begin(session_id, cwd, given, servers, stored=bool(stored))

            if not found.ending:
                return found

            await _over(found)

    def known(self, session_id: str) -> Session:
        """One that is open here.

        Raises:
            UsageError: it is not.
        """
        if found := self.sessions.get(session_id):
            return found

        raise no_session(session_id)

    async def fork(self, session: Session, given: Json, at: int | None = None) -> Session:
        """A session that begins with the first `at` events of another one; by default with all that has ended."""
        count = session.record.count if at is None else at
        base = session.record.base
        stem = Stem(base, count) if base and count else None
        return await self.new(session.kit.cwd, {**session.kit.given, **given}, (), stem)

    async def _begin(
        self,
        session_id: str,
        cwd: Path,
        given: Json,
        servers: Sequence[Target],
        *,
        stored: bool = False,
        stem: Stem | None = None,
    ) -> Session:
        store = await self.store(cwd, given)
        record = Record(store, session_id, stored=stored, stem=stem)
        await record.measure()
        session = Session(record, cwd, given, self.group, servers, models=self._models)
        self.sessions[session_id] = session
        self.group.start_soon(self._live, session)
        return session

    async def _live(self, session: Session) -> None:
        try:
            await session.live_on()
        finally:
            del self.sessions[session.id]
            session.over.set()
            self.stir()

    async def store(self, cwd: Path, given: Json) -> Store:
        """What the settings there say, opened once.

        Raises:
            ConfigError: it cannot be.
        """
        settings = settings_of(cwd, given)
        key = str(settings.store)
        async with self._opening:
            if key not in self._stores:
                opened = await to_thread.run_sync(lambda: Store.open(settings.store, durable=settings.durable))
                self._stores[key] = opened

        return self._stores[key]

    async def listed(self, cwd: Path | None, cursor: str | None) -> Json:
        """Sessions, last used first, those of a folder, a page at a time."""
        store = await self.store(cwd or Path.home(), {})
        start = int(cursor) if cursor and cursor.isdecimal() else 0
        found, after = await to_thread.run_sync(_page, store, cwd, start)
        sessions = [_told(*each, running=self._runs(each[0].run_id)) for each in found]
        return {"sessions": sessions, **({"nextCursor": str(after)} if after else {})}

    def _runs(self, session_id: str) -> bool:
        session = self.sessions.get(session_id)
        return session is not None and session.turn is not None

    def join(self, peer: Peer) -> None:
        self.peers.add(peer)
        self.stir()

    def leave(self, peer: Peer) -> None:
        self.peers.discard(peer)
        for session in list(self.sessions.values()):
            session.leave(peer)

        self.stir()

    def stir(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

    async def until_idle(self, seconds: float) -> None:
        """Return when nobody has been here and nothing was to be done for so long."""
        while True:
            changed = self.changed
            if self.peers or self.sessions:
                await changed.wait()
                continue

            with anyio.move_on_after(seconds):
                await changed.wait()
                continue

            return

    def close(self) -> None:
        for store in self._stores.values():
            store.close()


async def _over(session: Session) -> None:
    """Wait until what it has open is closed.

    Raises:
        JourneymanError: it takes too long.
    """
    with anyio.move_on_after(ENDING_S):
        await session.over.wait()
        return

    fix = "Ask once more in a while, or stop the engine: journeyman serve --stop"
    raise JourneymanError(f"The session {session.id} is ending, and what it has open does not close.", fix=fix)


def _resolved(store: Store, session_id: str, cwd: Path) -> str:
    """The id of the run; nothing where nothing of the session is stored, and something waits to be said in it.

    Raises:
        UsageError: there is neither.
    """
    if session_id == "last":
        for run, root in _used(store, 0):
            if root == str(cwd):
                return run.run_id

        raise UsageError(f"There is no session of the folder {cwd}.", fix="journeyman chat begins one.")

    try:
        return store.resolve(session_id)
    except UsageError:
        if is_kept(session_id):
            return ""

        raise


def settings_of(cwd: Path, given: Json) -> Settings:
    """The settings of a folder, and what is said over them.

    Raises:
        UsageError: it is no folder, or not named in full.
        ConfigError: a setting will not do.
    """
    if not cwd.is_absolute() or not cwd.is_dir():
        raise UsageError(f"{cwd} is not a folder.", fix="Name one that exists: --root DIR")

    return load_settings(root=cwd, **given)


def _page(store: Store, cwd: Path | None, start: int) -> tuple[list[tuple[RunSummary, str, float]], int | None]:
    """Sessions from the `start`-th run on, with their folders and when they were used last, and where to go on."""
    found: list[tuple[RunSummary, str, float]] = []
    for number, (run, root) in enumerate(_used(store, start), start):
        if len(found) == PAGE or (found and number - start >= LOOKED_AT):
            return found, number

        if cwd is None or root == str(cwd):
            found.append((run, root, run.ended_at or store.used_at(run.run_id)))

    return found, None


def _used(store: Store, start: int) -> Iterator[tuple[RunSummary, str]]:
    """Sessions from the `start`-th run on, last used first, with their folders."""
    while runs := store.runs(LOOKED_AT, schema.run.c.batch.is_(None), by_use=True, start=start):
        for run in runs:
            started = first_of(store, run.run_id)
            yield run, started.root if started else ""

        start += len(runs)


def _told(run: RunSummary, root: str, used_at: float, *, running: bool) -> Json:
    when = datetime.fromtimestamp(used_at, UTC)
    ours = run.model_dump(
        mode="json", include={"outcome", "prompt", "answer", "model", "steps", "cost_usd", "reward", "parent"}
    )
    return {
        "sessionId": run.run_id,
        "cwd": root or "/",
        "title": " ".join(run.prompt.split())[:80],
        "updatedAt": when.isoformat(timespec="seconds"),
        "_meta": {"journeyman": {**ours, "running": running, "tokens": run.prompt_tokens + run.completion_tokens}},
    }
