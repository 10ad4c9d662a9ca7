"""Messages and tools as OpenTelemetry's semantic conventions for generative AI write them, as JSON text."""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from journeyman.traces.messages import Message, Part, ToolSpec

NAMED = frozenset({"temperature", "top_p", "max_tokens", "seed"})
"""Of the sampling, what the conventions have a name for."""


def about(spec: str) -> dict[str, Any]:
    """Provider and model of a spec such as `openai:NAME`, `local:PATH` or `http://HOST/v1#NAME`."""
    scheme, _, name = spec.partition(":")
    if scheme in {"http", "https"}:
        url = urlsplit(spec)
        named = {"gen_ai.provider.name": "openai", "gen_ai.request.model": url.fragment}
        return named | {"server.address": url.hostname}  # the conventions' name for whoever speaks as OpenAI does

    provider = {"local": "llama.cpp", "hf": "llama.cpp"}.get(scheme, scheme)
    return {"gen_ai.provider.name": provider, "gen_ai.request.model": name or spec}


def definitions(tools: Iterable[ToolSpec]) -> str | None:
    offered = [
        {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters}
        for tool in tools
    ]
    return text(offered) if offered else None


def sampling(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{'gen_ai.request' if key in NAMED else 'journeyman.sampling'}.{key}": asked[key] for key in asked}


def system(words: str) -> str | None:
    return text([{"type": "text", "content": words}]) if words else None


def prompt(words: str) -> str:
    return text([_said("user", words)])


def answer(words: str | None) -> str | None:
    return None if words is None else text([_said("assistant", words) | {"finish_reason": "stop"}])


def _said(role: str, words: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": words}]}


def message(each: Message) -> dict[str, Any]:
    match each.type:
        case "user":
            return _said("user", each.text)
        case "assistant":
            return {"role": "assistant", "parts": [_part(part) for part in each.parts]}
        case "tool_result":
            response = {"type": "tool_call_response", "id": each.call_id, "response": each.text}
            return {"role": "tool", "parts": [response]}


def _part(part: Part) -> dict[str, Any]:
    match part.type:
        case "text":
            return {"type": "text", "content": part.text}
        case "thinking":
            hidden = {"hidden": True} if part.hidden else {}
            return {"type": "reasoning", "content": part.text or "(not shown by the provider)", **hidden}
        case "tool_call":
            arguments = part.arguments if part.parsed is None else part.parsed
            return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": arguments}


def text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
