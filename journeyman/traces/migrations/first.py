"""Stores of the first versions, which no release wrote, are rewritten as a store is today.

Their events are kept as they were. Their links are derived again over the new rows; where an old link did not fit,
the new one does not either, so that `verify` says what it would have said.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from itertools import groupby
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Connection, LargeBinary, func, insert, inspect, select, text

from journeyman.traces import projections, schema
from journeyman.traces.chain import START, seal
from journeyman.traces.codec import pack, unpack_spans
from journeyman.traces.events import StoredEvent, stored_event

WRONG = b"\0" * 32


def rewrite(connection: Connection) -> None:
    op, there = Operations(MigrationContext.configure(connection)), inspect(connection)
    if "link" not in {column["name"] for column in there.get_columns("event")}:
        op.add_column("event", Column("link", LargeBinary))

    known = {column["name"] for column in there.get_columns("run")}
    for column in schema.run.columns:
        if column.name not in known:
            default = None if column.nullable else "0"
            op.add_column("run", Column(column.name, column.type, nullable=column.nullable, server_default=default))

    for name in ("event", "blob"):
        op.rename_table(name, f"old_{name}")

    schema.create(connection)
    projections.drop(connection)  # they are made anew when they are asked for
    connection.exec_driver_sql("UPDATE run SET projected = 0")
    _copy(connection)


def _copy(connection: Connection) -> None:
    contents = {row.hash: row.data for row in connection.execute(text("SELECT hash, data FROM old_blob"))}
    query = text("SELECT run_id, seq, at, type, body, tokens, link FROM old_event ORDER BY run_id, seq")
    rows = connection.execute(query.execution_options(yield_per=1000))
    for run_id, of_run in groupby(rows, lambda row: row.run_id):
        old = new = START
        for commit in _commits(of_run):
            old_link = commit[-1].link
            old = sha256(old + "".join(map(_line, commit)).encode()).digest()
            for row, named in pack([(run_id, r.seq, r.at, _event(r, contents)) for r in commit]):
                new = seal(new, row) if old_link in (None, old) else WRONG
                connection.execute(insert(schema.event).values(run_id=run_id, link=new, **row._asdict()))
                for key, data in named:
                    if not connection.scalar(select(func.count()).where(schema.blob.c.hash == key)):
                        connection.execute(insert(schema.blob).values(hash=key, data=data))

            old = old_link or old

    connection.exec_driver_sql("DROP TABLE old_event")
    connection.exec_driver_sql("DROP TABLE old_blob")


def _commits(rows: Any) -> Iterator[list[Any]]:
    commit: list[Any] = []
    for row in rows:
        commit.append(row)
        if row.link is not None:
            yield commit
            commit = []

    if commit:
        yield commit


def _line(row: Any) -> str:
    tokens = "-" if row.tokens is None else sha256(row.tokens).hexdigest()
    return f"{row.seq} {row.at} {row.type} {tokens} {row.body}\n"


def _event(row: Any, contents: dict[str, bytes]) -> StoredEvent:
    data = json.loads(row.body)
    if row.tokens is not None:
        data["tokens"]["spans"] = unpack_spans(row.tokens)

    holders = {"run_started": data, "run_resumed": data, "call_finished": data.get("result")}
    holder = holders.get(row.type) or {}
    for name in ("tools", "instructions", "model_info", "text"):
        if isinstance(value := holder.get(name), dict) and "$blob" in value:
            holder[name] = json.loads(contents[value["$blob"]])

    return stored_event.validate_python({"type": row.type, **data})
