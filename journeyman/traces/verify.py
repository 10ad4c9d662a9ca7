"""Is the store what was written? Every hash is derived again, and every finding listed.

fatal: something is not what was stored, or is gone. warn and info: what stands in the record is what happened, but it
is of less use (see `findings.py`). A run that was deleted says so by its tombstone.
"""

import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from journeyman.errors import StoreError
from journeyman.traces import schema
from journeyman.traces.chain import START, seal
from journeyman.traces.codec import content_hash, decompress, hashes
from journeyman.traces.findings import Level
from journeyman.traces.listed import AFTER
from journeyman.traces.messages import Value
from journeyman.traces.project import refresh
from journeyman.traces.projections import finding
from journeyman.traces.store import Store, columns, rows_of


class Report(Value):
    level: Level
    code: str
    detail: str
    run_id: str | None = None


def verify(store: Store, run_ids: Sequence[str] | None = None) -> Iterator[Report]:
    """What is wrong, worst kind first within a run.

    Args:
        store: the store.
        run_ids: only these; None for the whole store, its shared content included.

    Raises:
        StoreError: it cannot be read at all.
    """
    refresh(store, everything=True)
    with store.reading() as connection:
        bad = dict(_bad_blobs(connection)) if run_ids is None else {}
        yield from (
            Report(level="fatal", code="blob", detail=f"the content {key.hex()[:12]} {why}") for key, why in bad.items()
        )
        blobs = set(connection.scalars(select(schema.blob.c.hash)))
        for run_id in _all_runs(connection) if run_ids is None else run_ids:
            yield from _run(store, connection, run_id, blobs)

        yield from _tombstones(connection, run_ids)


def last_link(store: Store, run_id: str) -> str:
    """The run's newest link, in hex: what to keep elsewhere to be able to tell later that nothing was changed."""
    table = schema.event
    query = select(table.c.link).where(table.c.run_id == run_id)
    with store.reading() as connection:
        link = connection.scalar(query.order_by(table.c.seq.desc()).limit(1))

    return link.hex() if link else ""


def _bad_blobs(connection: Connection) -> Iterator[tuple[bytes, str]]:
    for key, data in connection.execute(select(schema.blob.c.hash, schema.blob.c.data)):
        try:
            good = content_hash(decompress(data)) == key
        except (ValueError, zlib.error):
            good = False

        if not good:
            yield key, "is not what it was: its hash does not fit"


def _all_runs(connection: Connection) -> Sequence[str]:
    listed = set(connection.scalars(select(schema.run.c.run_id)))
    return sorted(listed | set(connection.scalars(select(schema.event.c.run_id).distinct())))


def _run(store: Store, connection: Connection, run_id: str, blobs: set[bytes]) -> Iterator[Report]:
    link, seq, last = START, 0, ""
    for row in connection.execute(rows_of(run_id)):
        if seal(link, columns(row)) != row.link:
            detail = f"events {seq + 1} to {row.seq} are not what was stored, or some before them are gone"
            yield Report(level="fatal", code="chain", run_id=run_id, detail=detail)

        for key in hashes(row.blobs):
            if key not in blobs:
                detail = f"the content {key.hex()[:12]} of events {seq + 1} to {row.seq} is gone"
                yield Report(level="fatal", code="blob", run_id=run_id, detail=detail)

        try:
            last = list(store.stored(connection, row))[-1].event.type
        except StoreError as error:
            yield Report(level="fatal", code="unreadable", run_id=run_id, detail=str(error))

        link, seq = row.link, row.seq

    if not seq:
        yield Report(level="fatal", code="lost", run_id=run_id, detail="the run is listed and its events are gone")
        return

    row = connection.execute(select(schema.run).where(schema.run.c.run_id == run_id)).one_or_none()
    yield from _end(run_id, row.outcome if row else None, last)
    query = select(finding).where(finding.c.run_id == run_id).order_by(finding.c.ordinal)
    for each in connection.execute(query):
        where = f"step {each.step}: " if each.step is not None else ""
        yield Report(level=each.level, code=each.code, run_id=run_id, detail=f"{where}{each.detail}")

    if row is not None and row.parent_seq is not None:
        yield from _parent(connection, run_id, row.parent, row.parent_seq)


def _end(run_id: str, outcome: str | None, last: str) -> Iterator[Report]:
    if outcome is not None and last not in AFTER:
        detail = f"the run ended as {outcome} and its last events are gone"
        yield Report(level="fatal", code="cut", run_id=run_id, detail=detail)

    if outcome is None:
        yield Report(
            level="info", code="unfinished", run_id=run_id, detail="the run has no end: it goes on, or was killed"
        )


def _parent(connection: Connection, run_id: str, parent: str, seq: int) -> Iterator[Report]:
    table = schema.event
    there = connection.scalar(select(func.max(table.c.seq)).where(table.c.run_id == parent))
    if there is None or there < seq:
        detail = f"what it shares with {parent} is gone"
        yield Report(level="fatal", code="parent", run_id=run_id, detail=detail)


def _tombstones(connection: Connection, run_ids: Sequence[str] | None) -> Iterator[Report]:
    for row in connection.execute(select(schema.tombstone).order_by(schema.tombstone.c.deleted_at)):
        if run_ids is None or row.run_id in run_ids:
            when = datetime.fromtimestamp(row.deleted_at / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            detail = f"deleted on {when}: {row.events} events, last link {row.link.hex() if row.link else 'none'}"
            yield Report(level="info", code="deleted", run_id=row.run_id, detail=detail)
