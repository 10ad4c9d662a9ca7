"""Before a call is made: its arguments are checked, the policy decides, a person is asked where it says so.

A call that was under way when an earlier process ended is never silently repeated unless repeating it changes nothing.
"""

import json
from dataclasses import dataclass, replace

from pydantic import JsonValue

from journeyman.agent.parts import nobody
from journeyman.agent.run import Run
from journeyman.errors import Refused, ToolError
from journeyman.policies.approvals import Approval, offer, token
from journeyman.policies.decision import Decision
from journeyman.policies.labels import Label
from journeyman.tools.arguments import refuse_twins
from journeyman.tools.tool import Output, Tool
from journeyman.traces.events import (
    ApprovalAnswered,
    ApprovalRequested,
    CallDecided,
    CallFinished,
    CallProposed,
    CallStatus,
    Effect,
)
from journeyman.traces.messages import ToolCall, ToolResult
from journeyman.veil import over

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
        run.emit(finished(call, _MAY_HAVE_HAPPENED if begun else _NOT_DONE, "unknown" if begun else "error"))


async def preflight(run: Run, call: ToolCall, tool: Tool | None) -> Ready | CallFinished:
    """What is to be done with a call: do it, or answer it at once."""
    if call.id in run.state.begun and not (tool and (tool.spec.read_only or tool.spec.idempotent)):
        return await _again(run, call, tool)

    try:
        ready = _propose(run, call, tool)
    except ToolError as error:
        return finished(call, f"error: {error}", "error")

    if earlier := run.guard.repeated(call.id):
        return finished(call, f"You made this call before. Its result was: {earlier.text}", "repeated")

    return await _decide(run, ready)


async def _again(run: Run, call: ToolCall, tool: Tool | None) -> Ready | CallFinished:
    """What to do with a call that may have happened already: ask, where somebody is there; never just do it.

    One whose server has made a task of it is only asked how it went.
    """
    unknown, is_task = finished(call, _MAY_HAVE_HAPPENED, "unknown"), call.id in run.state.tasks
    if tool is None or (run.approver is nobody and not is_task):
        return unknown

    try:
        ready = _propose(run, call, tool)
    except ToolError:  # it fitted an earlier version of the tool
        return unknown

    decision = _decided(run, ready)
    if decision.effect == "deny" or is_task:
        return unknown if decision.effect == "deny" else ready

    asked = await _ask(run, ready, replace(decision, reason=AGAIN), remember=False)
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
        return finished(ready.call, f"denied: {decision.reason}", "denied")

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
    return replace(decision, reason=reason) if reason is not decision.reason else decision


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
        return finished(call, f"denied: {answer.reason or 'the user said no'}", status)

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
        return finished(ready.call, f"error: {error}", "error")

    decision = _decided(run, edited)
    if decision.effect == "deny":
        return finished(ready.call, f"denied: {decision.reason}", "denied")

    shown = over(edited.arguments, run.veil.hide)
    return replace(edited, approved=(token(edited.tool.spec, decision.label, shown), decision.label))


_NOT_DONE = "not done: the run was interrupted before the call was made, and the user said something else"
AGAIN = "the program ended while this call was under way: it may have happened already; do it again?"
_MAY_HAVE_HAPPENED = (
    "unknown: the program ended while this call was under way, so it may or may not have happened; "
    "find out before doing it again"
)


def finished(call: ToolCall, said: Output | str, status: CallStatus, seconds: float = 0.0) -> CallFinished:
    """What came of a call: what its tool said, or in words why nothing did."""
    output = Output(said, is_error=status != "repeated") if isinstance(said, str) else said
    result = ToolResult(call_id=call.id, name=call.name, text=output.text, is_error=output.is_error, data=output.data)
    return CallFinished(result=result, status=status, seconds=seconds)
