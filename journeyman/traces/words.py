"""Full text over prompts, answers, the arguments of calls and their results: FTS5 on SQLite, tsvector on PostgreSQL.

A document is an event; its words are indexed and its text is not kept a second time (what a hit says is read from the
event). Since an event never changes, its words can be taken out again by saying the same text.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, literal_column, select, text
from sqlalchemy.sql.elements import ColumnElement

from journeyman.traces.codec import sound
from journeyman.traces.events import CallFinished, MessageAdded, ModelResponded, RunStarted, StoredEvent
from journeyman.traces.projections import document
from journeyman.traces.writer import Stored

LONGEST = 100_000
"""Characters of one event that are indexed."""


def said(event: StoredEvent) -> str:
    """The words of an event that can be searched for; empty where it has none."""
    match event:
        case RunStarted(parent_seq=None):
            words = event.prompt
        case MessageAdded():
            words = event.text
        case ModelResponded(message=message):
            words = "\n".join([message.text, *(f"{call.name} {call.arguments}" for call in message.calls)])
        case CallFinished():
            words = event.result.text
        case _:
            words = ""

    return sound(words[:LONGEST]).strip()


def add(connection: Connection, stored: Sequence[Stored]) -> None:
    """Index events that are not indexed yet."""
    texts = {(each.run_id, each.seq): words for each in stored if (words := said(each.event))}
    if not texts:
        return

    keys = [{"run_id": run_id, "seq": seq} for run_id, seq in texts]
    ids = connection.scalars(insert(document).returning(document.c.id, sort_by_parameter_order=True), keys)
    rows = [{"id": number, "text": words} for number, words in zip(ids, texts.values(), strict=True)]
    if connection.dialect.name == "sqlite":
        connection.execute(text("INSERT INTO words (rowid, text) VALUES (:id, :text)"), rows)
    else:
        connection.execute(text("INSERT INTO words (id, text) VALUES (:id, to_tsvector('simple', :text))"), rows)


def remove(connection: Connection, stored: Sequence[Stored]) -> None:
    """Take the words of a run's events out of the index, for good."""
    if not stored:
        return

    run_id = stored[0].run_id
    texts = {each.seq: said(each.event) for each in stored}
    found = connection.execute(select(document.c.id, document.c.seq).where(document.c.run_id == run_id)).all()
    rows = [{"id": row.id, "text": texts.get(row.seq, "")} for row in found]
    if rows and connection.dialect.name == "sqlite":
        connection.execute(text("INSERT INTO words (words, rowid, text) VALUES ('delete', :id, :text)"), rows)
        connection.execute(text("INSERT INTO words (words) VALUES ('optimize')"))  # else old segments keep them
    elif rows:
        connection.execute(text("DELETE FROM words WHERE id = :id"), rows)

    connection.execute(delete(document).where(document.c.run_id == run_id))


def hits(dialect: str, phrase: str, limit: int | None = None) -> Select:
    """`run_id`, `seq` of the events that say this, newest first. A `*` at the end stands for any ending.

    Args:
        dialect: the store's.
        phrase: words that follow each other.
        limit: how many of the newest; None for all.
    """
    columns = select(document.c.run_id, document.c.seq)
    if dialect == "sqlite":
        number: ColumnElement[Any] = literal_column("words.rowid")
        condition = text("words MATCH :phrase").bindparams(phrase=_fts5(phrase))
    else:
        number = literal_column("words.id")
        function = "to_tsquery" if phrase.endswith("*") else "phraseto_tsquery"
        condition = text(f"words.text @@ {function}('simple', :phrase)").bindparams(phrase=_tsquery(phrase))

    joined = columns.select_from(text("words")).join(document, document.c.id == number)
    return joined.where(condition).order_by(number.desc()).limit(limit)


def _fts5(phrase: str) -> str:
    """A string of FTS5's query language, in which only quotes mean anything."""
    star = "*" if phrase.endswith("*") else ""
    return '"{}"{}'.format(phrase.rstrip("*").replace('"', '""'), star)


def _tsquery(phrase: str) -> str:
    if not phrase.endswith("*"):
        return phrase

    quoted = phrase.rstrip("*").replace("\\", " ").replace("'", " ")
    return f"'{quoted}':*"
