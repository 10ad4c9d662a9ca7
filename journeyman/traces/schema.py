"""The store's tables of facts. `event` is the truth; `run` and the tables of `projections.py` can be rebuilt from it.

One schema for SQLite and PostgreSQL. A row of `event` is what one commit stored of one run: `body` is the JSON array
`[[microseconds after at, event], ...]`, compressed (`codec.py`), and `seq` the number of its last event. Content that
repeats or is large (tool schemas, instructions, policies, long results) is kept once in `blob`, compressed too, under
the SHA-256 of what it says; `blobs` are the hashes that a row's events name, 32 bytes each. Token ids and
log-probabilities (little-endian int32 and float32) stand beside the one response of a row that brought them. `link` is
the run's hash chain (`chain.py`), and a `tombstone` is what remains of a run that was deleted.
"""

from sqlalchemy import BigInteger, Column, Connection, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

event = Table(
    "event",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),  # of its first event: microseconds since 1970, UTC
    Column("body", LargeBinary, nullable=False),
    Column("blobs", LargeBinary),
    Column("tokens", LargeBinary),
    Column("link", LargeBinary, nullable=False),
)

blob = Table(
    "blob",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

tombstone = Table(
    "tombstone",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("deleted_at", BigInteger, nullable=False),
    Column("events", Integer, nullable=False),
    Column("link", LargeBinary),  # the run's last: a copy kept elsewhere can be told to be that run
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
    Column("parent_seq", Integer),
    Column("batch", Text),  # of practice; or the search that it is a candidate of
    Column("task", String(16)),
    Column("attempt", Integer),
    # what follows is known once the run is projected
    Column("projected", Integer, nullable=False, default=0),  # events that the projections cover
    Column("reward", Float),  # the score that counts, else the mean of the checks' newest; NULL: not scored, not 0
    Column("cost_usd", Float),
    Column("calls", Integer),
    Column("errors", Integer),  # calls that did not come to a good end
    Column("level", String(8)),  # tokens: each model call is recorded exactly; text: one is not; secret: one was typed
    Index("run_by_start", "started_at"),
    Index("run_by_batch", "batch", "task"),
)


def create(connection: Connection) -> None:
    """Make the tables and indexes that are not there."""
    metadata.create_all(connection)
    for index in run.indexes:
        index.create(connection, checkfirst=True)

    # not in the table's own words: those of PostgreSQL would load its dialect wherever a store is known
    connection.exec_driver_sql("CREATE INDEX IF NOT EXISTS run_unprojected ON run (projected) WHERE projected = 0")
