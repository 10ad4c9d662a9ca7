"""One stretch of a recorded run, held against what the loop does when it is done again."""

from collections.abc import Sequence
from typing import Never

import anyio

from journeyman.agent.own import answer_of
from journeyman.agent.run import MAX_RESULT, Run
from journeyman.traces.events import (
    ApprovalAnswered,
    ApprovalRequested,
    BudgetRaised,
    BudgetWarned,
    CallFinished,
    CallProposed,
    Inside,
    MessageAdded,
    RunFinished,
    RunResumed,
    RunStarted,
    StoredEvent,
)
from journeyman.traces.fold import State


def _of_time(event: StoredEvent) -> bool:
    return isinstance(event, BudgetWarned | BudgetRaised) and event.what == "seconds"


def _alone(events: Sequence[StoredEvent]) -> list[StoredEvent]:
    """What the loop does by itself: a tool that plays its result asks for nothing, and so nothing inside is denied."""
    inside = [event.event for event in events if isinstance(event, Inside)]
    denied = sum(isinstance(event, CallFinished) and event.status == "denied" for event in inside)
    return [
        event.model_copy(update={"denied": event.denied - denied}) if isinstance(event, RunFinished) else event
        for event in events
        if not _of_time(event) and not isinstance(event, Inside)
    ]


def timeless(event: StoredEvent) -> StoredEvent:
    """Without times, the advice that names the run, what an answer was bound to, and whether a secret was typed."""
    if isinstance(event, MessageAdded):
        return event.model_copy(update={"secret": False})

    if isinstance(event, ApprovalRequested):
        return event.model_copy(update={"token": "", "offer": ""})

    if isinstance(event, ApprovalAnswered):
        return event.model_copy(update={"token": ""})

    if isinstance(event, CallFinished):
        return event.model_copy(update={"seconds": 0.0})

    if isinstance(event, RunFinished):
        error = {name: text for name, text in event.error.items() if name != "fix"} if event.error else None
        return event.model_copy(update={"seconds": 0.0, "cost_usd": None, "error": error})

    return event


class Tape:
    """It is what is recorded to while the stretch is done again."""

    def __init__(self, events: Sequence[StoredEvent], before: Sequence[StoredEvent]) -> None:
        self.events: Sequence[StoredEvent] = _alone(events)
        self.is_own = any(isinstance(event, Inside) and event.own for event in events)
        """It is what came of a call of the user's."""
        self.at = 0
        """How many events were the same so far."""
        self.got: StoredEvent | None = None
        self.before = before
        self.started = _set_up(events, before)
        self.longest = MAX_RESULT
        """Characters of a result that the model read."""
        self.scope = anyio.CancelScope()
        self._stopped = False

    @property
    def next(self) -> StoredEvent | None:
        return self.events[self.at] if self.at < len(self.events) else None

    def nobody_was_there(self) -> bool:
        """A call that may have happened was given up without asking."""
        names = {spec.name for spec in self.started.tools}
        left = {call.id for call in State.of(self.before).pending if call.name in names}
        proposed = {event.call_id for event in self.events if isinstance(event, CallProposed)}
        unknown = {e.result.call_id for e in self.events if isinstance(e, CallFinished) and e.status == "unknown"}
        return bool(left & unknown - proposed)

    async def came_to(self, run: Run) -> str:
        """What the user's call came to, in words; it is not made again."""
        if not isinstance(self.next, MessageAdded):
            return await self.ended()

        run.emit(self.next)
        return answer_of(run.state)

    def record(self, event: StoredEvent) -> None:
        if self._stopped or _of_time(event):
            return

        expected = self.next
        if expected is not None and _same(expected, event):
            self.at += 1
        elif isinstance(expected, RunFinished) and _from_outside(expected):
            self.at += 1
            self.stop()
        else:
            self.got = event if expected is not None else None
            self.stop()

    async def barrier(self) -> None:
        """Nothing is written."""

    def stop(self) -> None:
        """The record has no more to say, or says something else."""
        self._stopped = True
        self.scope.cancel()

    async def ended(self) -> Never:
        """Wait where the recorded run was cut off."""
        if isinstance(self.next, RunFinished) and _from_outside(self.next):
            self.at += 1

        self.stop()
        await anyio.sleep_forever()  # it was cancelled just now
        raise AssertionError

    async def answer(self, request: ApprovalRequested) -> ApprovalAnswered:  # noqa: ARG002 - the record knows
        answer = self.next
        if not isinstance(answer, ApprovalAnswered):
            return await self.ended()

        return answer.model_copy(update={"token": ""})  # it was bound to what was known of the tool then

    async def more(self, *_spent: object) -> float | None:
        answer = self.next
        return answer.limit if isinstance(answer, BudgetRaised) else None

    def check(self, answer: str) -> str | None:  # noqa: ARG002 - the record knows what was wrong with it
        match self.next:
            case RunFinished(error={"kind": "model", "message": str(message)}):
                return message.partition(" gave no usable answer. ")[2] or None
            case event if event is not None and event.type == "message_added" and event.origin == "runtime":
                return event.text.removesuffix(" Answer again.")
            case _:
                return None

    def result(self, call_id: str) -> CallFinished | None:
        return next((e for e in self.events if isinstance(e, CallFinished) and e.result.call_id == call_id), None)


def _set_up(events: Sequence[StoredEvent], before: Sequence[StoredEvent]) -> RunStarted:
    """Who did this stretch: as it began, or as it was taken up again."""
    first = events[0]
    if isinstance(first, RunStarted):
        return first

    began = next(event for event in reversed(before) if isinstance(event, RunStarted))
    if not isinstance(first, RunResumed) or first.model is None:
        return began

    names = ("model", "model_info", "tools", "policy")
    return began.model_copy(update={name: getattr(first, name) for name in names})


def _same(expected: StoredEvent, event: StoredEvent) -> bool:
    match expected, event:
        case RunStarted(), RunStarted():
            return True  # the surroundings: what is played here is not what was there
        case RunResumed(), RunResumed():
            return expected.unfinished == event.unfinished
        case _:
            return timeless(expected) == timeless(event)


def _from_outside(end: RunFinished) -> bool:
    """Not by anything that the loop, the model or a tool did."""
    kind = (end.error or {}).get("kind")
    of_time = kind == "budget" and "spent its seconds" in (end.error or {}).get("message", "")
    return end.outcome in {"timeout", "interrupted"} or of_time or (end.outcome == "failed" and kind is None)
