"""A command of the user's own, typed in a conversation: decided, asked about and recorded like any call, and read by
the model when it is next asked.

What the user typed is their message, the call stands inside it (`Inside.own`), and what came of it is a message of the
runtime's: no word of it is the model's, so that nothing trains on it as if it were.
"""

import json

from journeyman.agent.call import do
from journeyman.agent.parts import Toolbox
from journeyman.agent.preflight import Ready, preflight
from journeyman.agent.run import Inner, Run
from journeyman.tools.tool import Tool
from journeyman.traces.events import CallFinished, CallStarted, MessageAdded
from journeyman.traces.fold import State
from journeyman.traces.messages import AssistantMessage, ToolCall

TOOL = "code.shell"
STOPPED = "it was stopped before its end, and may have done a part of it"


async def run_command(run: Run, command: str) -> str:
    """Do it; the answer that the run had before, for it still stands.

    Raises:
        JourneymanError: the run cannot go on.
    """
    told = STOPPED
    try:
        told = _told(run, await _call(run, command))
    finally:
        run.emit(MessageAdded(text=f"[The user ran this themselves, with {TOOL}: {told}]", origin="runtime"))

    return answer_of(run.state)


def shell_of(toolbox: Toolbox) -> Tool | None:
    """What it is run with; None where there is no such tool."""
    return next((toolbox.find(spec.name) for spec in toolbox.specs if spec.identity == TOOL), None)


def answer_of(state: State) -> str:
    """The newest answer in the conversation."""
    said = (each for each in reversed(state.messages) if isinstance(each, AssistantMessage))
    return next((each.text for each in said if not each.calls), "")


async def _call(run: Run, command: str) -> CallFinished:
    tool = shell_of(run.toolbox)
    name = tool.spec.name if tool else TOOL
    call = ToolCall(id=f"u{len(run.state.said)}", name=name, arguments=json.dumps({"command": command}))
    inner = Inner.of(run, call.id)
    plan = await preflight(inner, call, tool)
    if isinstance(plan, Ready):
        inner.emit(CallStarted(call_id=call.id))
        await run.recorder.barrier()
        plan = await do(inner, plan)

    return inner.emit(plan)


def _told(run: Run, finished: CallFinished) -> str:
    text = finished.result.text
    left = len(text) - run.longest
    cut = f"{text[: run.longest]}\n[{left:,} more characters were left out]" if left > 0 else text
    return f"{finished.status}]\n{cut}\n[end of what it wrote"
