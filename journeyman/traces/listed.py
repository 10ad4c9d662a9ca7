"""The `run` table, which lists are made from: kept in step with the events that begin and end a run.

The rest of a row is known once the run is projected; `projected=0` says that this has to be done (again).
"""

from collections.abc import Mapping
from typing import Any

from journeyman.traces.codec import sound
from journeyman.traces.events import ApprovalAnswered, RunFinished, RunStarted, SampleScored, StoredEvent

LISTED = frozenset({"run_started", "run_finished", "message_added", "sample_scored", "approval_answered"})
ADDED = frozenset({"files_kept", "sample_scored"})
"""What others say of a run: no part of what it did."""
AFTER = ADDED | {"run_finished"}
"""With one of these a run that has ended ends."""
LONGEST = 1000
"""Characters of a prompt or an answer that lists keep; the rest is in the event."""
SECRET = "secret"  # noqa: S105 - the word
"""Level of a run in which a person typed a secret: nothing trains on it."""
REWARD = "reward"
"""The name of the score that counts, made of those of the checks."""


def worth(scores: Mapping[str, float | None]) -> float | None:
    """What a run is worth by the newest score of each check: the one that counts, else their mean; None: unscored."""
    if REWARD in scores:
        return scores[REWARD]

    known = [score for score in scores.values() if score is not None]
    return sum(known) / len(known) if known else None


class Listing:
    """Writes the table with the driver's own statements: it is on the hot path of short runs."""

    def __init__(self, cursor: Any, mark: str) -> None:
        self._cursor = cursor
        self._mark = mark

    def keep(self, run_id: str, at: int, event: StoredEvent) -> None:
        values: dict[str, Any]
        match event:
            case RunStarted():
                self._insert({"run_id": run_id, "started_at": at, "projected": 0, **beginning(event)})
                return
            case RunFinished():
                values = {"ended_at": at, "projected": 0, **end(event)}
            case SampleScored():
                values = {"projected": 0, **({"reward": event.score} if event.name == REWARD else {})}
            case ApprovalAnswered():
                values = {}
            case _:  # the run goes on after its end
                values = {"ended_at": None, "outcome": None}

        if getattr(event, "secret", False):
            values["level"] = SECRET

        if values:
            self._update(run_id, values)

    def _insert(self, values: Mapping[str, Any]) -> None:
        names, marks = ", ".join(values), ", ".join([self._mark] * len(values))
        self._cursor.execute(f"INSERT INTO run ({names}) VALUES ({marks})", tuple(values.values()))  # noqa: S608 - ours

    def _update(self, run_id: str, values: Mapping[str, Any]) -> None:
        names = ", ".join(f"{name} = {self._mark}" for name in values)
        statement = f"UPDATE run SET {names} WHERE run_id = {self._mark}"  # noqa: S608 - ours
        self._cursor.execute(statement, (*values.values(), run_id))


def beginning(event: RunStarted) -> dict[str, Any]:
    """What a run's first event says in its row."""
    return {
        "model": sound(event.model),
        "prompt": sound(event.prompt[:LONGEST]),
        "parent": event.parent,
        "parent_seq": event.parent_seq,
        "batch": event.sample.batch if event.sample else event.group,
        "task": event.sample.task if event.sample else None,
        "attempt": event.sample.index if event.sample else None,
        "level": SECRET if event.secret else None,
        **dict.fromkeys(("steps", "prompt_tokens", "completion_tokens", "denied"), 0),
    }


def end(event: RunFinished) -> dict[str, Any]:
    """What its last event says there."""
    return {
        "outcome": event.outcome,
        "answer": sound(event.answer[:LONGEST]) if event.answer is not None else None,
        "steps": event.steps,
        "prompt_tokens": event.usage.prompt_tokens,
        "completion_tokens": event.usage.completion_tokens,
        "cost_usd": event.cost_usd,
        "denied": event.denied,
        "seconds": event.seconds,
    }
