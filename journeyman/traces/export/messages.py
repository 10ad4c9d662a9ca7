"""Runs as conversations with tool calls, a row each: what supervised fine-tuning reads (TRL's `messages` and `tools`).

    {"messages": [{"role": "user", "content": ...}, {"role": "assistant", "content": "", "tool_calls": [...]}, ...],
     "tools": "[{...}]"}

Arguments are objects, because most chat templates encode text a second time; `tools` is text, because the tools of
different runs have different shapes and a table would fill them up with nulls. Read it with
`datasets.load_dataset("json", data_files=...)`.

A run whose conversation was compacted is as many rows as the model read conversations; the last steps before each time
stand in the next row too.

Lost on the way: token ids, which of them were forced, decisions and times. Not written: a run whose arguments were no
JSON objects somewhere, or that stopped in the middle of its calls. Hidden and summarised thoughts are left out.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from journeyman.traces.events import Compacted, ModelResponded
from journeyman.traces.export import Skip
from journeyman.traces.export.sequences import demand_trainable
from journeyman.traces.fold import State
from journeyman.traces.messages import AssistantMessage, Message, ToolCall, ToolSpec
from journeyman.traces.writer import Stored


def lines(run: Sequence[Stored]) -> Iterator[str]:
    demand_trainable(run)
    for part in _parts(run):
        messages, tools = conversation(part)
        yield json.dumps({"messages": messages, "tools": tools}, ensure_ascii=False)


def _parts(run: Sequence[Stored]) -> Iterator[Sequence[Stored]]:
    """The run up to each compaction before which the model had said something, and the whole of it."""
    said = False
    for at, each in enumerate(run):
        said = said or isinstance(each.event, ModelResponded)
        if isinstance(each.event, Compacted) and said:
            yield run[:at]
            said = False

    yield run


def conversation(run: Sequence[Stored]) -> tuple[list[dict[str, Any]], str]:
    """The messages of a run, and its tools as text.

    Raises:
        Skip: it cannot be written as a conversation.
    """
    state = State.of(each.event for each in run)
    if state.started is None:
        raise Skip("it has no beginning")

    if not any(isinstance(message, AssistantMessage) for message in state.messages):
        raise Skip("the model said nothing in it")

    if state.pending:
        raise Skip("it stopped in the middle of its calls")

    messages = [written(message) for message in state.messages]
    if state.started.instructions:
        messages.insert(0, {"role": "system", "content": state.started.instructions})

    tools = json.dumps([tool(spec) for spec in state.started.tools], ensure_ascii=False)
    return messages, tools


def written(message: Message, call: Callable[[ToolCall], dict[str, Any]] | None = None) -> dict[str, Any]:
    """A message as OpenAI's interface writes it, its calls as `call` does; by default with arguments as an object.

    Raises:
        Skip: the arguments of a call are no JSON object.
    """
    match message.type:
        case "user":
            return {"role": "user", "content": message.text}
        case "tool_result":
            return {"role": "tool", "name": message.name, "tool_call_id": message.call_id, "content": message.text}
        case "assistant":
            return _assistant(message, call or _call)


def _assistant(message: AssistantMessage, write: Callable[[ToolCall], dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"role": "assistant", "content": message.text}
    thoughts = "".join(part.text for part in message.parts if part.type == "thinking" and not part.hidden)
    if thoughts:
        row["reasoning_content"] = thoughts

    if message.calls:
        row["tool_calls"] = [write(call) for call in message.calls]

    return row


def _call(call: ToolCall) -> dict[str, Any]:
    try:
        arguments = json.loads(call.arguments)
    except ValueError as error:
        raise Skip(f"the arguments of call {call.id} are no JSON: {error}") from error

    if not isinstance(arguments, dict):
        raise Skip(f"the arguments of call {call.id} are no JSON object")

    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def tool(spec: ToolSpec) -> dict[str, Any]:
    """A tool as OpenAI's interface writes it."""
    function = {"name": spec.name, "description": spec.description, "parameters": spec.parameters}
    return {"type": "function", "function": function}
