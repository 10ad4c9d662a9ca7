"""The trace store: every run's events, in SQLite by default, or in PostgreSQL.

    store = Store.open("runs.db")                 # or postgresql+psycopg://...
    recorder = store.recorder(new_run_id())       # writes one run: record(event), await barrier()
    store.runs(limit=20), store.events(run_id)    # read them back

Opening creates or migrates the tables. Reading is synchronous and sees what is committed.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, Self

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError

from journeyman.errors import StoreError, UsageError
from journeyman.traces import schema
from journeyman.traces.codec import decode
from journeyman.traces.messages import Value
from journeyman.traces.writer import Recorder, Stored, Watch, Writer

HEAD = "0001"
"""The newest migration."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_run_id() -> str:
    """Sortable by time, short enough to type: `261121-231502-k3f9qd` (UTC, then 30 random bits)."""
    stamp = time.strftime("%y%m%d-%H%M%S", time.gmtime())
    return f"{stamp}-{''.join(secrets.choice(_ALPHABET) for _ in range(6))}"


class RunSummary(Value):
    run_id: str
    started_at: float
    """Seconds since 1970, UTC."""
    model: str
    prompt: str
    outcome: str | None
    """None: still running, or killed before its end."""
    answer: str | None
    steps: int
    prompt_tokens: int
    completion_tokens: int
    denied: int
    seconds: float | None
    parent: str | None


class Store:
    def __init__(self, engine: Engine, where: str, *, power: bool = False) -> None:
        self.where = where
        self._power = power
        self._engine = engine
        self._writer: Writer | None = None

    @classmethod
    def open(cls, where: str | Path, *, durable: Literal["process", "power"] = "process") -> Self:
        """Open the store at a file path or a database URL, creating or migrating it where needed.

        `durable="process"` survives `kill -9`; `"power"` also survives a power cut and costs an fsync a step.

        Raises:
            StoreError: it cannot be opened, is no trace store, or was written by a newer journeyman.
        """
        url = str(where)
        is_url = "://" in url
        try:
            if not is_url:
                Path(url).parent.mkdir(parents=True, exist_ok=True)

            engine = create_engine(url if is_url else f"sqlite:///{url}")
            if engine.dialect.name == "sqlite":
                event.listen(engine, "connect", _sqlite_settings(durable))

            store = cls(engine, url, power=durable == "power")
            store._migrate()
        except OSError as error:
            raise _unusable(url, str(error)) from error
        except SQLAlchemyError as error:
            raise explain(url, error) from error

        return store

    def recorder(self, run_id: str, *, seq: int = 0, watch: Watch | None = None) -> Recorder:
        """Writes one run.

        Args:
            run_id: the run.
            seq: of the last event it already has.
            watch: told of each event as it is stored.
        """
        if self._writer is None:
            quick = self._engine.dialect.name == "sqlite" and not self._power
            self._writer = Writer(self._engine, lambda error: explain(self.where, error), quick=quick)

        return Recorder(self._writer, run_id, seq, watch)

    def runs(self, limit: int | None = 50) -> list[RunSummary]:
        """Newest first."""
        table = schema.run
        query = select(table).order_by(table.c.started_at.desc(), table.c.run_id.desc()).limit(limit)
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()

        fields = RunSummary.model_fields
        return [
            RunSummary(**{**{k: v for k, v in row.items() if k in fields}, "started_at": row["started_at"] / 1e6})
            for row in rows
        ]

    def resolve(self, prefix: str) -> str:
        """The id of the one run whose id begins, or ends, with this; `last` is the newest.

        Raises:
            UsageError: no run, or more than one.
        """
        column = schema.run.c.run_id
        query = select(column).order_by(schema.run.c.started_at.desc()).limit(10)
        if prefix != "last":
            query = query.where(column.startswith(prefix, autoescape=True) | column.endswith(prefix, autoescape=True))

        with self._reading() as connection:
            found = connection.scalars(query).all()

        if not found:
            raise UsageError(f"There is no run {prefix!r} in {self.where}.", fix="journeyman traces list")

        if len(found) > 1 and prefix != "last":
            raise UsageError(f"{prefix!r} fits several runs: {', '.join(found)}.", fix="Give more of the id.")

        return found[0]

    def events(self, run_id: str) -> Iterator[Stored]:
        """A run's stored events in order; none where there is no such run."""
        table = schema.event
        query = select(table).where(table.c.run_id == run_id).order_by(table.c.seq)
        with self._reading() as connection:
            for row in connection.execute(query):
                yield Stored(row.run_id, row.seq, row.at, decode(row.type, row.body, row.tokens, self._blob))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Commit what is left. The store cannot be used afterwards."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

        self._engine.dispose()

    def _blob(self, key: str) -> bytes:
        with self._reading() as connection:
            data = connection.scalar(select(schema.blob.c.data).where(schema.blob.c.hash == key))

        if data is None:
            raise StoreError(f"{self.where} has lost the content {key[:12]}.", fix="Restore the store from a backup.")

        return data

    def _reading(self) -> Connection:
        try:
            return self._engine.connect()
        except SQLAlchemyError as error:
            raise explain(self.where, error) from error

    def _migrate(self) -> None:
        with self._engine.connect() as connection:
            found = _revision(connection)
            if found == HEAD:
                return

            if found is not None and found > HEAD:
                message = f"{self.where} was written by a newer journeyman (schema {found}, this one knows {HEAD})."
                raise StoreError(message, fix="Update journeyman, or set another store: JOURNEYMAN_STORE=PATH")

        from journeyman.traces import migrations  # noqa: PLC0415 - alembic is only needed here

        migrations.upgrade(self._engine)


_FIXES = {
    "full": "Free some disk space, then go on with: journeyman run --resume last",
    "locked": "Another process holds it; wait for it to end, or set another store: JOURNEYMAN_STORE=PATH",
    "not a database": "The file is something else; set another store: JOURNEYMAN_STORE=PATH",
}


def explain(where: str, error: Exception) -> StoreError:
    """Say what a database error means for the person who owns the store."""
    text = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return _unusable(where, text, next((fix for word, fix in _FIXES.items() if word in text), ""))


def _unusable(where: str, why: str, fix: str = "") -> StoreError:
    return StoreError(
        f"The trace store {where} cannot be used: {why}.",
        fix=fix or "Set a place that can be written: JOURNEYMAN_STORE=PATH",
    )


def _revision(connection: Connection) -> str | None:
    """The migration the database is at, None where it is empty."""
    from sqlalchemy import inspect, text  # noqa: PLC0415

    if not inspect(connection).has_table("alembic_version"):
        return None

    return connection.scalar(text("SELECT version_num FROM alembic_version"))


def _sqlite_settings(durable: str) -> Callable[[DBAPIConnection, object], None]:
    def apply(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 30000")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA wal_autocheckpoint = 0")  # the writer's thread does it
        cursor.execute(f"PRAGMA synchronous = {'FULL' if durable == 'power' else 'NORMAL'}")
        cursor.close()

    return apply
