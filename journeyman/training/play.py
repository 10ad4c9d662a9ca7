"""The perfect run of a task: the oracle's calls, really executed, and what the tools really said."""

import json
import re
from collections.abc import Awaitable, Callable, Collection

from pydantic import JsonValue

from journeyman.traces.messages import AssistantMessage, Message, Text, Thinking, ToolCall, ToolResult, UserMessage
from journeyman.training.tasks import OracleCall, Task

PLAN = "update_plan"
DECIMAL = re.compile(r"/\d+ \((-?\d[^)]*)\)$")
BRIEF = 80
"""Characters of arguments that a thought repeats."""

Call = Callable[[str, dict[str, JsonValue]], Awaitable[tuple[str, bool]]]
"""Alias and arguments -> what the tool says, and whether that is an error."""


async def play(
    task: Task, call: Call, *, offered: Collection[str], denial: str = "denied: not allowed", aloud: bool = False
) -> list[Message]:
    """The conversation of the perfect agent; without the planner's tool it does not plan.

    aloud: it says in a thought what it is going to call.
    """
    messages: list[Message] = [UserMessage(text=task.prompt)]
    for step in task.oracle:
        if step.tool == PLAN and PLAN not in offered:
            continue

        id_ = f"c{len(messages)}"
        arguments = json.dumps(step.arguments, ensure_ascii=False)
        text, is_error = await _result(task, step, call, denial)
        thoughts = (_thought(step),) if aloud else ()
        messages.append(AssistantMessage(parts=(*thoughts, ToolCall(id=id_, name=step.tool, arguments=arguments))))
        messages.append(ToolResult(call_id=id_, name=step.tool, text=text, is_error=is_error))

    last = messages[-1].text if task.oracle else ""
    messages.append(AssistantMessage(parts=(Text(text=_final(task, last)),)))
    return messages


def _thought(step: OracleCall) -> Thinking:
    """What is called, and with what where that is short."""
    given = ", ".join(str(value) for value in step.arguments.values())
    return Thinking(text=f"{step.tool}: {given}" if given and len(given) <= BRIEF else step.tool)


async def _result(task: Task, step: OracleCall, call: Call, denial: str) -> tuple[str, bool]:
    if step.denied:
        return denial, True

    for tool in task.extra:
        if tool.name == step.tool:
            return tool.result, False

    return ("ok", False) if step.tool == PLAN else await call(step.tool, step.arguments)


def _final(task: Task, last: str) -> str:
    """The oracle's words: the number that a calculator printed, of `17/3 (5.666666666666667)` the decimal.

    A small model that copies both loses its way between them.
    """
    if task.says:
        return task.says

    if task.oracle and task.oracle[-1].tool == "calculator__calculate":
        decimal = DECIMAL.search(last)
        return decimal[1] if decimal else last.removesuffix(" (rounded)")

    return task.answer
