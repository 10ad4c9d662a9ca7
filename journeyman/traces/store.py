"""The trace store: every run's events, in SQLite by default, or in PostgreSQL.

    store = Store.open("runs.db")                 # or postgresql+psycopg://...
    recorder = store.recorder(new_run_id())       # writes one run: record(event), await barrier()
    store.runs(limit=20), store.events(run_id)    # read them back

Opening creates or migrates the tables. Reading is synchronous and sees what is committed.
"""

import os
import secrets
import time
import zlib
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, Self

from sqlalchemy import ColumnElement, Connection, Engine, Select, func, inspect, make_url, select, text
from sqlalchemy.exc import SQLAlchemyError

from journeyman.errors import DamagedRun, StoreError, UsageError, install
from journeyman.traces import schema
from journeyman.traces.claim import FileClaims
from journeyman.traces.codec import Row, unpack
from journeyman.traces.connect import explain, make_engine, unusable
from journeyman.traces.messages import Value
from journeyman.traces.writer import Recorder, Stored, Watch, Writer

HEAD = "0004"
"""The newest migration."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def _reserve(path: Path) -> None:
    """Make a new file for its owner alone: it holds what was read and said. What SQLite puts beside it follows."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def new_run_id() -> str:
    """Sortable by time, short enough to type: `261121-231502-k3f9qd` (UTC, then 30 random bits)."""
    stamp = time.strftime("%y%m%d-%H%M%S", time.gmtime())
    return f"{stamp}-{''.join(secrets.choice(_ALPHABET) for _ in range(6))}"


class RunSummary(Value):
    run_id: str
    started_at: float
    """Seconds since 1970, UTC."""
    ended_at: float | None = None
    """The last time; None where `outcome` is."""
    model: str
    prompt: str
    """Its beginning, and that of the answer, where they are long."""
    outcome: str | None
    """None: still running, or killed before its end."""
    answer: str | None
    steps: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None = None
    """Dollars; None where not all of it is known."""
    denied: int
    seconds: float | None
    parent: str | None
    parent_seq: int | None = None
    level: str | None = None
    """`tokens` or `text`, once the run is projected; `secret` where a person typed one: nothing trains on it."""
    reward: float | None = None
    """The score that counts, else the mean of the checks' newest, once the run is projected. None: not scored."""


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
        shown = make_url(url).render_as_string() if "://" in url else url  # without a password
        try:
            if "://" not in url:
                _reserve(Path(url))

            store = cls(make_engine(url, durable), shown, power=durable == "power")
            with ExitStack() as failed:
                failed.callback(store.close)
                store._migrate()
                failed.pop_all()
        except OSError as error:
            raise unusable(shown, str(error)) from error
        except SQLAlchemyError as error:
            raise explain(shown, error) from error
        except ImportError as error:
            raise unusable(shown, str(error), install("journeyman[postgres]")) from error

        return store

    def recorder(self, run_id: str, *, seq: int = 0, watch: Watch | None = None) -> Recorder:
        """Writes one run.

        Args:
            run_id: the run.
            seq: of the last event it already has.
            watch: told of each event as it is stored.
        """
        if self._writer is not None and self._writer.failed:
            self._writer.close()  # whatever it was may be over: the disk has room again, the server is back
            self._writer = None

        if self._writer is None:
            self._writer = self._new_writer()

        self._writer.admit(run_id)
        return Recorder(self._writer, run_id, seq, watch)

    def runs(
        self, limit: int | None = 50, where: Any = None, *, by_use: bool = False, start: int = 0
    ) -> list[RunSummary]:
        """Newest first, or last used first, from the `start`-th on.

        `where` is a condition on `schema.run`, such as `Filter.where` gives.
        """
        table = schema.run
        columns = [table.c[name] for name in RunSummary.model_fields]
        order = _last_used() if by_use else table.c.started_at
        query = select(*columns).order_by(order.desc(), table.c.run_id.desc()).limit(limit).offset(start)
        if where is not None:
            query = query.where(where)

        with self.reading() as connection:
            rows = connection.execute(query).mappings().all()

        times = ("started_at", "ended_at")
        return [RunSummary(**{**row, **{name: row[name] and row[name] / 1e6 for name in times}}) for row in rows]

    def used_at(self, run_id: str) -> float:
        """When a run that there is ended the last time, or was last written: seconds since 1970."""
        with self.reading() as connection:
            at = connection.scalar(select(_last_used()).where(schema.run.c.run_id == run_id))

        return (at or 0) / 1e6

    def resolve(self, prefix: str) -> str:
        """The id of the one run whose id begins, or ends, with this; `last`: the one used last that is no candidate.

        Raises:
            UsageError: no run, or more than one.
        """
        column, searches = schema.run.c.run_id, schema.run.alias()
        query = select(column).order_by(_last_used().desc()).limit(10)
        if prefix == "last":
            query = query.where(schema.run.c.batch.is_(None) | schema.run.c.batch.not_in(select(searches.c.run_id)))
        else:
            query = query.where(column.startswith(prefix, autoescape=True) | column.endswith(prefix, autoescape=True))

        with self.reading() as connection:
            found = connection.scalars(query).all()

        if not found:
            if prefix == "last":
                raise UsageError(
                    f"There are no runs in {self.where} yet.", fix='journeyman run "What is 37 * 43 - 12?"'
                )

            raise UsageError(f"There is no run {prefix!r} in {self.where}.", fix="journeyman traces list")

        if len(found) > 1 and prefix != "last":
            raise UsageError(f"{prefix!r} fits several runs: {', '.join(found)}.", fix="Give more of the id.")

        return found[0]

    def events(self, run_id: str) -> Iterator[Stored]:
        """A run's events in order, beginning with those a fork shares with its parent; none where there is no such run.

        Raises:
            DamagedRun: content is missing, or the parent was deleted.
            StoreError: the store cannot be read.
        """
        return self._events(run_id, None)

    def own_events(self, run_id: str) -> Iterator[Stored]:
        """Only those that are stored under this run: of a fork, what comes after its parent's."""
        with self.reading() as connection:
            for row in connection.execute(rows_of(run_id)):
                yield from self.stored(connection, row)

    def stored(self, connection: Connection, row: Any) -> Iterator[Stored]:
        """The events of a row of `schema.event`.

        Raises:
            DamagedRun: they cannot be read any more.
        """

        def blob(key: bytes) -> bytes:
            data = connection.scalar(select(schema.blob.c.data).where(schema.blob.c.hash == key))
            if data is None:
                message = f"{self.where} has lost the content {key.hex()[:12]}."
                raise DamagedRun(message, fix="Restore the store from a backup.")

            return data

        try:
            events = unpack(columns(row), blob)
        except (ValueError, zlib.error) as error:
            message = f"In {self.where} events of {row.run_id} are not what was stored: {error}"
            raise DamagedRun(message, fix="See what else: journeyman traces verify") from error

        for seq, at, event in events:
            yield Stored(row.run_id, seq, at, event)

    def _events(self, run_id: str, until: int | None) -> Iterator[Stored]:
        for each in self.own_events(run_id):
            if until is not None and each.seq > until:
                return

            if each.event.type == "run_started" and each.event.parent is not None and each.event.parent_seq is not None:
                yield from self._stem(each.event.parent, each.event.parent_seq)

            yield each

    def _stem(self, parent: str, until: int) -> Iterator[Stored]:
        last = 0
        for each in self._events(parent, until):
            last = each.seq
            yield each

        if last != until:
            raise DamagedRun(
                f"The run {parent}, which this one was forked from, is not in {self.where}.",
                fix="Restore the store from a backup, or delete the fork too.",
            )

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

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """A connection to read with; database errors leave as StoreError."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise explain(self.where, error) from error

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """A transaction, committed at the end, undone by an exception."""
        with self.reading() as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")

            yield connection
            connection.commit()

    def _new_writer(self) -> Writer:
        sqlite = self.dialect == "sqlite"
        try:
            claims = FileClaims(Path(f"{self.where}-live")) if sqlite else None
            return Writer(self._engine, self._explain, claims, quick=sqlite and not self._power)
        except OSError as error:
            raise unusable(self.where, str(error)) from error
        except SQLAlchemyError as error:
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> StoreError:
        return explain(self.where, error)

    def _migrate(self) -> None:
        with self._engine.connect() as connection:
            found = revision(connection)
            if found == HEAD:
                return

            if found is not None and found > HEAD:
                message = f"{self.where} was written by a newer journeyman (schema {found}, this one knows {HEAD})."
                raise StoreError(message, fix="Update journeyman, or set another store: JOURNEYMAN_STORE=PATH")

        from journeyman.traces import migrations  # noqa: PLC0415 - alembic is only needed here

        migrations.upgrade(self._engine)


def _last_used() -> ColumnElement[int]:
    """When a run ended the last time; of one that is under way, or was killed, when it was last written."""
    at = schema.event.c.at
    return func.coalesce(
        schema.run.c.ended_at,
        select(func.max(at)).where(schema.event.c.run_id == schema.run.c.run_id).scalar_subquery(),
    )


def rows_of(run_id: str) -> Select:
    """A run's own rows of `schema.event`, in order."""
    return select(schema.event).where(schema.event.c.run_id == run_id).order_by(schema.event.c.seq)


def columns(row: Any) -> Row:
    """What a row of `schema.event` says, as far as its link covers it."""
    return Row(row.seq, row.at, row.body, row.blobs, row.tokens)


def revision(connection: Connection) -> str | None:
    """The migration the database is at, None where it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None

    return connection.scalar(text("SELECT version_num FROM alembic_version"))
