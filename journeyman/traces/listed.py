"""The `run` table, which lists are made from: kept in step with the events that begin and end a run.

The rest of a row is known once the run is projected; `projected=0` says that this has to be done (again).
"""

from typing import Any

from sqlalchemy import Connection, insert, update

from journeyman.traces.codec import sound
from journeyman.traces.events import ApprovalAnswered, RunFinished, RunStarted, SampleScored, StoredEvent
from journeyman.traces.schema import run

LISTED = frozenset({"run_started", "run_finished", "message_added", "sample_scored", "approval_answered"})


SECRET = "secret"  # noqa: S105 - the word
"""Level of a run in which a person typed a secret: nothing trains on it."""


def keep_listed(connection: Connection, run_id: str, at: int, event: StoredEvent) -> None:
    if isinstance(event, RunStarted):
        connection.execute(insert(run).values(run_id=run_id, started_at=at, **beginning(event)))
        return

    values: dict[str, Any]
    match event:
        case RunFinished():
            values = {"ended_at": at, "projected": 0, **end(event)}
        case SampleScored():
            values = {"projected": 0}
        case ApprovalAnswered():
            values = {}
        case _:  # the run goes on after its end
            values = {"ended_at": None, "outcome": None}

    if getattr(event, "secret", False):
        values["level"] = SECRET

    if not values:
        return

    connection.execute(update(run).where(run.c.run_id == run_id).values(values))


def beginning(event: RunStarted) -> dict[str, Any]:
    """What a run's first event says in its row."""
    return {
        "model": sound(event.model),
        "prompt": sound(event.prompt),
        "parent": event.parent,
        "parent_seq": event.parent_seq,
        "level": SECRET if event.secret else None,
    }


def end(event: RunFinished) -> dict[str, Any]:
    """What its last event says there."""
    return {
        "outcome": event.outcome,
        "answer": sound(event.answer) if event.answer is not None else None,
        "steps": event.steps,
        "prompt_tokens": event.usage.prompt_tokens,
        "completion_tokens": event.usage.completion_tokens,
        "denied": event.denied,
        "seconds": event.seconds,
    }
