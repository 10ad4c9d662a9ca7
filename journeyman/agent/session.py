"""One run from its first event to its last: set up, driven, ended, whatever happens.

`execute` starts a run, `fork` one that shares another's beginning, and `resume` takes a stored one up again. Each ends
it with `run_finished` and returns a `Result`; a failure is an outcome in the trace and an error on the result. Only
cancellation, and what is no `JourneymanError`, leaves by an exception, and then too the trace has an end.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any

import anyio
from pydantic import JsonValue

from journeyman.agent.budget import Budget
from journeyman.agent.guard import Guard
from journeyman.agent.loop import drive
from journeyman.agent.models.model import Model
from journeyman.agent.order import Order, Result
from journeyman.agent.own import run_command
from journeyman.agent.parts import Approver, Policy, Recorder, Toolbox, WithOwn, nobody
from journeyman.agent.plan import UpdatePlan
from journeyman.agent.preflight import give_up
from journeyman.agent.program import RunProgram
from journeyman.agent.rest import Rests
from journeyman.agent.returns import fits
from journeyman.agent.run import Listener, Run
from journeyman.agent.window import Window
from journeyman.errors import (
    BudgetExceeded,
    JourneymanError,
    ModelError,
    RunTimeout,
    SandboxError,
    StoreError,
    ToolError,
    UsageError,
)
from journeyman.policies.approvals import Book
from journeyman.traces.events import MessageAdded, Outcome, RunFinished, RunResumed, RunStarted, StoredEvent
from journeyman.veil import Veil

Work = Callable[[Run], Awaitable[str]]
"""Brings a run to its answer."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Who does it."""

    model: Model
    toolbox: Toolbox
    policy: Policy
    recorder: Recorder
    run_id: str
    approver: Approver = nobody
    listeners: Sequence[Listener] = ()
    book: Book = field(default_factory=Book)
    """What a person has allowed before, in this session or for good."""
    policy_info: Mapping[str, JsonValue] = field(default_factory=dict)
    """Name, hash and text, for the trace."""
    sandbox: Mapping[str, JsonValue] = field(default_factory=dict)
    """Where code is run, for the trace."""
    rests: Callable[[], Rests] = Rests
    """What keeps the rest of long results."""
    veil: Veil = field(default_factory=Veil)
    """Knows the secrets, and keeps from the model and the trace what has the form of one."""
    budget: Budget | None = None
    """Shared with other runs; None for one of its own."""


async def execute(order: Order, crew: Crew, work: Work | None = None) -> Result:
    """Start a run and see it to its end, which `work` does; by default the loop, or the user's command.

    Raises:
        ModelError: the model cannot be had at all; no run was started.
        StoreError: the run cannot be stored; no run was started.
    """
    info = await crew.model.open()
    run = _run(order, crew)
    return await _see_through(run, order, work, _started(run, order, crew, info))


async def fork(
    stem: Sequence[StoredEvent], order: Order, crew: Crew, *, parent: str, parent_seq: int, work: Work | None = None
) -> Result:
    """Start a run that shares another one's beginning; `order.prompt`, if any, is what the user says next.

    Args:
        stem: what is shared, from the other run's first event.
        order: limits and sampling from here on; instructions and the answer's schema are the other run's.
        crew: who goes on with it.
        parent: the other run.
        parent_seq: the number its last shared event has there.
        work: what brings it to its answer.

    Raises:
        UsageError: the events do not begin a run.
        ModelError, StoreError: as in `execute`.
    """
    first = next((event for event in reversed(stem) if isinstance(event, RunStarted)), None)
    if first is None:
        raise UsageError(
            "These events do not begin a run.", fix="Fork at a step the run has: journeyman traces show RUN"
        )

    info = await crew.model.open()
    run = _again(stem, replace(order, returns=first.returns), crew)
    same = {name: getattr(first, name) for name in ("prompt", "instructions", "returns", "root")}
    started = _started(run, replace(order, parent=parent, **same), crew, info, parent_seq)
    said = MessageAdded(text=order.prompt, origin="user" if order.origin == "user" else "runtime")
    return await _see_through(run, order, work, started, said)


async def resume(events: Sequence[StoredEvent], order: Order, crew: Crew, work: Work | None = None) -> Result:
    """Go on with a stored run; `order.prompt`, if any, is what the user says next.

    Raises:
        UsageError: the run has answered already and nothing new was said.
    """
    info = await crew.model.open()
    returns = events[0].returns if isinstance(events[0], RunStarted) else None
    run = _again(events, replace(order, returns=returns), crew)
    if run.state.finished and run.state.finished.outcome == "answered" and not order.prompt:
        message = f"Run {crew.run_id} has answered: {run.state.finished.answer}"
        raise UsageError(message, fix=f'Say something new: journeyman run --resume {crew.run_id} "..."')

    resumed = RunResumed(unfinished=tuple(sorted(run.state.begun)), **_who(run, order, crew, info))
    return await _see_through(run, order, work, resumed, MessageAdded(text=order.prompt))


def _started(
    run: Run, order: Order, crew: Crew, info: Mapping[str, JsonValue], parent_seq: int | None = None
) -> RunStarted:
    return RunStarted(
        prompt=order.prompt,
        origin=order.origin,
        secret=run.state.secret,
        instructions=order.instructions,
        sandbox=dict(crew.sandbox),
        returns=dict(order.returns) if order.returns is not None else None,
        root=order.root,
        seed=order.sampling.seed,
        sample=order.sample,
        parent=order.parent,
        parent_seq=parent_seq,
        strategy=str(order.strategy or ""),
        group=order.group,
        **_who(run, order, crew, info),
    )


def _who(run: Run, order: Order, crew: Crew, info: Mapping[str, JsonValue]) -> dict[str, Any]:
    """Who goes on from here, and how far: what a run's beginning tells, and each time it is taken up again."""
    able = crew.model.capabilities.model_dump(exclude_defaults=True)
    return {
        "model": crew.model.spec,
        "model_info": {**info, "capabilities": able},
        "tools": tuple(run.toolbox.specs),
        "policy": dict(crew.policy_info),
        "limits": order.limited,
    }


def _budget(order: Order, crew: Crew) -> Budget:
    able = crew.model.capabilities
    return crew.budget or Budget(order.limits, unpriced=not able.priced, costs=able.remote)


def window_of(order: Order, model: Model) -> Window:
    """As much as the caller allows, of a local model no more than there is."""
    able = model.capabilities
    known = min(order.context or able.context, able.context) if able.token_ids else order.context or able.context
    return Window(known, order.compact_at)


def _run(order: Order, crew: Crew) -> Run:
    run = Run(
        run_id=crew.run_id,
        model=crew.model,
        toolbox=crew.toolbox,
        policy=crew.policy.watch(remote=crew.model.capabilities.remote),
        recorder=crew.recorder,
        veil=crew.veil.fresh(),
        rests=crew.rests(),
        approver=crew.approver,
        book=crew.book,
        budget=_budget(order, crew),
        guard=Guard(repeats=1 if crew.model.capabilities.small else 3),
        sampling=order.sampling,
        window=window_of(order, crew.model),
        more=order.more,
        check=order.check or (fits(order.returns) if order.returns is not None else None),
        call_seconds=order.call_seconds,
        listeners=crew.listeners,
    )
    if crew.toolbox.specs:
        programs = order.programs and not crew.model.capabilities.small
        own = [UpdatePlan(run.emit)] * order.plan + [RunProgram(crew.toolbox.specs)] * programs
        run.toolbox = WithOwn(crew.toolbox, own) if own else crew.toolbox

    return run


def _again(events: Sequence[StoredEvent], order: Order, crew: Crew) -> Run:
    """A run that has these events behind it."""
    run = _run(order, replace(crew, budget=None))
    for event in events:
        run.fold(event)

    run.budget = _budget(order, crew)  # what earlier processes spent is not this one's
    return run


async def _see_through(
    run: Run, order: Order, work: Work | None, beginning: RunStarted | RunResumed, said: MessageAdded | None = None
) -> Result:
    """Store how it begins, and what the user says then, if anything; do it; store how it ends."""
    run.tools = run.emit(beginning).tools
    if said and said.text:
        give_up(run)
        run.emit(said)

    await run.recorder.barrier()
    started, timeout = perf_counter(), order.timeout
    work = work or (partial(run_command, command=order.command) if order.command else drive)
    try:
        answer = None
        with anyio.move_on_after(timeout):
            answer = await work(run)

        if answer is None:
            fix = f"Allow more and go on: journeyman run --resume {run.run_id} --timeout SECONDS"
            raise RunTimeout(f"The run was stopped after {timeout:g} seconds.", fix=fix)  # noqa: TRY301 - recorded below
    except JourneymanError as error:
        return await _finish(run, started, _OUTCOMES.get(error.exit_code, "failed"), error=error)
    except BaseException as error:  # cancelled from outside, or a fault of ours: the trace has an end all the same
        with anyio.CancelScope(shield=True):
            await _finish(run, started, "failed" if isinstance(error, Exception) else "interrupted")

        raise
    else:
        return await _finish(run, started, "answered", answer=order.read(answer) if order.read else answer)
    finally:
        run.model.forget(run.run_id)


_OUTCOMES: dict[int, Outcome] = {
    ModelError.exit_code: "model_error",
    BudgetExceeded.exit_code: "budget",
    ToolError.exit_code: "tool_error",
    SandboxError.exit_code: "sandbox_error",
    RunTimeout.exit_code: "timeout",
}


async def _finish(
    run: Run, started: float, outcome: Outcome, *, answer: str | None = None, error: JourneymanError | None = None
) -> Result:
    state = run.state
    totals: dict[str, Any] = {name: getattr(state, name) for name in ("usage", "cost_usd", "steps", "denied")}
    totals["seconds"] = round(perf_counter() - started, 6)
    told = {"kind": error.kind, "message": str(error), "fix": error.fix} if error else None
    told = run.emit(RunFinished(outcome=outcome, answer=answer, error=told, **totals)).error
    try:
        await run.recorder.barrier()
    except StoreError as lost:
        error = error or lost

    if error is not None:
        error.run_id = run.run_id
        if told is not None and told["message"] != str(error):
            error.args = (told["message"],)  # it is printed, and logged

    return Result(run.run_id, outcome, answer, plan=state.plan, error=error, chosen=state.chosen, **totals)
