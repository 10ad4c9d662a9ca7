"""The store's tables. `event` is the truth; every other table can be rebuilt from it.

One schema for SQLite and PostgreSQL. Content that repeats or is large (tool schemas, instructions, long results) is
kept once in `blob` under its SHA-256; an event's body names it as `{"$blob": "<hash>"}`. Token ids and
log-probabilities are binary (little-endian int32 and float32), beside the body of the event that brought them.
"""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

event = Table(
    "event",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),  # microseconds since 1970, UTC
    Column("type", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("tokens", LargeBinary),
    sqlite_with_rowid=False,
)

blob = Table(
    "blob",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("data", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

run = Table(
    "run",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("model", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("outcome", String(32)),  # NULL: still running, or killed
    Column("answer", Text),
    Column("steps", Integer, nullable=False, default=0),
    Column("prompt_tokens", BigInteger, nullable=False, default=0),
    Column("completion_tokens", BigInteger, nullable=False, default=0),
    Column("denied", Integer, nullable=False, default=0),
    Column("seconds", Float),
    Column("parent", String(32)),
    Index("run_by_start", "started_at"),
)
