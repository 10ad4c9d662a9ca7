"""A store of an earlier version is brought up to date when it is opened, with all that is in it."""

import json
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import inspect, text

from journeyman.traces import projections, schema
from journeyman.traces.codec import pack_spans
from journeyman.traces.connect import make_engine
from journeyman.traces.events import StoredEvent
from journeyman.traces.find import find
from journeyman.traces.store import Store
from journeyman.traces.verify import verify
from tests.traces.runs import WHOLE, answer, exact, record, span, started, step

OLD = """
    CREATE TABLE event (run_id VARCHAR(32), seq INTEGER, at BIGINT, type VARCHAR(32), body TEXT, tokens {blob}{link},
        PRIMARY KEY (run_id, seq));
    CREATE TABLE blob (hash VARCHAR(64) PRIMARY KEY, data {blob} NOT NULL);
    CREATE TABLE run (run_id VARCHAR(32) PRIMARY KEY, started_at BIGINT NOT NULL, ended_at BIGINT, model TEXT NOT NULL,
        prompt TEXT NOT NULL, outcome VARCHAR(32), answer TEXT, steps INTEGER NOT NULL, prompt_tokens BIGINT NOT NULL,
        completion_tokens BIGINT NOT NULL, denied INTEGER NOT NULL, seconds FLOAT, parent VARCHAR(32){run});
    CREATE INDEX run_by_start ON run (started_at);
    CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY);
    INSERT INTO run (run_id, started_at, ended_at, model, prompt, outcome, answer, steps, prompt_tokens,
        completion_tokens, denied, seconds) VALUES ('r', 1, 2, 'm', 'boats?', 'answered', 'three', 2, 20, 8, 0, 1.5)"""
SECOND = """;
    CREATE INDEX run_unprojected ON run (projected);
    CREATE TABLE tombstone (run_id VARCHAR(32) PRIMARY KEY, deleted_at BIGINT, events INTEGER, link {blob})"""
THIRD = """;
    ALTER TABLE run ADD COLUMN batch TEXT;
    ALTER TABLE run ADD COLUMN task VARCHAR(16);
    ALTER TABLE run ADD COLUMN attempt INTEGER;
    CREATE INDEX run_by_batch ON run (batch, task);
    CREATE TABLE document (id INTEGER PRIMARY KEY, run_id TEXT, seq INTEGER)"""
ADDED = (
    ", parent_seq INTEGER, projected INTEGER NOT NULL DEFAULT 0, reward FLOAT, cost_usd FLOAT, calls INTEGER,"
    " errors INTEGER, level VARCHAR(8)"
)
TOKENS = exact(span("context", 1), span("sampled", 2, 3, logprobs=(-0.5, None)), root=True)
RUN = [started(), *step(tokens=TOKENS), *answer()]


def old_store(version: str, url: str, *, forged: bool = False) -> None:
    """A store as the first three versions wrote it, with one run of one commit."""
    engine = make_engine(url, "process")
    second = version >= "0002"
    with engine.begin() as connection:
        names = {"blob": "BYTEA" if connection.dialect.name == "postgresql" else "BLOB"}
        names |= {"link": f", link {names['blob']}" if second else "", "run": ADDED if second else ""}
        for statement in f"{OLD}{SECOND if second else ''}{THIRD if version == '0003' else ''}".format(**names).split(
            ";"
        ):
            connection.execute(text(statement))

        connection.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": version})
        lines = []
        for seq, event in enumerate(RUN, 1):
            row, blobs = old_row(event)
            tokens = "-" if row["tokens"] is None else sha256(row["tokens"]).hexdigest()
            lines.append(f"{seq} 1 {event.type} {tokens} {row['body']}\n")
            columns, values = "", ""
            if second:
                columns, values = ", link", ", :link"
                row["link"] = sha256("".join(lines).encode()).digest() if seq == len(RUN) else None

            if forged and seq == len(RUN):
                row["body"] = row["body"].replace("Three", "Eight")

            into = f"INSERT INTO event (run_id, seq, at, type, body, tokens{columns})"
            into += f" VALUES ('r', :seq, 1, :type, :body, :tokens{values})"
            connection.execute(text(into), {"seq": seq, "type": event.type, **row})
            for key, data in blobs.items():
                connection.execute(text("INSERT INTO blob VALUES (:key, :data)"), {"key": key, "data": data})

    engine.dispose()


def old_row(event: StoredEvent) -> tuple[dict[str, Any], dict[str, bytes]]:
    body = event.model_dump(mode="json", exclude={"type"}, exclude_none=True)
    blobs = {}
    for name in ("tools", "instructions", "model_info"):
        if event.type == "run_started":
            data = json.dumps(body[name]).encode()
            blobs[sha256(data).hexdigest()] = data
            body[name] = {"$blob": sha256(data).hexdigest()}

    tokens = None
    if event.type == "model_responded" and event.tokens is not None:
        tokens = pack_spans(event.tokens.spans)
        del body["tokens"]["spans"]

    return {"body": json.dumps(body), "tokens": tokens}, blobs


@pytest.mark.parametrize("version", ["0001", "0002", "0003"])
async def test_a_store_of_an_earlier_version_is_read_and_gone_on_with(url: str, version: str) -> None:
    old_store(version, url)

    with Store.open(url) as store:
        assert [each.event for each in store.events("r")] == RUN
        assert [each.code for each in verify(store) if each.level == "fatal"] == []
        assert [run.run_id for run in find(store, "tool:add boats")] == ["r"]
        await record(store, *answer(3), run_id="r", seq=len(RUN))

    with Store.open(url) as store:
        assert len(list(store.events("r"))) == len(RUN) + 3
        assert [each.code for each in verify(store) if each.level == "fatal"] == []


async def test_what_was_changed_before_is_still_told(url: str) -> None:
    old_store("0003", url, forged=True)

    with Store.open(url) as store:
        assert [each.code for each in verify(store) if each.level == "fatal"] == ["chain"]


async def test_the_tables_are_those_that_the_schema_names(store: Store) -> None:
    await record(store, *WHOLE)
    find(store, "boats")
    with store.reading() as connection:
        found = inspect(connection)
        for table in [*schema.metadata.tables.values(), *projections.metadata.tables.values()]:
            columns = {column["name"] for column in found.get_columns(table.name)}
            assert columns == set(table.columns.keys()), table.name
