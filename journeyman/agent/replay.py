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

from journeyman.agent.models.model import Sampling
from journeyman.agent.order import Order, as_limited
from journeyman.agent.parts import nobody
from journeyman.agent.plan import SPEC as PLAN
from journeyman.agent.played import PlayedModel, PlayedPolicy, PlayedTools, Unveiled
from journeyman.agent.rest import Rests
from journeyman.agent.run import MAX_RESULT
from journeyman.agent.session import Crew, execute, fork, resume, window_of
from journeyman.agent.strategies.cot import reader
from journeyman.agent.tape import Tape, timeless
from journeyman.errors import UsageError
from journeyman.traces.events import (
    CandidateTried,
    RunResumed,
    RunStarted,
    StoredEvent,
    stored_event,
)
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
        await _play(tape)
        for event in tape.events[: tape.at]:
            hashed.update(timeless(event).model_dump_json().encode())

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


async def _play(tape: Tape) -> None:
    model = PlayedModel(tape.started, tape.events, tape)
    order = _order(tape)
    tape.longest = min(MAX_RESULT, window_of(order, model).size)
    crew = Crew(
        model=model,
        toolbox=PlayedTools(tape),
        policy=PlayedPolicy(tape),
        recorder=tape,
        run_id="replay",
        approver=nobody if tape.nobody_was_there() else tape.answer,
        policy_info=tape.started.policy,
        rests=lambda: Rests(keeps=False),
        veil=Unveiled(),
    )
    with tape.scope:
        await _run(tape, order, crew)


def _order(tape: Tape) -> Order:
    first = tape.events[0]
    limits = first.limits if isinstance(first, RunStarted | RunResumed) else {}
    said = tape.events[1] if len(tape.events) > 1 else None
    spoke = {"user", "runtime"} if isinstance(first, RunStarted) else {"user"}  # the loop's own word comes later
    return Order(
        prompt=said.text if said and said.type == "message_added" and said.origin in spoke else "",
        origin="model" if said and said.type == "message_added" and said.origin == "runtime" else "user",
        instructions=tape.started.instructions,
        read=reader(tape.started.strategy),
        sampling=_asked_of(tape.events),
        returns=tape.started.returns,
        check=tape.check,
        plan=any(spec.identity == PLAN.identity for spec in tape.started.tools),
        more=tape.more,
        **as_limited(limits),
    )


async def _run(tape: Tape, order: Order, crew: Crew) -> None:
    first, work = tape.events[0], tape.came_to if tape.is_own else None
    if isinstance(first, RunResumed):
        await resume(tape.before, order, crew, work)
    elif tape.started.parent_seq is not None:
        await fork(tape.before, order, crew, parent="", parent_seq=tape.started.parent_seq, work=work)
    else:
        await execute(replace(order, prompt=tape.started.prompt), crew, work)


def _asked_of(events: Sequence[StoredEvent]) -> Sampling:
    """How the run's model was asked to sample."""
    first = next((event for event in events if event.type == "model_requested" and event.choice != "none"), None)
    first = first or next((event for event in events if event.type == "model_requested"), None)
    return Sampling.model_validate(first.sampling if first else {})
