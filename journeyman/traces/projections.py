"""The tables that questions are asked of: made from events, dropped and made anew whenever that helps.

Nothing here holds content. A row says where it stands (`run_id`, `seq` of its event; `at` in the event's tokens), so
that a message or a token is stored once and a projection costs a few dozen bytes. They are written for runs that have
ended when a query needs them (`project.py`), never while a run is under way.

    run_message   the conversation in order; `hash` names the message itself, equal ones share it
    model_call    one for each step; `extends` is the step whose tokens it continues exactly, NULL for a new sequence
    token_span    stretches of a call's tokens: context, sampled, forced
    tool_call     proposed, decided, asked about, done
    reward        a verifier's verdict; `score` NULL is "not scored", which is not 0
    sample        of an attempt at a task: its kind and split, and where the task comes from
    finding       what is wrong with the token record, graded fatal, warn or info
    tool, run_tool, artifact   definitions by hash: tools, and what identifies a model
    v_sequence    spans along each sequence, in order, with `trained`: 1 where the model drew the tokens
    v_trainable   runs that have ended, recorded exactly, without fatal findings
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    inspect,
)

metadata = MetaData()


def _of_run(name: str, *columns: Column | Index) -> Table:
    return Table(name, metadata, Column("run_id", String(32), primary_key=True), *columns, sqlite_with_rowid=False)


def _key(name: str) -> Column:
    return Column(name, Integer, primary_key=True, autoincrement=False)


run_message = _of_run(
    "run_message",
    _key("ordinal"),
    Column("role", String(12), nullable=False),  # user, assistant, tool_result
    Column("hash", String(32), nullable=False),
    Column("seq", Integer, nullable=False),
)

model_call = _of_run(
    "model_call",
    _key("step"),
    Column("seq", Integer, nullable=False),
    Column("extends", Integer),
    Column("finish", String(8), nullable=False),
    Column("level", String(8)),  # tokens, text; NULL: nothing was recorded
    Column("logprob_kind", String(12)),
    Column("sampling", Text, nullable=False),  # JSON, only what differs from the defaults
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("cost_usd", Float),
    Column("seconds", Float, nullable=False),
)

token_span = _of_run(
    "token_span",
    _key("step"),
    _key("ordinal"),
    Column("kind", String(8), nullable=False),
    Column("n", Integer, nullable=False),
    Column("at", Integer, nullable=False),  # byte of the span's head in the event's tokens
    Column("has_logprobs", Boolean, nullable=False),
)

tool_call = _of_run(
    "tool_call",
    Column("call_id", Text, primary_key=True),
    Column("step", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("tool", Text, nullable=False),
    Column("effect", String(8)),
    Column("rules", Text, nullable=False, default="[]"),
    Column("reason", Text, nullable=False, default=""),
    Column("approved", Boolean),  # NULL: nobody had to be asked
    Column("approved_by", String(12)),
    Column("edited", Boolean, nullable=False, default=False),
    Column("status", String(12)),  # NULL: the intent is stored and no result is
    Column("seconds", Float),
    Index("tool_call_by_tool", "tool"),
)

reward = _of_run(
    "reward",
    _key("seq"),
    Column("verifier", Text, nullable=False),
    Column("name", Text, nullable=False, default=""),
    Column("score", Float),
    Column("status", String(8), nullable=False),
)

sample = _of_run(
    "sample",
    Column("kind", Text, nullable=False),
    Column("split", String(8), nullable=False),
    Column("source", Text, nullable=False),
)

finding = _of_run(
    "finding",
    _key("ordinal"),
    Column("step", Integer),
    Column("level", String(8), nullable=False),
    Column("code", String(32), nullable=False),
    Column("detail", Text, nullable=False),
)

tool = Table(
    "tool",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("server", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("definition", Text, nullable=False),
)

run_tool = _of_run(
    "run_tool",
    _key("position"),
    Column("hash", String(64), nullable=False),
)

artifact = Table(
    "artifact",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("spec", Text, nullable=False),
    Column("info", Text, nullable=False),
)

run_artifact = _of_run("run_artifact", Column("hash", String(64), nullable=False))

document = Table(
    "document",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("run_id", String(32), nullable=False),
    Column("seq", Integer, nullable=False),
    Index("document_by_run", "run_id", "seq"),
)
"""What the full-text index (`words.py`) knows by number: one for each event that has words."""

OF_A_RUN = (run_message, model_call, token_span, tool_call, reward, sample, finding, run_tool, run_artifact)

VIEWS = {
    "v_sequence": """
        WITH RECURSIVE path(run_id, root, step, depth) AS (
            SELECT run_id, step, step, 0 FROM model_call WHERE extends IS NULL AND level = 'tokens'
            UNION ALL
            SELECT c.run_id, p.root, c.step, p.depth + 1
            FROM model_call c JOIN path p ON c.run_id = p.run_id AND c.extends = p.step
        )
        SELECT p.run_id, p.root, p.depth, p.step, s.ordinal, s.kind, s.n, c.seq, s.at, s.has_logprobs,
               CASE WHEN s.kind = 'sampled' THEN 1 ELSE 0 END AS trained
        FROM path p
        JOIN model_call c ON c.run_id = p.run_id AND c.step = p.step
        JOIN token_span s ON s.run_id = p.run_id AND s.step = p.step
    """,
    "v_trainable": """
        SELECT r.* FROM run r
        WHERE r.ended_at IS NOT NULL AND r.level = 'tokens'
          AND r.outcome IN ('answered', 'failed', 'model_error', 'budget')
          AND NOT EXISTS (SELECT 1 FROM finding f WHERE f.run_id = r.run_id AND f.level = 'fatal')
    """,
}


def exist(connection: Connection) -> bool:
    """They are made with the first question, so that a store which is only written to stays small."""
    return set(metadata.tables) <= set(inspect(connection).get_table_names())


def create(connection: Connection) -> None:
    """Make the projections, empty."""
    metadata.create_all(connection)
    for name, query in VIEWS.items():
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {query}")

    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("CREATE VIRTUAL TABLE words USING fts5(text, content='', detail=full)")
    else:
        connection.exec_driver_sql("CREATE TABLE words (id BIGINT PRIMARY KEY, text TSVECTOR NOT NULL)")
        connection.exec_driver_sql("CREATE INDEX words_by_text ON words USING gin (text)")


def drop(connection: Connection) -> None:
    """Drop the projections with all that is in them."""
    for name in VIEWS:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")

    connection.exec_driver_sql("DROP TABLE IF EXISTS words")
    metadata.drop_all(connection)
