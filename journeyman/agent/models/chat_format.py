"""The OpenAI Chat Completions format: requests into it, streamed chunks out of it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from journeyman.agent.models.model import Request
from journeyman.agent.models.parse import Parser, read_json
from journeyman.traces.events import ModelDelta
from journeyman.traces.messages import (
    AssistantMessage,
    Message,
    Part,
    Thinking,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
    UserMessage,
    call_id,
)

Finish = Literal["stop", "length", "cut", "refusal"]
FINISHES: Mapping[str | None, Finish] = {None: "cut", "length": "length", "content_filter": "refusal"}
THOUGHTS = ("reasoning_content", "reasoning")
"""Names under which servers send a model's thinking; it goes back under the first, which all of them read."""


def message(said: Message) -> dict[str, Any]:
    match said:
        case UserMessage(text=text):
            return {"role": "user", "content": text}
        case ToolResult(text=text, call_id=to):
            return {"role": "tool", "tool_call_id": to, "content": text}
        case AssistantMessage():
            return _assistant(said)


def _assistant(said: AssistantMessage) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": "assistant", "content": said.text or None}
    if thinking := "\n".join(part.text for part in said.parts if part.type == "thinking" and not part.hidden):
        turn[THOUGHTS[0]] = thinking

    if said.calls:
        turn["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _readable(call.arguments)}}
            for call in said.calls
        ]

    return turn


def _readable(arguments: str) -> str:
    """Servers parse the arguments of earlier calls and fail on what is no JSON object; its text is kept inside one."""
    valid = isinstance(read_json(arguments, strict=True), dict)
    return arguments if valid else json.dumps({"unreadable": arguments})


def tool(spec: ToolSpec) -> dict[str, Any]:
    parameters = spec.parameters or {"type": "object", "properties": {}}
    function = {"name": spec.name, "description": spec.description, "parameters": parameters}
    return {"type": "function", "function": function}


def options(request: Request) -> dict[str, Any]:
    """What the request asks for beside its messages and sampling."""
    tools = [tool(spec) for spec in request.tools if request.offered is None or spec.name in request.offered]
    asked: dict[str, Any] = {}
    if tools:
        asked = {"tools": tools, "tool_choice": request.choice}

    if request.returns is not None and (not tools or request.choice == "none"):
        schema = {"name": "answer", "schema": dict(request.returns)}
        asked["response_format"] = {"type": "json_schema", "json_schema": schema}

    return asked


class Answer:
    """Puts the chunks of one streamed answer together."""

    def __init__(self, request: Request) -> None:
        self._step = request.step
        self._parser = Parser(request.step, frozenset(spec.name for spec in request.tools))
        self._thoughts: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._reason: str | None = None
        self._refused = self._began = False
        self.usage = Usage()

    def take(self, chunk: Any) -> list[ModelDelta]:
        """What one chunk shows.

        Raises:
            ValueError, TypeError, AttributeError: it is no chunk of this format.
        """
        self._began = True
        if chunk.usage is not None:
            self.usage = _usage(chunk.usage)

        deltas: list[ModelDelta] = []
        for choice in chunk.choices[:1]:
            self._reason = choice.finish_reason or self._reason
            deltas += self._delta(choice.delta)

        return deltas

    def _delta(self, delta: Any) -> Iterable[ModelDelta]:
        extra = delta.model_extra or {}
        if thought := next((extra[name] for name in THOUGHTS if isinstance(extra.get(name), str)), ""):
            self._thoughts.append(thought)
            yield ModelDelta(kind="thinking", text=thought)

        if delta.refusal:
            self._refused = True

        if text := delta.content or delta.refusal:
            yield from self._parser.feed(text)

        for piece in delta.tool_calls or ():
            yield from self._call(piece)

    def _call(self, piece: Any) -> Iterable[ModelDelta]:
        call = self._calls.setdefault(piece.index, {"name": "", "arguments": ""})
        if piece.function is None:
            return

        shown = (piece.function.name or "") + (piece.function.arguments or "")
        call["name"] += piece.function.name or ""
        call["arguments"] += piece.function.arguments or ""
        if shown:
            yield ModelDelta(kind="call", text=shown)

    def rest(self) -> list[ModelDelta]:
        """What was held back, when nothing more comes.

        Raises:
            ValueError: nothing came at all.
        """
        if not self._began:
            raise ValueError("the answer has nothing of that format in it")

        return self._parser.rest()

    @property
    def finish(self) -> Finish:
        return "refusal" if self._refused else FINISHES.get(self._reason, "stop")

    def message(self) -> AssistantMessage:
        parts: list[Part] = [Thinking(text=thought)] if (thought := "".join(self._thoughts).strip()) else []
        parts += self._parser.finish()
        written = sum(part.type == "tool_call" for part in parts)
        for n, index in enumerate(sorted(self._calls), written):
            call = self._calls[index]
            parts.append(ToolCall(id=call_id(self._step, n), name=call["name"], arguments=call["arguments"] or "{}"))

        return AssistantMessage(parts=tuple(parts))


def _usage(usage: Any) -> Usage:
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        prompt_tokens=usage.prompt_tokens or 0,
        cached_tokens=(prompt.cached_tokens or 0) if prompt else 0,
        completion_tokens=usage.completion_tokens or 0,
        reasoning_tokens=(completion.reasoning_tokens or 0) if completion else 0,
    )
