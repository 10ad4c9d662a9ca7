"""The OpenAI Chat Completions format: requests into it, streamed chunks out of it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from journeyman.agent.models.answer import Answer, Finish
from journeyman.agent.models.model import Request, Sampling
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

FINISHES: Mapping[str, Finish] = {"length": "length", "content_filter": "refusal"}
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
    tools = [tool(spec) for spec in request.allowed]
    asked: dict[str, Any] = {}
    if tools:
        asked = {"tools": tools, "tool_choice": request.choice}

    if request.returns is not None and (not tools or request.choice == "none"):
        schema = {"name": "answer", "schema": dict(request.returns)}
        asked["response_format"] = {"type": "json_schema", "json_schema": schema}

    return asked


def thinking(sampling: Sampling, *, own: bool) -> dict[str, Any]:
    """How servers are told to think: by the effort; one's `own` also by the template's switch, and by a limit under the
    names that llama.cpp, vLLM and Qwen's templates know.
    """
    if sampling.think == "off":
        switch, effort = False, "none"
    else:
        switch, effort = sampling.think != "auto", sampling.effort_asked

    asked: dict[str, Any] = {"reasoning_effort": effort} if effort else {}
    if not own or (sampling.think == "auto" and not effort):
        return asked

    template: dict[str, Any] = {"enable_thinking": switch} if sampling.think != "auto" else {}
    extra: dict[str, Any] = {}
    if isinstance(sampling.think, int):
        template["thinking_budget"] = sampling.think
        extra = {"thinking_budget_tokens": sampling.think, "thinking_token_budget": sampling.think}

    return {**asked, "extra_body": {**extra, "chat_template_kwargs": template}}


class ChatAnswer(Answer):
    """Puts the chunks of one streamed answer together."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._parser = Parser(request.step, frozenset(spec.name for spec in request.tools))
        self._thoughts: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._refused = False

    def take(self, event: Any) -> list[ModelDelta]:
        if event.usage is not None:
            self.usage = _usage(event.usage)

        deltas: list[ModelDelta] = []
        for choice in event.choices[:1]:
            deltas += self._delta(choice.delta)
            if choice.finish_reason:
                self.finish = "refusal" if self._refused else FINISHES.get(choice.finish_reason, "stop")

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
        return self._parser.rest()

    def message(self) -> AssistantMessage:
        parts: list[Part] = [Thinking(text=thought)] if (thought := "".join(self._thoughts).strip()) else []
        parts += self._parser.finish()
        written = sum(part.type == "tool_call" for part in parts)
        for n, index in enumerate(sorted(self._calls), written):
            call = self._calls[index]
            parts.append(
                ToolCall(id=call_id(self.request.step, n), name=call["name"], arguments=call["arguments"] or "{}")
            )

        return AssistantMessage(parts=tuple(parts))


def _usage(usage: Any) -> Usage:
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        prompt_tokens=usage.prompt_tokens or 0,
        cached_tokens=(prompt.cached_tokens or 0) if prompt else 0,
        completion_tokens=usage.completion_tokens or 0,
        reasoning_tokens=(completion.reasoning_tokens or 0) if completion else 0,
    )
