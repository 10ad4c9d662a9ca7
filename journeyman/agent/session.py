"""One run from its first event to its last: set up, driven, ended, whatever happens.

`execute` starts a run and `resume` takes a stored one up again. Both end it with `run_finished` and return a `Result`;
a failure is an outcome in the trace and an error on the result; only cancellation, and what is no `JourneymanError`,
leaves by an exception, and then too the trace has an end.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import anyio
from pydantic import JsonValue

from journeyman.agent.budget import Budget, Limits, More
from journeyman.agent.call import give_up
from journeyman.agent.guard import Guard
from journeyman.agent.instructions import DEFAULT
from journeyman.agent.loop import drive
from journeyman.agent.models.model import Model, Sampling
from journeyman.agent.own import run_command
from journeyman.agent.parts import Approver, Policy, Recorder, Toolbox, nobody
from journeyman.agent.plan import UpdatePlan
from journeyman.agent.program import RunProgram
from journeyman.agent.rest import Rests
from journeyman.agent.returns import fits
from journeyman.agent.run import Check, Listener, Run
from journeyman.agent.window import FULL, Window
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
from journeyman.tools.tool import Tool
from journeyman.traces.events import (
    MessageAdded,
    Outcome,
    PlanStep,
    RunFinished,
    RunResumed,
    RunStarted,
    Sample,
    StoredEvent,
)
from journeyman.traces.messages import ToolSpec, Usage
from journeyman.veil import Veil
from journeyman.verifiers.case import Case
from journeyman.verifiers.score import Score

if TYPE_CHECKING:
    from journeyman.agent.strategies.strategy import Strategy

Work = Callable[[Run], Awaitable[str]]
"""Brings a run to its answer."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a caller asks of a run."""

    prompt: str
    instructions: str = DEFAULT
    limits: Limits = field(default_factory=Limits)
    sampling: Sampling = field(default_factory=Sampling)
    timeout: float | None = None
    """Seconds until the run is stopped wherever it is."""
    call_seconds: float = 120.0
    """Seconds until one tool call is stopped; the model reads that it was."""
    returns: Mapping[str, Any] | None = None
    """JSON Schema of the answer."""
    check: Check | None = None
    """What is wrong with an answer; without it, `returns` tells."""
    more: More | None = None
    """Asked for a new limit where the budget is spent; without it the run ends there."""
    plan: bool = True
    """Offer the model a plan to keep."""
    programs: bool = False
    """Let the model write programs that call the tools; not a small one."""
    context: int | None = None
    """Tokens of the model's window that may be used; None for all of it. It is believed of a server's model."""
    compact_at: float = FULL
    """The share of the window that is filled before older parts make room."""
    command: str = ""
    """What the user has run themselves, in place of asking the model; `prompt` is then what they typed."""
    root: str = ""
    sample: Sample | None = None
    """Its place in a batch of practice."""
    parent: str | None = None
    origin: Literal["user", "model"] = "user"
    """Whose words the prompt is: those of a model are nobody's leave to do what they say."""
    strategy: "Strategy | None" = None
    """How more thinking is spent than one plain run."""
    group: str | None = None
    """The search that it is a candidate of."""
    read: Callable[[str], str] | None = None
    """What of the model's last words is the answer; None: all of them."""
    verify: "Callable[[Result, Case], Awaitable[Score]] | None" = None
    """How good a candidate of a search is, where that can be told."""


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
    """Name, hash and mode, for the trace."""
    sandbox: Mapping[str, JsonValue] = field(default_factory=dict)
    """Where code is run, for the trace."""
    rests: Callable[[], Rests] = Rests
    """What keeps the rest of long results."""
    veil: Veil = field(default_factory=Veil)
    """Knows the secrets, and keeps from the model and the trace what has the form of one."""
    budget: Budget | None = None
    """Shared with other runs; None for one of its own."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run. `print(result)` prints the answer."""

    run_id: str
    outcome: Outcome
    answer: str | None
    usage: Usage
    cost_usd: float | None
    """Dollars; None where the price of a call is not known."""
    steps: int
    denied: int
    """Calls that the policy refused, or that nobody was there to approve."""
    seconds: float
    plan: tuple[PlanStep, ...] = ()
    error: JourneymanError | None = None
    chosen: str | None = None
    """Of a search: the run whose answer this is."""

    def __str__(self) -> str:
        return self.answer or ""

    @property
    def exit_code(self) -> int:
        """0 answered; 5 answered although a call was denied; else the error's own."""
        if self.error is not None:
            return self.error.exit_code

        return 5 if self.denied else 0


async def execute(order: Order, crew: Crew, work: Work | None = None) -> Result:
    """Start a run and see it to its end, which `work` does; by default the loop, or the user's command.

    Raises:
        ModelError: the model cannot be had at all; no run was started.
        StoreError: the run cannot be stored; no run was started.
    """
    info = await crew.model.open()
    run = _run(order, crew)
    run.tools = run.emit(_started(run, order, crew, info)).tools
    await run.recorder.barrier()
    return await _see_through(run, order, work)


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
    run = _run(replace(order, returns=first.returns), replace(crew, budget=None))
    for event in stem:
        run.fold(event)

    run.budget = _budget(order, crew)
    same = {name: getattr(first, name) for name in ("prompt", "instructions", "returns", "root")}
    whole = replace(order, parent=parent, **same)
    run.tools = run.emit(_started(run, whole, crew, info, parent_seq)).tools
    if order.prompt:
        run.emit(MessageAdded(text=order.prompt, origin="user" if order.origin == "user" else "runtime"))

    await run.recorder.barrier()
    return await _see_through(run, order, work)


def _started(
    run: Run, order: Order, crew: Crew, info: Mapping[str, JsonValue], parent_seq: int | None = None
) -> RunStarted:
    return RunStarted(
        prompt=order.prompt,
        origin=order.origin,
        secret=run.state.secret,
        instructions=order.instructions,
        model=crew.model.spec,
        model_info=_identity(crew.model, info),
        tools=tuple(run.toolbox.specs),
        policy=dict(crew.policy_info),
        sandbox=dict(crew.sandbox),
        limits=_limits(order),
        returns=dict(order.returns) if order.returns is not None else None,
        root=order.root,
        seed=order.sampling.seed,
        sample=order.sample,
        parent=order.parent,
        parent_seq=parent_seq,
        strategy=str(order.strategy or ""),
        group=order.group,
    )


def _limits(order: Order) -> dict[str, JsonValue]:
    window = {"context": order.context} if order.context else {}
    return {
        **order.limits.model_dump(exclude_none=True),
        "call_seconds": order.call_seconds,
        "compact_at": order.compact_at,
        **window,
    }


def as_limited(recorded: Mapping[str, JsonValue]) -> dict[str, Any]:
    """The fields of an order that a run's recorded limits stand for."""
    own: dict[str, Any] = {"call_seconds": 120.0, "context": None, "compact_at": NEVER}
    limits = {name: value for name, value in recorded.items() if name not in own}
    known = {name: recorded.get(name, default) for name, default in own.items()}
    return {"limits": Limits.model_validate({"steps": None} | limits), **known}


NEVER = 1e9
"""Share of a window: a run of the first days did not look at it."""


async def resume(events: Sequence[StoredEvent], order: Order, crew: Crew, work: Work | None = None) -> Result:
    """Go on with a stored run; `order.prompt`, if any, is what the user says next.

    Raises:
        UsageError: the run has answered already and nothing new was said.
    """
    info = await crew.model.open()
    returns = events[0].returns if isinstance(events[0], RunStarted) else None
    run = _run(replace(order, returns=returns), crew)
    for event in events:
        run.fold(event)

    run.budget = _budget(order, crew)  # what earlier processes spent is not this one's
    if run.state.finished and run.state.finished.outcome == "answered" and not order.prompt:
        message = f"Run {crew.run_id} has answered: {run.state.finished.answer}"
        raise UsageError(message, fix=f'Say something new: journeyman run --resume {crew.run_id} "..."')

    resumed = RunResumed(
        unfinished=tuple(sorted(run.state.begun)),
        limits=_limits(order),
        model=crew.model.spec,
        model_info=_identity(crew.model, info),
        tools=tuple(run.toolbox.specs),
        policy=dict(crew.policy_info),
    )
    run.tools = run.emit(resumed).tools
    if order.prompt:
        give_up(run)
        run.emit(MessageAdded(text=order.prompt))

    await run.recorder.barrier()
    return await _see_through(run, order, work)


def _identity(model: Model, info: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {**info, "capabilities": model.capabilities.model_dump(exclude_defaults=True)}


def _budget(order: Order, crew: Crew) -> Budget:
    able = crew.model.capabilities
    return crew.budget or Budget(order.limits, unpriced=not able.priced, costs=able.remote)


def window_of(order: Order, model: Model) -> Window:
    able = model.capabilities
    """As much as the caller allows, of a local model no more than there is."""
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


async def _see_through(run: Run, order: Order, work: Work | None) -> Result:
    started, timeout = perf_counter(), order.timeout
    try:
        answer = None
        with anyio.move_on_after(timeout):
            answer = await (work or _work(order))(run)

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


def _work(order: Order) -> Work:
    return partial(run_command, command=order.command) if order.command else drive


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
    seconds = round(perf_counter() - started, 6)
    finished = run.emit(
        RunFinished(
            outcome=outcome,
            answer=answer,
            error={"kind": error.kind, "message": str(error), "fix": error.fix} if error else None,
            usage=state.usage,
            cost_usd=state.cost_usd,
            steps=state.steps,
            denied=state.denied,
            seconds=seconds,
        )
    )
    try:
        await run.recorder.barrier()
    except StoreError as lost:
        error = error or lost

    if error is not None:
        error.run_id = run.run_id
        if finished.error is not None and finished.error["message"] != str(error):
            error.args = (finished.error["message"],)  # it is printed, and logged

    return Result(
        run.run_id,
        outcome,
        answer,
        state.usage,
        state.cost_usd,
        state.steps,
        state.denied,
        seconds,
        state.plan,
        error,
        state.chosen,
    )


class WithOwn:
    """A toolbox, and the run's own tools in it."""

    def __init__(self, toolbox: Toolbox, own: Sequence[Tool]) -> None:
        self.specs: Sequence[ToolSpec] = (*toolbox.specs, *(tool.spec for tool in own))
        self._toolbox = toolbox
        self._own = {tool.spec.name: tool for tool in own}

    def find(self, name: str) -> Tool | None:
        return self._own.get(name) or self._toolbox.find(name)

    def suggest(self, name: str) -> str:
        return self._toolbox.suggest(name)
