"""What an endpoint really can do, found out by trying it: what its makers or its own words claim is set beside it."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import anyio

from journeyman.agent.models.model import Model, Request, Sampling
from journeyman.agent.models.parse import read_json
from journeyman.errors import ModelError
from journeyman.traces.events import ModelDelta, ModelResponded
from journeyman.traces.messages import ToolSpec, UserMessage, Value

PATIENCE = 180.0
"""Seconds for one trial."""
WEATHER = ToolSpec(
    name="weather__now",
    server="weather",
    tool="now",
    description="The weather in a city now",
    parameters={"type": "object", "properties": {"city": {"type": "string", "maxLength": 30}}, "required": ["city"]},
    read_only=True,
)
PAIR: dict[str, Any] = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "green"]}, "count": {"type": "integer"}},
    "required": ["colour", "count"],
    "additionalProperties": False,
}


class Finding(Value):
    what: str
    has: bool
    claims: bool | None = None
    """What the model's capabilities say; None where they say nothing of it."""
    seen: str
    """What was seen, in a few words."""


async def probe(model: Model) -> AsyncGenerator[Finding]:
    """Findings as they are made; the first says whether it answers at all, and without that there are no others.

    Raises:
        ModelError: it cannot be had.
    """
    await model.open()
    able = model.capabilities
    asked = _ask("answers", "Say hello in three words.")
    deltas, answer, why = await _tried(model, asked)
    yield Finding(what="answers", has=answer is not None, seen=why or _short(answer))
    if answer is None:
        return

    guessed = " assumed: the server tells none; say it with --context or in config.toml"
    told = f"{able.context} tokens{'' if able.context_told else guessed}"
    yield Finding(what="window", has=able.context_told, seen=told)
    shown = sum(delta.kind != "status" for delta in deltas)
    yield Finding(what="streaming", has=shown > 1, seen=f"{shown} pieces")
    usage = answer.usage
    yield Finding(
        what="usage", has=usage.completion_tokens > 0, seen=f"{usage.prompt_tokens}+{usage.completion_tokens}"
    )
    level = answer.tokens.level if answer.tokens else "text"
    yield Finding(what="token ids", has=level == "tokens", claims=able.token_ids, seen=level)
    for what, claims, request, judge in (
        (
            "tools",
            None,
            replace(_ask("tools", "What is the weather in Paris? Use the tool."), tools=(WEATHER,)),
            _called,
        ),
        (
            "required calls",
            able.grammar,
            replace(_ask("required", "Hello."), tools=(WEATHER,), choice="required"),
            _called,
        ),
        ("structured output", able.grammar, replace(_ask("typed", "Two green apples."), returns=PAIR), _fits),
        ("log-probabilities", able.logprobs, _ask("logprobs", "Say hello.", temperature=1.0, logprobs=True), _measured),
        ("thinking", able.thinking, _ask("thinking", "Is 91 a prime number? Think first.", max_tokens=512), _thought),
    ):
        _, answer, why = await _tried(model, request)
        has, seen = judge(answer) if answer else (False, why)
        yield Finding(what=what, has=has, claims=claims, seen=seen)

    yield await _prefix(model)


async def _prefix(model: Model) -> Finding:
    """Does a second step reuse what the first one read."""
    first = _ask("prefix", "Remember these words. " + "apple pear plum " * 100)
    _, answer, why = await _tried(model, first)
    if answer:
        more = replace(first, step=2, messages=[*first.messages, answer.message, UserMessage(text="Go on.")])
        _, answer, why = await _tried(model, more)

    cached = answer.usage.cached_tokens if answer else 0
    return Finding(what="prefix cache", has=cached > 0, seen=why or f"{cached} tokens reused")


def _ask(run: str, text: str, *, max_tokens: int = 64, **sampling: Any) -> Request:
    wanted = Sampling.model_validate({"max_tokens": max_tokens, **sampling})
    return Request(f"probe {run}", 1, "", [UserMessage(text=text)], (), sampling=wanted)


async def _tried(model: Model, request: Request) -> tuple[list[ModelDelta], ModelResponded | None, str]:
    """What came of one request: deltas, the answer, and why there is none."""
    deltas: list[ModelDelta] = []
    try:
        with anyio.fail_after(PATIENCE):
            async with aclosing(model.respond(request)) as stream:
                async for item in stream:
                    if isinstance(item, ModelResponded):
                        return deltas, item, ""

                    deltas.append(item)
    except ModelError as error:
        return deltas, None, str(error)
    except TimeoutError:
        return deltas, None, f"no answer in {PATIENCE:.0f} seconds"

    return deltas, None, "the answer broke off"


def _short(answer: ModelResponded | None) -> str:
    text = (answer.message.text or answer.message.thinking).strip() if answer else ""
    return json.dumps(text[:60], ensure_ascii=False)


def _called(answer: ModelResponded) -> tuple[bool, str]:
    for call in answer.message.calls:
        arguments = read_json(call.arguments)
        return call.name == WEATHER.name and isinstance(arguments, dict) and "city" in arguments, call.arguments[:60]

    return False, _short(answer)


def _fits(answer: ModelResponded) -> tuple[bool, str]:
    value = read_json(answer.message.text)
    fits = isinstance(value, dict) and value.keys() == {"colour", "count"} and value["colour"] in ("red", "green")
    return fits and isinstance(value["count"], int), _short(answer)


def _measured(answer: ModelResponded) -> tuple[bool, str]:
    kind = answer.tokens.logprob_kind if answer.tokens else "none"
    return kind != "none", kind


def _thought(answer: ModelResponded) -> tuple[bool, str]:
    thinking = answer.message.thinking
    return bool(thinking or answer.usage.reasoning_tokens), f"{len(thinking)} characters"
