"""A stored run, done again: by the real loop, with a model and tools that play what was recorded.

Nothing in it is live, and it must produce the identical events, up to times: if it does not, the loop has changed, or
the record. (`today.py` puts today's tools or today's model in the place of the recorded ones.)

Where a run was ended from outside (it was killed, stopped, or its time was up) the replay ends there too. What cannot
be compared: warnings about time, and what `run_started` says of the surroundings.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Never

import anyio

from journeyman.agent.models.model import Sampling
from journeyman.agent.order import Order, as_limited
from journeyman.agent.own import answer_of
from journeyman.agent.parts import nobody
from journeyman.agent.plan import SPEC as PLAN
from journeyman.agent.played import PlayedModel, PlayedPolicy, PlayedTools, Unveiled
from journeyman.agent.rest import Rests
from journeyman.agent.run import MAX_RESULT, Run
from journeyman.agent.session import Crew, execute, fork, resume, window_of
from journeyman.agent.strategies.cot import reader
from journeyman.errors import UsageError
from journeyman.traces.events import (
    ApprovalAnswered,
    ApprovalRequested,
    BudgetRaised,
    BudgetWarned,
    CallFinished,
    CallProposed,
    CandidateTried,
    Inside,
    MessageAdded,
    RunFinished,
    RunResumed,
    RunStarted,
    StoredEvent,
    stored_event,
)
from journeyman.traces.fold import State
from journeyman.traces.listed import ADDED
from journeyman.traces.messages import Value


class Replayed(Value):
    events: int
    """How many were the same, from the first."""
    digest: str
    """SHA-256 over them, times left out."""
    expected: StoredEvent | None = None
    """What was recorded where the replay did something else; None where it did not."""
    got: StoredEvent | None = None
    """What it did there; None where it stopped short."""

    @property
    def same(self) -> bool:
        return self.expected is None and self.got is None


async def replay(events: Sequence[StoredEvent]) -> Replayed:
    """Do a run again with what was recorded, and compare every event.

    Raises:
        UsageError: these are not the events of a run.
    """
    if not events or not isinstance(events[0], RunStarted):
        raise UsageError("These are not the events of a run.", fix="journeyman traces list")

    if any(isinstance(event, CandidateTried) for event in events):
        fix = "Replay one of its candidates: journeyman traces show RUN names them."
        raise UsageError("This is a search: what it did are runs of their own.", fix=fix)

    events = [event for event in events if event.type not in ADDED]
    hashed = sha256()
    done = 0
    for start, end in _segments(events):
        tape = Tape(events[start:end], events[:start])
        await tape.play()
        for event in tape.events[: tape.at]:
            hashed.update(_timeless(event).model_dump_json().encode())

        done += tape.at
        if tape.got is not None or tape.at < len(tape.events):
            expected = tape.events[tape.at] if tape.at < len(tape.events) else None
            return Replayed(events=done, digest=hashed.hexdigest(), expected=expected, got=tape.got)

    return Replayed(events=done, digest=hashed.hexdigest())


def read(path: Path) -> list[StoredEvent]:
    """The events of a file that `traces export --format events` wrote of one run.

    Raises:
        UsageError: it is no such file.
    """
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
        return [stored_event.validate_python({k: v for k, v in row.items() if k not in _STORED}) for row in rows]
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"{path} has no events of a run: {error}", fix="journeyman traces export-test RUN") from error


_STORED = {"run_id", "seq", "at"}


def _segments(events: Sequence[StoredEvent]) -> Iterator[tuple[int, int]]:
    """A run that was resumed or forked is several stretches, each done by one process."""
    starts = [at for at, event in enumerate(events) if isinstance(event, RunStarted | RunResumed)]
    yield from zip(starts, [*starts[1:], len(events)], strict=True)


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


def _timeless(event: StoredEvent) -> StoredEvent:
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
    """One stretch of a recorded run: plays every part of it, and hears what the loop does."""

    def __init__(self, events: Sequence[StoredEvent], before: Sequence[StoredEvent]) -> None:
        self.events: Sequence[StoredEvent] = _alone(events)
        self._own = any(isinstance(event, Inside) and event.own for event in events)
        """It is what came of a call of the user's."""
        self.at = 0
        """How many events were the same so far."""
        self.got: StoredEvent | None = None
        self.before = before
        self.started = _set_up(events, before)
        self.longest = MAX_RESULT
        self.scope = anyio.CancelScope()
        self._stopped = False

    @property
    def next(self) -> StoredEvent | None:
        return self.events[self.at] if self.at < len(self.events) else None

    async def play(self) -> None:
        model = PlayedModel(self.started, self.events, self)
        order = self._order()
        self.longest = min(MAX_RESULT, window_of(order, model).size)
        crew = Crew(
            model=model,
            toolbox=PlayedTools(self),
            policy=PlayedPolicy(self),
            recorder=self,
            run_id="replay",
            approver=nobody if self._nobody_was_there() else self.answer,
            policy_info=self.started.policy,
            rests=lambda: Rests(keeps=False),
            veil=Unveiled(),
        )
        with self.scope:
            await self._run(order, crew)

    def _nobody_was_there(self) -> bool:
        """A call that may have happened was given up without asking."""
        names = {spec.name for spec in self.started.tools}
        left = {call.id for call in State.of(self.before).pending if call.name in names}
        proposed = {event.call_id for event in self.events if isinstance(event, CallProposed)}
        unknown = {e.result.call_id for e in self.events if isinstance(e, CallFinished) and e.status == "unknown"}
        return bool(left & unknown - proposed)

    def _order(self) -> Order:
        first = self.events[0]
        limits = first.limits if isinstance(first, RunStarted | RunResumed) else {}
        said = self.events[1] if len(self.events) > 1 else None
        spoke = {"user", "runtime"} if isinstance(first, RunStarted) else {"user"}  # the loop's own word comes later
        return Order(
            prompt=said.text if said and said.type == "message_added" and said.origin in spoke else "",
            origin="model" if said and said.type == "message_added" and said.origin == "runtime" else "user",
            instructions=self.started.instructions,
            read=reader(self.started.strategy),
            sampling=asked_of(self.events),
            returns=self.started.returns,
            check=self.check,
            plan=any(spec.identity == PLAN.identity for spec in self.started.tools),
            more=self.more,
            **as_limited(limits),
        )

    async def _run(self, order: Order, crew: Crew) -> None:
        first, work = self.events[0], self._came_to if self._own else None
        if isinstance(first, RunResumed):
            await resume(self.before, order, crew, work)
        elif self.started.parent_seq is not None:
            await fork(self.before, order, crew, parent="", parent_seq=self.started.parent_seq, work=work)
        else:
            await execute(replace(order, prompt=self.started.prompt), crew, work)

    async def _came_to(self, run: Run) -> str:
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
        pass

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
            return _timeless(expected) == _timeless(event)


def _from_outside(end: RunFinished) -> bool:
    """Not by anything that the loop, the model or a tool did."""
    kind = (end.error or {}).get("kind")
    of_time = kind == "budget" and "spent its seconds" in (end.error or {}).get("message", "")
    return end.outcome in {"timeout", "interrupted"} or of_time or (end.outcome == "failed" and kind is None)


def asked_of(events: Sequence[StoredEvent]) -> Sampling:
    """How the run's model was asked to sample."""
    first = next((event for event in events if event.type == "model_requested" and event.choice != "none"), None)
    first = first or next((event for event in events if event.type == "model_requested"), None)
    return Sampling.model_validate(first.sampling if first else {})
