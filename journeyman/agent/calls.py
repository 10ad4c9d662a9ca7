"""One step's tool calls: checked and decided in the model's order, done side by side, reported in the model's order.

The intent of a call is committed before its effect (`preflight.py` and `call.py` tell what becomes of each).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio

from journeyman.agent.call import do
from journeyman.agent.preflight import Ready, preflight, too_often
from journeyman.agent.run import Run
from journeyman.errors import JourneymanError
from journeyman.traces.events import CallFinished, CallStarted
from journeyman.traces.messages import ToolCall


async def perform(run: Run, calls: Sequence[ToolCall]) -> None:
    """Do one step's calls.

    Raises:
        JourneymanError: a call's failure is the run's. What the others came to is recorded before.
    """
    plans = [await preflight(run, call, run.toolbox.find(call.name)) for call in calls]
    ready = [plan for plan in plans if isinstance(plan, Ready)]
    if ready:
        for plan in ready:
            run.emit(CallStarted(call_id=plan.call.id))

        await run.recorder.barrier()

    step = _Step(run, deque(plans))
    step.report()
    if len(ready) == 1:
        await step.do(ready[0])
    elif ready:
        async with anyio.create_task_group() as group:
            for plan in ready:
                group.start_soon(step.do, plan)

    if step.failed:
        raise step.failed[0]

    too_often(run)


@dataclass(slots=True)
class _Step:
    """Calls under way; each result becomes an event as soon as those before it have."""

    run: Run
    waiting: deque[Ready | CallFinished]
    done: dict[str, CallFinished] = field(default_factory=dict)
    failed: list[JourneymanError] = field(default_factory=list)

    async def do(self, plan: Ready) -> None:
        try:
            self.done[plan.call.id] = await do(self.run, plan)
        except JourneymanError as error:
            self.failed.append(error)
        else:
            self.report()

    def report(self) -> None:
        while self.waiting:
            plan = self.waiting[0]
            finished = self.done.get(plan.call.id) if isinstance(plan, Ready) else plan
            if finished is None:
                return

            self.waiting.popleft()
            self.run.emit(finished)
