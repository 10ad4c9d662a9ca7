"""A row for each commit of a run, and content under binary hashes; stores of the first versions are rewritten.

Their events are kept as they were. Their links are derived again over the new rows; where an old link did not fit,
the new one does not either, so that `verify` says what it would have said.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

from journeyman.traces import projections
from journeyman.traces.chain import START, seal
from journeyman.traces.codec import pack, unpack_spans
from journeyman.traces.events import StoredEvent, stored_event

revision = "0004"
down_revision = None
WRONG = b"\0" * 32


def upgrade() -> None:
    old = sa.inspect(op.get_bind()).has_table("event")
    if old:
        op.rename_table("event", "old_event")
        op.rename_table("blob", "old_blob")

    event = op.create_table(
        "event",
        sa.Column("run_id", sa.String(32), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("blobs", sa.LargeBinary),
        sa.Column("tokens", sa.LargeBinary),
        sa.Column("link", sa.LargeBinary, nullable=False),
    )
    blob = op.create_table(
        "blob",
        sa.Column("hash", sa.LargeBinary, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    if not old:
        op.create_table("run", *_columns_of_run())

    _complete()
    if old:
        projections.drop(op.get_bind())  # they are made anew when they are asked for
        op.execute("UPDATE run SET projected = 0")
        _rewrite(op.get_bind(), event, blob)


def _columns_of_run() -> Iterator[sa.Column]:
    yield sa.Column("run_id", sa.String(32), primary_key=True)
    yield sa.Column("started_at", sa.BigInteger, nullable=False)
    yield sa.Column("ended_at", sa.BigInteger)
    yield sa.Column("model", sa.Text, nullable=False)
    yield sa.Column("prompt", sa.Text, nullable=False)
    yield sa.Column("outcome", sa.String(32))
    yield sa.Column("answer", sa.Text)
    yield sa.Column("steps", sa.Integer, nullable=False)
    yield sa.Column("prompt_tokens", sa.BigInteger, nullable=False)
    yield sa.Column("completion_tokens", sa.BigInteger, nullable=False)
    yield sa.Column("denied", sa.Integer, nullable=False)
    yield sa.Column("seconds", sa.Float)
    yield sa.Column("parent", sa.String(32))
    yield sa.Column("parent_seq", sa.Integer)
    yield sa.Column("batch", sa.Text)
    yield sa.Column("task", sa.String(16))
    yield sa.Column("attempt", sa.Integer)
    yield sa.Column("projected", sa.Integer, nullable=False, server_default="0")
    yield sa.Column("reward", sa.Float)
    yield sa.Column("cost_usd", sa.Float)
    yield sa.Column("calls", sa.Integer)
    yield sa.Column("errors", sa.Integer)
    yield sa.Column("level", sa.String(8))


def _complete() -> None:
    """What the store does not have yet of the lists."""
    there = sa.inspect(op.get_bind())
    columns = {column["name"] for column in there.get_columns("run")}
    for column in _columns_of_run():
        if column.name not in columns:
            op.add_column("run", column)

    open_ones = sa.text("projected = 0")
    indexes = {index["name"] for index in there.get_indexes("run")}
    if "run_by_start" not in indexes:
        op.create_index("run_by_start", "run", ["started_at"])

    if "run_by_batch" not in indexes:
        op.create_index("run_by_batch", "run", ["batch", "task"])

    if "run_unprojected" not in indexes:
        op.create_index("run_unprojected", "run", ["projected"], sqlite_where=open_ones, postgresql_where=open_ones)

    if there.has_table("tombstone"):
        return

    op.create_table(
        "tombstone",
        sa.Column("run_id", sa.String(32), primary_key=True),
        sa.Column("deleted_at", sa.BigInteger, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("link", sa.LargeBinary),
        sqlite_with_rowid=False,
    )
    if there.has_table("old_event"):
        op.add_column("old_event", sa.Column("link", sa.LargeBinary))


def _rewrite(connection: sa.Connection, event: sa.Table, blob: sa.Table) -> None:
    contents = {row.hash: row.data for row in connection.execute(sa.text("SELECT hash, data FROM old_blob"))}
    query = sa.text("SELECT run_id, seq, at, type, body, tokens, link FROM old_event ORDER BY run_id, seq")
    rows = connection.execute(query.execution_options(yield_per=1000))
    for run_id, of_run in groupby(rows, lambda row: row.run_id):
        old = new = START
        for commit in _commits(of_run):
            old_link = commit[-1].link
            old = sha256(old + "".join(map(_line, commit)).encode()).digest()
            for row, named in pack([(run_id, r.seq, r.at, _event(r, contents)) for r in commit]):
                new = seal(new, row) if old_link in (None, old) else WRONG
                connection.execute(sa.insert(event).values(run_id=run_id, link=new, **row._asdict()))
                for key, data in named:
                    if not connection.scalar(sa.select(sa.func.count()).where(blob.c.hash == key)):
                        connection.execute(sa.insert(blob).values(hash=key, data=data))

            old = old_link or old

    op.drop_table("old_event")
    op.drop_table("old_blob")


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
