"""One call that may be made, done. A tool that fails is a result that the model reads.

What a call asks for while it is under way comes through its `Door`: it is a call by the same rules, recorded inside.
"""

from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from math import inf
from threading import get_ident
from time import perf_counter

import anyio
from anyio import current_time, from_thread
from anyio.lowlevel import current_token

from journeyman.agent.preflight import Ready, finished, preflight, too_often
from journeyman.agent.run import OVER, Inner, Run
from journeyman.errors import JourneymanError, ServerError, ToolError
from journeyman.policies.approvals import token
from journeyman.policies.labels import Label
from journeyman.tools.door import opened
from journeyman.tools.tool import Output, Report, Tool
from journeyman.traces.events import CallFinished, CallProgress, CallStarted, CallStatus
from journeyman.traces.messages import ToolCall
from journeyman.traces.span import in_call
from journeyman.veil import over

MOST_INSIDE = 1000
"""Calls that one call may make."""


async def do(run: Run, plan: Ready) -> CallFinished:
    """What came of one call; whatever a tool raises is for the model to read, unless it ends the run."""
    started = perf_counter()
    output = None
    status: CallStatus = "ok"
    if plan.approved and not _is_approved(run, plan, *plan.approved):
        return finished(plan.call, "error: the tool changed after the call was approved; nothing was done", "error")

    try:
        with (
            anyio.move_on_after(run.call_seconds) as time,
            in_call(run.run_id, plan.call.id),
            closing(Door(run, plan.call.id, time)) as door,
            opened(door, door),
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

    return finished(plan.call, output, status, round(perf_counter() - started, 6))


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

    @property
    def task(self) -> str:
        return self._outer.state.tasks.get(self._call_id, "")

    async def keep(self, task: str) -> None:
        self._outer.emit(CallStarted(call_id=self._call_id, task=task))
        await self._outer.recorder.barrier()

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


def _failed(text: str) -> Output:
    return Output(text, is_error=True)
