"""A stored run, done again: by the real loop, with a model and tools that play what was recorded.

Nothing in it is live, and it must produce the identical events, up to times: if it does not, the loop has changed, or
the record. (`today.py` puts today's tools or today's model in the place of the recorded ones.)

Where a run was ended from outside (it was killed, stopped, or its time was up) the replay ends there too. What cannot
be compared: warnings about time, and what `run_started` says of the surroundings.
"""

import json
import re
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Never, cast

import anyio
from pydantic import JsonValue

from journeyman.agent.budget import Limits
from journeyman.agent.calls import MAX_RESULT
from journeyman.agent.models.model import Capabilities, Request
from journeyman.agent.parts import nobody
from journeyman.agent.plan import SPEC as PLAN
from journeyman.agent.session import Crew, Order, execute, fork, resume
from journeyman.errors import ModelError, ServerError, ToolError, UsageError
from journeyman.policies.decision import Decision
from journeyman.tools.tool import Output, Report
from journeyman.traces.events import (
    ApprovalAnswered,
    ApprovalRequested,
    CallDecided,
    CallFinished,
    CallProposed,
    ModelDelta,
    ModelResponded,
    RunFinished,
    RunResumed,
    RunStarted,
    StoredEvent,
    stored_event,
)
from journeyman.traces.fold import State
from journeyman.traces.messages import ToolSpec, Value


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
    return event.type == "budget_warned" and event.what == "seconds"


def _timeless(event: StoredEvent) -> StoredEvent:
    """Without times, and without the advice that names the run."""
    if isinstance(event, CallFinished):
        return event.model_copy(update={"seconds": 0.0})

    if isinstance(event, RunFinished):
        error = {name: text for name, text in event.error.items() if name != "fix"} if event.error else None
        return event.model_copy(update={"seconds": 0.0, "error": error})

    return event


class Tape:
    """One stretch of a recorded run: plays every part of it, and hears what the loop does."""

    def __init__(self, events: Sequence[StoredEvent], before: Sequence[StoredEvent]) -> None:
        self.events = [event for event in events if not _of_time(event)]
        self.at = 0
        """How many events were the same so far."""
        self.got: StoredEvent | None = None
        self.before = before
        self.started = next(e for e in [*reversed(before), *events] if isinstance(e, RunStarted))
        if isinstance(events[0], RunStarted):
            self.started = events[0]

        self.longest = MAX_RESULT
        self.scope = anyio.CancelScope()
        self._stopped = False

    @property
    def next(self) -> StoredEvent | None:
        return self.events[self.at] if self.at < len(self.events) else None

    async def play(self) -> None:
        model = PlayedModel(self.started, self.events, self)
        self.longest = min(MAX_RESULT, model.capabilities.context)
        crew = Crew(
            model=model,
            toolbox=PlayedTools(self),
            policy=PlayedPolicy(self),
            recorder=self,
            run_id="replay",
            approver=nobody if self._nobody_was_there() else self.answer,
            policy_info=self.started.policy,
        )
        with self.scope:
            await self._run(self._order(), crew)

    def _nobody_was_there(self) -> bool:
        """A call that may have happened was given up without asking."""
        names = {spec.name for spec in self.started.tools}
        left = {call.id for call in State.of(self.before).pending if call.name in names}
        proposed = {event.call_id for event in self.events if isinstance(event, CallProposed)}
        unknown = {e.result.call_id for e in self.events if isinstance(e, CallFinished) and e.status == "unknown"}
        return bool(left & unknown - proposed)

    def _order(self) -> Order:
        first = self.events[0]
        limits = dict(first.limits if isinstance(first, RunStarted | RunResumed) else {})
        seconds = limits.pop("call_seconds", 120.0)
        said = self.events[1] if len(self.events) > 1 else None
        return Order(
            prompt=said.text if said and said.type == "message_added" and said.origin == "user" else "",
            instructions=self.started.instructions,
            limits=Limits.model_validate({"steps": None} | limits),
            call_seconds=float(seconds) if isinstance(seconds, int | float) else 120.0,
            returns=self.started.returns,
            check=self.check,
            plan=any(spec.identity == PLAN.identity for spec in self.started.tools),
        )

    async def _run(self, order: Order, crew: Crew) -> None:
        first = self.events[0]
        if isinstance(first, RunResumed):
            await resume(self.before, order, crew)
        elif self.started.parent_seq is not None:
            await fork(self.before, order, crew, parent="", parent_seq=self.started.parent_seq)
        else:
            await execute(replace(order, prompt=self.started.prompt), crew)

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
        return answer if isinstance(answer, ApprovalAnswered) else await self.ended()

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


class PlayedModel:
    """Answers each step as it was answered."""

    def __init__(self, started: RunStarted, events: Sequence[StoredEvent], tape: Tape | None = None) -> None:
        self.spec = started.model
        abilities = started.model_info.get("capabilities")
        self.capabilities = Capabilities.model_validate(abilities if isinstance(abilities, dict) else {})
        self._answers = {event.step: event for event in events if isinstance(event, ModelResponded)}
        self._info = {name: value for name, value in started.model_info.items() if name != "capabilities"}
        self._tape = tape

    async def open(self) -> dict[str, JsonValue]:
        return self._info

    async def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded, None]:
        answer = self._answers.get(request.step)
        if answer is not None:
            yield answer
            return

        if self._tape is None:
            raise ModelError(f"The record has no step {request.step}.", fix="Ask a model: --live-model")

        match self._tape.next:
            case RunFinished(error={"kind": "model", "message": str(message)} as error):
                raise ModelError(message, fix=error.get("fix", ""))
            case _:
                await self._tape.ended()

    def forget(self, run_id: str) -> None:
        pass

    async def close(self) -> None:
        pass


class PlayedTools:
    """Offers the recorded tools; each call of them comes to what it came to."""

    def __init__(self, tape: Tape) -> None:
        self.specs = tuple(spec for spec in tape.started.tools if spec.identity != PLAN.identity)
        self._tape = tape
        self._specs = {spec.name: spec for spec in self.specs}
        pending = State.of(tape.before).pending
        made = [call for event in tape.events if isinstance(event, ModelResponded) for call in event.message.calls]
        self._calls = deque(call.id for call in (*pending, *made) if call.name != PLAN.name)

    def find(self, name: str) -> "PlayedTool | None":
        """Asked once for each call, in the model's order."""
        call_id = self._calls.popleft() if self._calls else ""
        return PlayedTool(self._specs[name], call_id, self._tape) if name in self._specs else None

    def suggest(self, name: str) -> str:
        proposed = self._tape.next
        return (isinstance(proposed, CallProposed) and proposed.problem) or f"the record has no tool {name!r}"


@dataclass(frozen=True, slots=True)
class PlayedTool:
    spec: ToolSpec
    call_id: str
    tape: Tape

    def parse(self, arguments: str) -> dict[str, JsonValue]:
        match self.tape.next:
            case CallProposed(problem=str(problem)):
                raise ToolError(problem)
            case CallProposed(arguments=dict(parsed)):
                return parsed
            case _:  # what a person made of the arguments
                return self._edited(arguments)

    def _edited(self, arguments: str) -> dict[str, JsonValue]:
        done = self.tape.result(self.call_id)
        begun = any(e.type == "call_started" and e.call_id == self.call_id for e in self.tape.events)
        if done is not None and done.status == "error" and not begun:
            raise ToolError(done.result.text.removeprefix("error: "))

        return json.loads(arguments)

    async def call(self, arguments: dict[str, JsonValue], report: Report) -> Output:  # noqa: ARG002 - as recorded
        done = self.tape.result(self.call_id)
        if done is not None:
            return output_of(done, self.tape.longest)

        if isinstance(self.tape.next, CallFinished):  # its neighbours' results are there: the cut comes after them
            return Output("")

        return await self.tape.ended()


def output_of(done: CallFinished, longest: int = MAX_RESULT) -> Output:
    """What a tool must have given for this result, where those longer than `longest` were cut.

    Raises:
        ServerError: it did not give one.
    """
    if done.status == "timeout":
        return cast("Output", None)  # what the loop sees of a call whose time is up

    if done.status == "unknown":
        raise ServerError(done.result.text.removeprefix("error: "), maybe_done=True)

    result = done.result
    cut = _CUT.search(result.text, longest)
    text = result.text[:longest] + " " * int(cut[1].replace(",", "")) if cut else result.text
    return Output(text, data=result.data, is_error=result.is_error)


_CUT = re.compile(r"\n\[([\d,]+) more characters were left out\]\Z")


class PlayedPolicy:
    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def decide(self, tool: ToolSpec, arguments: dict[str, JsonValue]) -> Decision:  # noqa: ARG002 - as recorded
        match self._tape.next:
            case CallDecided() as decided:
                return Decision(effect=decided.effect, rules=decided.rules, reason=decided.reason)
            case CallFinished(status="denied", result=result):  # what a person made of the arguments
                return Decision(effect="deny", reason=result.text.removeprefix("denied: "))
            case _:
                return Decision(effect="allow")
