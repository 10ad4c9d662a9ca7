"""Deleting runs for good, sweeping out content that nobody names any more, and counting what there is.

A deleted run leaves a tombstone: its id, how many events it had and its last link, so that a copy kept elsewhere can be
told to have been that run, and nothing else. On SQLite what was deleted is overwritten (`secure_delete`), the full-text
index rewritten and the write-ahead log emptied. PostgreSQL keeps it in its files, where no query reaches it, until `gc`
rewrites them. Backups, file systems that keep old blocks and PostgreSQL's own log are out of reach.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, delete, func, insert, select

from journeyman.errors import StoreError, UsageError
from journeyman.traces import projections, schema, words
from journeyman.traces.claim import FileClaims, ServerClaims
from journeyman.traces.codec import hashes
from journeyman.traces.connect import unusable
from journeyman.traces.messages import Value
from journeyman.traces.project import prepare
from journeyman.traces.store import Store, rows_of


class Stats(Value):
    runs: int
    unfinished: int
    events: int
    blobs: int
    deleted: int
    """Tombstones."""
    bytes: int
    """On disk, write-ahead log included."""


def delete_runs(store: Store, run_ids: Sequence[str]) -> int:
    """Delete runs for good; how many bytes of shared content went with them.

    Raises:
        UsageError: one is under way, or another run was forked from one of them; nothing was deleted.
        StoreError: the store cannot be written.
    """
    prepare(store)
    with store.writing() as connection, _claimed(store, connection, run_ids):
        _refuse_stems(connection, run_ids)
        for run_id in run_ids:
            _delete(store, connection, run_id)

        swept = _sweep(connection)
        connection.commit()
        _empty_the_log(connection)

    return swept


def gc(store: Store) -> int:
    """Remove content that no event names, and give free space back; how many bytes of content that was."""
    prepare(store)
    with store.writing() as connection:
        swept = _sweep(connection)
        connection.commit()

    with store.reading() as connection:
        _rewrite(connection.execution_options(isolation_level="AUTOCOMMIT"))
        _empty_the_log(connection)

    return swept


def stats(store: Store) -> Stats:
    run, event = schema.run, schema.event
    last = select(func.max(event.c.seq).label("seq")).group_by(event.c.run_id).subquery()
    counts = {
        "runs": select(func.count()).select_from(run),
        "unfinished": select(func.count()).select_from(run).where(run.c.outcome.is_(None)),
        "events": select(func.sum(last.c.seq)),
        "blobs": select(func.count()).select_from(schema.blob),
        "deleted": select(func.count()).select_from(schema.tombstone),
    }
    with store.reading() as connection:
        found = {name: connection.scalar(query) or 0 for name, query in counts.items()}
        return Stats(**found, bytes=_size(store, connection))


def _size(store: Store, connection: Connection) -> int:
    if store.dialect == "sqlite":
        files = [Path(f"{store.where}{end}") for end in ("", "-wal")]
        return sum(file.stat().st_size for file in files if file.exists())

    return connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar() or 0


@contextmanager
def _claimed(store: Store, connection: Connection, run_ids: Sequence[str]) -> Generator[None]:
    """Nobody goes on with them meanwhile: what came after would be stored without its beginning."""
    if store.dialect == "sqlite":
        try:
            claims = FileClaims(Path(f"{store.where}-live"))
        except OSError as error:
            raise unusable(store.where, str(error)) from error
    else:
        claims = ServerClaims(connection.connection.cursor(), transaction=True)

    with closing(claims):
        for run_id in run_ids:
            if not claims.take(run_id):
                message = f"The run {run_id} is being written; nothing was deleted."
                raise UsageError(message, fix="Wait for it to end, or end it.")

        yield


def _refuse_stems(connection: Connection, run_ids: Sequence[str]) -> None:
    run = schema.run
    query = select(run.c.run_id, run.c.parent).where(run.c.parent.in_(run_ids), run.c.parent_seq.is_not(None))
    forks = [row for row in connection.execute(query) if row.run_id not in run_ids]
    if forks:
        names = " ".join(row.run_id for row in forks)
        message = f"The run {forks[0].parent} is shared with what was forked from it: {names}."
        raise UsageError(message, fix=f"Delete those too: journeyman traces delete {' '.join(run_ids)} {names}")


def _delete(store: Store, connection: Connection, run_id: str) -> None:
    event = schema.event
    stored, end = [], None
    for end in connection.execute(rows_of(run_id)).all():
        try:
            stored += store.stored(connection, end)
        except StoreError:  # its content is lost already: nothing of it can be found by its words
            continue

    words.remove(connection, stored)
    for table in (*projections.OF_A_RUN, event, schema.run):
        connection.execute(delete(table).where(table.c.run_id == run_id))

    events, link = (end.seq, end.link) if end else (0, None)
    row = {"run_id": run_id, "deleted_at": time.time_ns() // 1000, "events": events, "link": link}
    connection.execute(insert(schema.tombstone).values(row))


def _sweep(connection: Connection) -> int:
    """Remove blobs, and definitions in the projections, that nothing names."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE blob IN EXCLUSIVE MODE")  # who writes one now names it only later

    blob = schema.blob
    size = func.length(blob.c.data)
    sizes = dict(connection.execute(select(blob.c.hash, size)).all())
    unused = list(sizes.keys() - set(_named(connection)))
    for at in range(0, len(unused), 500):
        connection.execute(delete(blob).where(blob.c.hash.in_(unused[at : at + 500])))

    for table, user in ((projections.tool, projections.run_tool), (projections.artifact, projections.run_artifact)):
        connection.execute(delete(table).where(table.c.hash.not_in(select(user.c.hash))))

    return sum(sizes[key] for key in unused)


def _rewrite(connection: Connection) -> None:
    """Leave nothing in the files that is not in the tables. PostgreSQL overwrites nothing by itself."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("VACUUM")
        return

    tables = [*schema.metadata.tables, *projections.metadata.tables, "words"]
    connection.exec_driver_sql(f"VACUUM (FULL) {', '.join(tables)}")


def _named(connection: Connection) -> Iterator[bytes]:
    blobs = schema.event.c.blobs
    for named in connection.scalars(select(blobs).where(blobs.is_not(None)).distinct()):
        yield from hashes(named)


def _empty_the_log(connection: Connection) -> None:
    """Best done with nobody else reading; the next time somebody is alone it happens anyway."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
