"""One call: checked, decided, asked about, done. A tool that fails is a result that the model reads.

A call that was under way when an earlier process ended is never silently repeated unless repeating it changes nothing.
What a call asks for while it is under way comes through its `Door`: it is a call by the same rules, recorded inside.
"""

import json
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from math import inf
from threading import get_ident
from time import perf_counter

import anyio
from anyio import current_time, from_thread
from anyio.lowlevel import current_token
from pydantic import JsonValue

from journeyman.agent.parts import nobody
from journeyman.agent.run import OVER, Inner, Run
from journeyman.errors import JourneymanError, Refused, ServerError, ToolError
from journeyman.policies.approvals import Approval, offer, token
from journeyman.policies.decision import Decision
from journeyman.policies.labels import Label
from journeyman.tools.arguments import refuse_twins
from journeyman.tools.door import opened
from journeyman.tools.tool import Output, Report, Tool
from journeyman.traces.events import (
    ApprovalAnswered,
    ApprovalRequested,
    CallDecided,
    CallFinished,
    CallProgress,
    CallProposed,
    CallStarted,
    CallStatus,
    Effect,
)
from journeyman.traces.messages import ToolCall, ToolResult
from journeyman.traces.span import in_call
from journeyman.veil import over

MOST_INSIDE = 1000
"""Calls that one call may make."""
REFUSALS = 3
"""Of a person, in a row; then the run is stopped, so that nobody is worn down."""
STRICT: tuple[Effect, ...] = ("allow", "ask", "deny")


@dataclass(frozen=True, slots=True)
class Ready:
    """A call that may be made, with the secrets in its arguments: what is told of it goes through `Run.emit`."""

    call: ToolCall
    tool: Tool
    arguments: dict[str, JsonValue]
    approved: tuple[str, Label] | None = None
    """Hash of what a person approved, and the labels in it; nothing else may be done in its name."""
    filled: bool = False
    """Secrets stand in the arguments where the model wrote placeholders."""


def give_up(run: Run) -> None:
    """Answer the calls that an interrupt has left open, because a person says something else now."""
    for call in run.state.pending:
        begun = call.id in run.state.begun
        run.emit(_finished(call, _MAY_HAVE_HAPPENED if begun else _NOT_DONE, "unknown" if begun else "error"))


async def preflight(run: Run, call: ToolCall, tool: Tool | None) -> Ready | CallFinished:
    """What is to be done with a call: do it, or answer it at once."""
    if call.id in run.state.begun and not (tool and (tool.spec.read_only or tool.spec.idempotent)):
        return await _again(run, call, tool)

    try:
        ready = _propose(run, call, tool)
    except ToolError as error:
        return _finished(call, f"error: {error}", "error")

    if earlier := run.guard.repeated(call.id):
        return _finished(call, f"You made this call before. Its result was: {earlier.text}", "repeated")

    return await _decide(run, ready)


async def _again(run: Run, call: ToolCall, tool: Tool | None) -> Ready | CallFinished:
    """What to do with a call that may have happened already: ask, where somebody is there; never just do it."""
    unknown = _finished(call, _MAY_HAVE_HAPPENED, "unknown")
    if tool is None or run.approver is nobody:
        return unknown

    try:
        ready = _propose(run, call, tool)
    except ToolError:  # it fitted an earlier version of the tool
        return unknown

    decision = _decided(run, ready)
    if decision.effect == "deny":
        return unknown

    asked = await _ask(run, ready, replace(decision, reason=_AGAIN), remember=False)
    return unknown if isinstance(asked, CallFinished) and asked.status in {"denied", "refused"} else asked


def _propose(run: Run, call: ToolCall, tool: Tool | None) -> Ready:
    """The call with its arguments validated.

    Raises:
        ToolError: there is no such tool, or the arguments do not fit it.
    """
    try:
        if tool is None:
            raise ToolError(run.toolbox.suggest(call.name))  # noqa: TRY301 - both problems are proposals all the same

        refuse_twins(call.arguments)
        text = run.veil.fill_json(call.arguments)
        arguments = tool.parse(text)
    except ToolError as error:
        run.emit(CallProposed(call_id=call.id, tool=tool.spec.identity if tool else call.name, problem=str(error)))
        raise

    run.emit(CallProposed(call_id=call.id, tool=tool.spec.identity, arguments=arguments))
    return Ready(call, tool, arguments, filled=text is not call.arguments)


def too_often(run: Run) -> None:
    """End a run whose calls are refused again and again.

    Raises:
        Refused: a person did so several times in a row.
    """
    if run.state.refusals >= REFUSALS:
        raise Refused(
            f"You refused {REFUSALS} calls in a row, so the run was stopped.",
            fix=f'Tell it what you want instead: journeyman run --resume {run.run_id} "..."',
        )


async def _decide(run: Run, ready: Ready) -> Ready | CallFinished:
    decision = _decided(run, ready)
    if decision.effect == "allow":
        return ready

    if decision.effect == "deny":
        return _finished(ready.call, f"denied: {decision.reason}", "denied")

    return await _ask(run, ready, decision)


def _decided(run: Run, ready: Ready) -> Decision:
    decision = run.policy.decide(ready.tool.spec, ready.arguments)
    if ready.filled:  # of what will be done and of what the model has read, the stricter counts
        shown = over(ready.arguments, run.veil.hide)
        decision = max(run.policy.decide(ready.tool.spec, shown), decision, key=lambda each: STRICT.index(each.effect))

    reason = decision.reason or f"the policy says {decision.effect}"
    run.emit(
        CallDecided(
            call_id=ready.call.id,
            effect=decision.effect,
            rules=decision.rules,
            reason=reason,
            provenance=decision.provenance,
            labels=decision.label.told,
        )
    )
    return replace(decision, reason=reason)


async def _ask(run: Run, ready: Ready, decision: Decision, *, remember: bool = True) -> Ready | CallFinished:
    call, spec, shown = ready.call, ready.tool.spec, over(ready.arguments, run.veil.hide)
    approval = offer(decision, spec, shown) if remember else None
    request = run.emit(
        ApprovalRequested(
            call_id=call.id,
            tool=spec.identity,
            arguments=shown,
            reason=decision.reason,
            rules=decision.rules,
            provenance=decision.provenance,
            token=token(spec, decision.label, shown),
            offer=str(approval or ""),
        )
    )
    answer = run.emit(await _answer(run, request, approval))
    if not answer.approved:
        status = "denied" if answer.by == "nobody" else "refused"
        return _finished(call, f"denied: {answer.reason or 'the user said no'}", status)

    if answer.arguments is not None:
        return await _edited(run, ready, answer)

    if approval is not None and answer.keep != "once" and answer.by != "saved":
        run.book.keep(approval, always=answer.keep == "always")

    return replace(ready, approved=(request.token, decision.label))


async def _answer(run: Run, request: ApprovalRequested, approval: Approval | None) -> ApprovalAnswered:
    """What a person says to exactly this question, now or earlier."""
    if run.book.has(approval, request.arguments):
        return ApprovalAnswered(call_id=request.call_id, approved=True, by="saved", token=request.token)

    await run.recorder.barrier()  # an answer may be long in coming
    async with run.asking:
        answer = await run.approver(request)

    if answer.call_id != request.call_id or answer.token not in {"", request.token}:
        told = "the answer was given to another question"
        return ApprovalAnswered(call_id=request.call_id, approved=False, by=answer.by, reason=told, token=request.token)

    return answer.model_copy(update={"token": request.token})


async def _edited(run: Run, ready: Ready, answer: ApprovalAnswered) -> Ready | CallFinished:
    """The call with what a person made of its arguments: validated and decided like any other."""
    given = json.dumps(answer.arguments)
    try:
        text = run.veil.fill_json(given)
        edited = replace(ready, arguments=ready.tool.parse(text), filled=text is not given)
    except ToolError as error:
        return _finished(ready.call, f"error: {error}", "error")

    decision = _decided(run, edited)
    if decision.effect == "deny":
        return _finished(ready.call, f"denied: {decision.reason}", "denied")

    shown = over(edited.arguments, run.veil.hide)
    return replace(edited, approved=(token(edited.tool.spec, decision.label, shown), decision.label))


async def do(run: Run, plan: Ready) -> CallFinished:
    """What came of one call; whatever a tool raises is for the model to read, unless it ends the run."""
    started = perf_counter()
    output = None
    status: CallStatus = "ok"
    if plan.approved and not _is_approved(run, plan, *plan.approved):
        return _finished(plan.call, "error: the tool changed after the call was approved; nothing was done", "error")

    try:
        with (
            anyio.move_on_after(run.call_seconds) as time,
            in_call(run.run_id, plan.call.id),
            closing(Door(run, plan.call.id, time)) as door,
            opened(door),
        ):
            rest = run.rests.take(plan.tool.spec, plan.arguments)
            output = Output(rest) if rest else await plan.tool.call(plan.arguments, _reporter(run, plan.call))
    except ToolError as error:
        output = _failed(f"error: {error}")
    except ServerError as error:
        output, status = _failed(f"error: {error}"), "unknown" if error.maybe_done else "error"
    except JourneymanError:
        raise
    except Exception as error:  # noqa: BLE001 - the boundary to somebody's tool
        output = _failed(f"error: {type(error).__name__}: {error}")

    if door.ended:  # a tool may have caught it
        raise door.ended

    if output is None:
        output = _failed(f"error: the call was stopped after {run.call_seconds:g} seconds without a result")
        status = "timeout"
    elif output.is_error and status == "ok":
        status = "error"

    longest = run.longest
    if len(output.text) > longest:
        whole = run.veil.hide(output.text)  # before a secret is cut in two
        output = replace(output, text=run.rests.cut(whole, longest, plan.tool.spec, plan.arguments))

    return _result(plan.call, output, status, round(perf_counter() - started, 6))


def _is_approved(run: Run, plan: Ready, approved: str, label: Label) -> bool:
    return token(plan.tool.spec, label, over(plan.arguments, run.veil.hide)) == approved


class Door:
    """The one of a call under way, whose time stands still meanwhile; `tools/door.py` says what it is for."""

    def __init__(self, run: Run, call_id: str, time: anyio.CancelScope) -> None:
        self._outer, self._call_id, self._time = run, call_id, time
        self._run: Inner | None = None
        self.ended: JourneymanError | None = None
        """Why the run cannot go on."""
        self._made = self._busy = 0
        self._left = 0.0
        self._closed = False
        self._open: set[anyio.CancelScope] = set()

    async def __call__(self, tool: Tool | str, arguments: str) -> Output:
        if self._closed:
            raise ToolError(OVER)

        self._run = run = self._run or Inner.of(self._outer, self._call_id)
        with anyio.CancelScope() as scope:
            self._open.add(scope)
            try:
                return await self._through(run, tool, arguments)
            except ToolError:
                raise
            except JourneymanError as error:
                self.ended = error
                raise
            finally:
                self._open.discard(scope)

        raise ToolError(OVER)

    def close(self) -> None:
        """The call is over: what it still asks is withdrawn, whoever keeps the door asks nothing more, and nothing of
        it is recorded behind the call's end.
        """
        self._closed = True
        if self._run:
            self._run.over = True

        for scope in self._open:
            scope.cancel()

    async def _through(self, run: Inner, tool: Tool | str, arguments: str) -> Output:
        too_often(run)
        self._made += 1
        if self._made > MOST_INSIDE:
            raise ToolError(f"a call may make {MOST_INSIDE:,} others, and these were made")

        name = tool if isinstance(tool, str) else tool.spec.name
        call = ToolCall(id=f"{self._call_id}.{self._made}", name=name, arguments=arguments)
        with self._standing_still():
            plan = await preflight(run, call, run.toolbox.find(tool) if isinstance(tool, str) else tool)
            finished = plan if isinstance(plan, CallFinished) else await self._done(run, plan)

        run.emit(finished)
        return Output(finished.result.text, finished.result.data, finished.result.is_error)

    async def _done(self, run: Run, plan: Ready) -> CallFinished:
        run.emit(CallStarted(call_id=plan.call.id))
        await run.recorder.barrier()
        return await do(run, plan)

    @contextmanager
    def _standing_still(self) -> Generator[None]:
        """A person may take long to answer, and what is done inside has a limit of its own."""
        if not self._busy:
            self._left, self._time.deadline = self._time.deadline - current_time(), inf

        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                self._time.deadline = current_time() + self._left


def _reporter(run: Run, call: ToolCall) -> Report:
    """Takes a tool's word of progress, from the run's own thread or from one that the tool works in."""
    token, home = current_token(), get_ident()

    def report(text: str, fraction: float | None = None) -> None:
        event = CallProgress(call_id=call.id, text=text, fraction=fraction)
        if get_ident() == home:
            run.emit(event)
            return

        with suppress(anyio.RunFinishedError):  # the run is over; the tool has not noticed yet
            from_thread.run_sync(run.emit, event, token=token)

    return report


_NOT_DONE = "not done: the run was interrupted before the call was made, and the user said something else"
_AGAIN = "the program ended while this call was under way: it may have happened already; do it again?"
_MAY_HAVE_HAPPENED = (
    "unknown: the program ended while this call was under way, so it may or may not have happened; "
    "find out before doing it again"
)


def _failed(text: str) -> Output:
    return Output(text, is_error=True)


def _finished(call: ToolCall, text: str, status: CallStatus) -> CallFinished:
    """A result that did not come from the tool."""
    return _result(call, Output(text, is_error=status != "repeated"), status)


def _result(call: ToolCall, output: Output, status: CallStatus, seconds: float = 0.0) -> CallFinished:
    result = ToolResult(call_id=call.id, name=call.name, text=output.text, is_error=output.is_error, data=output.data)
    return CallFinished(result=result, status=status, seconds=seconds)
