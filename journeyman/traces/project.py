"""From events to projections: on demand, for every run that has ended since the last time.

A run's rows are computed outside of any lock, then written if nothing was added to the run meanwhile. A run that never
ended (its process was killed) is projected too once it is an hour old.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, or_, select, text, update

from journeyman.errors import DamagedRun
from journeyman.traces import projections, words
from journeyman.traces.migrations import OURS
from journeyman.traces.rows import RunRows
from journeyman.traces.schema import event as event_table
from journeyman.traces.schema import run as run_table
from journeyman.traces.store import Store

BATCH = 50
ABANDONED = 3600
"""Seconds after which a run without an end is taken as it is."""


def refresh(store: Store, *, everything: bool = False) -> int:
    """Bring the projections up to date; how many runs that took. `everything`: runs without an end too, now."""
    prepare(store)
    done = 0
    skip: set[str] = set()
    while run_ids := _stale(store, skip, everything=everything):
        projected = list(_readable(store, run_ids))
        with store.writing() as connection:
            written = _write(connection, projected)

        skip |= set(run_ids) - written  # still going on: the next time
        done += len(written)

    return done


def _readable(store: Store, run_ids: Sequence[str]) -> Iterator[RunRows]:
    """Their projections, but of those whose record is broken: `verify` tells of them, and the others can be found."""
    table = event_table
    query = select(table).where(table.c.run_id.in_(run_ids)).order_by(table.c.run_id, table.c.seq)
    with store.reading() as connection:
        for run_id, rows in groupby(connection.execute(query).all(), lambda row: row.run_id):
            with suppress(DamagedRun):
                own = [each for row in rows for each in store.stored(connection, row)]
                forked = own[0].event.type == "run_started" and own[0].event.parent_seq is not None
                yield RunRows(run_id, list(store.events(run_id)) if forked else own)


def prepare(store: Store) -> None:
    """Make the projections where they are not there yet, or are an earlier version's."""
    with store.reading() as connection:
        if projections.exist(connection):
            return

    with store.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({OURS})")

        if not projections.exist(connection):
            _anew(connection)


def _anew(connection: Connection) -> None:
    projections.drop(connection)
    projections.create(connection)
    connection.execute(update(run_table).values(projected=0))


def rebuild(store: Store) -> int:
    """Drop every projection and make all of them anew from the events; how many runs there are."""
    with store.writing() as connection:
        _anew(connection)
        known = select(run_table.c.run_id)
        began = select(event_table.c.run_id, func.min(event_table.c.at), text("''"), text("''"), text("0"), text("0"))
        missing = began.where(event_table.c.run_id.not_in(known)).group_by(event_table.c.run_id)
        names = ["run_id", "started_at", "model", "prompt", "steps", "prompt_tokens"]
        rest = ["completion_tokens", "denied", "projected"]
        missing = missing.add_columns(*(text("0") for _ in rest))
        connection.execute(insert(run_table).from_select([*names, *rest], missing, include_defaults=False))
        gone = run_table.c.run_id.not_in(select(event_table.c.run_id))
        connection.execute(delete(run_table).where(gone))

    return refresh(store, everything=True)


def _stale(store: Store, skip: set[str], *, everything: bool) -> Sequence[str]:
    condition = run_table.c.projected == 0
    if not everything:
        long_ago = int((time.time() - ABANDONED) * 1e6)
        condition &= or_(run_table.c.ended_at.is_not(None), run_table.c.started_at < long_ago)

    query = select(run_table.c.run_id).where(condition).order_by(run_table.c.started_at)
    with store.reading() as connection:
        found = connection.scalars(query.limit(BATCH + len(skip))).all()

    return [run_id for run_id in found if run_id not in skip][:BATCH]


def _write(connection: Connection, projected: Sequence[RunRows]) -> set[str]:
    """The runs that were written: those that have not gone on meanwhile."""
    ids = [each.run_id for each in projected]
    connection.execute(select(run_table.c.run_id).where(run_table.c.run_id.in_(ids)).with_for_update())
    count = select(event_table.c.run_id, func.max(event_table.c.seq)).where(event_table.c.run_id.in_(ids))
    last = dict(connection.execute(count.group_by(event_table.c.run_id)).all())
    fresh = [each for each in projected if each.last == last.get(each.run_id)]
    ids = [each.run_id for each in fresh]
    for table in projections.OF_A_RUN:
        connection.execute(delete(table).where(table.c.run_id.in_(ids)))

    rows: dict[Table, list[dict[str, Any]]] = defaultdict(list)
    for each in fresh:
        for table, added in each.rows.items():
            rows[table] += added

    for table, added in rows.items():
        _insert(connection, table, added)

    if fresh:
        names = {name: bindparam(f"new_{name}") for name in fresh[0].run}
        statement = update(run_table).where(run_table.c.run_id == bindparam("id")).values(names)
        connection.execute(
            statement, [{f"new_{k}": v for k, v in each.run.items()} | {"id": each.run_id} for each in fresh]
        )

    document = projections.document
    indexed = select(document.c.run_id, func.max(document.c.seq)).where(document.c.run_id.in_(ids))
    until = dict(connection.execute(indexed.group_by(document.c.run_id)).all())
    words.add(connection, [each for one in fresh for each in one.own if each.seq > until.get(one.run_id, 0)])
    return set(ids)


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if table in {projections.tool, projections.artifact}:
        rows = list({row["hash"]: row for row in rows}.values())
        known = select(table.c.hash).where(table.c.hash.in_([row["hash"] for row in rows]))
        there = set(connection.scalars(known))
        rows = [row for row in rows if row["hash"] not in there]

    if rows:
        connection.execute(insert(table), rows)
