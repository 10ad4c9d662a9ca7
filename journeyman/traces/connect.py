"""Reaching a database: SQLite files and PostgreSQL servers, and what their errors mean for whoever owns the store."""

from collections.abc import Callable
from pathlib import Path
from sqlite3 import SQLITE_BUSY, OperationalError
from time import monotonic, sleep

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor

from journeyman.errors import StoreError
from journeyman.home import data_dir


def make_engine(url: str, durable: str) -> Engine:
    if "://" not in url:
        url = f"sqlite:///{url}"

    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed)
        event.listen(engine, "connect", _sqlite_settings(durable))
        return engine

    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")

    return create_engine(parsed, connect_args=_PATIENT, pool_pre_ping=True)


_PATIENT = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "tcp_user_timeout": 30_000}
"""A server that has gone is noticed in half a minute."""


_FIXES = {
    "full": "Free some disk space. Runs that were cut off: journeyman traces list is:unfinished",
    "locked": "Another process holds it; wait for it to end, or set another store: JOURNEYMAN_STORE=PATH",
    "readonly": "The file cannot be written; mend its permissions, or set another store: JOURNEYMAN_STORE=PATH",
    "UNIQUE constraint": "Another process goes on with the same run; let one of them end.",
    "duplicate key": "Another process goes on with the same run; let one of them end.",
    "connection": "See that the database server runs and can be reached, then: journeyman run --resume last",
    "not a database": "The file is something else; set another store: JOURNEYMAN_STORE=PATH",
}


def explain(where: str, error: Exception) -> StoreError:
    """Say what a database error means for the person who owns the store."""
    text = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return unusable(where, text, next((fix for word, fix in _FIXES.items() if word in text), ""))


def unusable(where: str, why: str, fix: str = "") -> StoreError:
    ours = Path(where).is_relative_to(data_dir())  # then nothing else can be kept there either
    place = "JOURNEYMAN_HOME=FOLDER" if ours else "JOURNEYMAN_STORE=PATH"
    return StoreError(
        f"The trace store {where} cannot be used: {why}.", fix=fix or f"Set a place that can be written: {place}"
    )


def _sqlite_settings(durable: str) -> Callable[[DBAPIConnection, object], None]:
    def apply(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_PATIENCE * 1000}")
        _write_ahead(cursor)
        cursor.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
        cursor.execute("PRAGMA wal_autocheckpoint = 0")  # the writer's thread does it
        cursor.execute(f"PRAGMA synchronous = {'FULL' if durable == 'power' else 'NORMAL'}")
        cursor.close()

    return apply


_PATIENCE = 30
"""Seconds that we wait for another process to let go of a file."""


def _write_ahead(cursor: DBAPICursor) -> None:
    """Keep a write-ahead log: readers and the writer do not wait for each other.

    Where two open a new file at once, both read it and then both want to change it. SQLite refuses one of them at
    once, whatever its `busy_timeout`, since waiting would never end; so that one lets go and asks again.
    """
    end = monotonic() + _PATIENCE
    while not _asked(cursor, patient=monotonic() < end):
        sleep(0.01)


def _asked(cursor: DBAPICursor, *, patient: bool) -> bool:
    try:
        cursor.execute("PRAGMA journal_mode = WAL")
    except OperationalError as error:
        if patient and error.sqlite_errorcode == SQLITE_BUSY:
            return False

        raise

    return True
