r"""Renders a conversation as ChatML, append only: what was rendered once is never rendered again.

One conversation is one growing text:

    <|im_start|>system\n{instructions and tools}<|im_end|>\n          opening()
    <|im_start|>user\n{prompt}<|im_end|>\n                            turn(UserMessage)
    <|im_start|>assistant\n                                           ASSISTANT
    {what the model samples}<|im_end|>                                   sampled, never rendered
    \n<|im_start|>user\n<tool_response>\n{result}\n</tool_response><|im_end|>\n      "\n" + turn(ToolResult)
    <|im_start|>assistant\n

Calls are in the Hermes dialect that Qwen models were trained on:
`<tool_call>\n{"name": ..., "arguments": ...}\n</tool_call>`.
Special tokens inside anything a person, a tool or a file said must not become special tokens: `opening` and `turn`
return segments, and only those marked `control` may be tokenised with special tokens recognised.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from journeyman.traces.messages import AssistantMessage, Message, ToolResult, ToolSpec, UserMessage

VERSION = "chatml/1"

START = "<|im_start|>"
END = "<|im_end|>"
ASSISTANT = f"{START}assistant\n"
CALL_OPEN = "<tool_call>\n"
CALL_CLOSE = "\n</tool_call>"
THINK_OPEN = "<think>\n"
THINK_CLOSE = "\n</think>\n\n"

HOW_TO_CALL = f'To call a tool write {CALL_OPEN}{{"name": "...", "arguments": {{...}}}}{CALL_CLOSE}'


class Segment(NamedTuple):
    text: str
    control: bool
    """True: ours, special tokens are meant. False: somebody's words, to be tokenised as plain text."""


def opening(instructions: str, tools: Sequence[ToolSpec]) -> list[Segment]:
    """The system turn: instructions, one line for each tool, how to call."""
    body = instructions
    if tools:
        body += "\n\nTools:\n" + "\n".join(signature(tool) for tool in tools) + "\n\n" + HOW_TO_CALL

    return [Segment(f"{START}system\n", control=True), Segment(body, control=False), Segment(f"{END}\n", control=True)]


def turn(message: Message) -> list[Segment]:
    """One turn that is not sampled. An assistant turn is rendered only where its tokens are not known."""
    match message:
        case UserMessage(text=text):
            role, body = "user", text
        case ToolResult(text=text):
            role, body = "user", f"<tool_response>\n{text}\n</tool_response>"
        case AssistantMessage():
            role, body = "assistant", completion(message)

    return [Segment(f"{START}{role}\n", control=True), Segment(body, control=False), Segment(f"{END}\n", control=True)]


def completion(message: AssistantMessage) -> str:
    """What a model would have sampled to say this, without the closing `<|im_end|>`."""
    pieces = []
    for part in message.parts:
        if part.type == "thinking":
            pieces.append(f"{THINK_OPEN}{part.text}{THINK_CLOSE}")
        elif part.type == "text":
            pieces.append(part.text)
        else:
            pieces.append(call_text(part.name, part.arguments))

    return "\n".join(pieces)


def call_text(name: str, arguments: str) -> str:
    return f'{CALL_OPEN}{{"name": {json.dumps(name)}, "arguments": {arguments}}}{CALL_CLOSE}'


def signature(tool: ToolSpec) -> str:
    """`files__read(path: string, start?: integer) - Read a text file`: a quarter of the tokens of its JSON Schema."""
    properties = tool.parameters.get("properties") or {}
    required = tool.parameters.get("required") or []
    arguments = ", ".join(
        f"{name}{'' if name in required else '?'}: {_type(schema)}" for name, schema in properties.items()
    )
    description = tool.description.strip().split("\n", 1)[0]
    return f"{tool.name}({arguments}) - {description}"


def _type(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "any"

    if options := schema.get("enum"):
        return "|".join(json.dumps(option, ensure_ascii=False) for option in options)

    if variants := schema.get("anyOf") or schema.get("oneOf"):
        return "|".join(_type(variant) for variant in variants if variant != {"type": "null"})

    match schema.get("type"):
        case "array":
            return f"list[{_type(schema.get('items') or {})}]"
        case str() as name:
            return name
        case _:
            return "any"
