"""Anthropic Messages: what llama.cpp does not produce, recorded and played from loopback."""

from typing import Any

import pytest
from dirty_equals import IsPartialDict
from inline_snapshot import snapshot

from journeyman.agent.models.anthropic import AnthropicModel
from journeyman.agent.models.anthropic_format import Able
from journeyman.agent.models.model import Request, Sampling
from journeyman.errors import (
    ContextOverflow,
    CutOff,
    KeyRefused,
    ModelError,
    ModelNotFound,
    Overloaded,
    RateLimited,
    Unreachable,
)
from journeyman.traces.events import ModelDelta, ModelResponded
from journeyman.traces.messages import AssistantMessage, Text, Thinking, ToolCall, ToolResult, Usage, UserMessage
from tests.agent.models.conftest import ADD
from tests.agent.models.recorded import HELLO, Play, Provider, error, heard, rerouted, said, serving, sse
from tests.need import need

need("anthropic")

NAME = "claude-sonnet-4-6"
SIGNED = "EqQBCkYIBxgCKkD/+9w=="


def info(*types, efforts=("low", "medium", "high", "max"), schema=True):
    """What the provider tells of a model that thinks in these ways."""
    yes, no = {"supported": True}, {"supported": False}
    names = ("adaptive", "enabled", "disabled", "between_tools")
    return {
        "type": "model", "id": NAME, "max_input_tokens": 150_000, "max_tokens": 12_000,
        "capabilities": {
            "thinking": {"supported": True, "types": {name: yes if name in types else no for name in names}},
            "effort": {"supported": bool(efforts), **dict.fromkeys(efforts, yes)},
            "structured_outputs": yes if schema else no,
        },
    }  # fmt: skip


@pytest.fixture
def anyio_backend():
    return "asyncio"  # the SDK leaves generators to the garbage collector, which trio does not like


@pytest.fixture
def provider():
    with serving(Provider(pages={f"/v1/models/{NAME}": info("adaptive", "enabled", "disabled")})) as provider:
        yield provider


def model_of(provider, *plays, **more):
    provider.plays = [each if isinstance(each, Play) else Play(each) for each in plays]
    return AnthropicModel(None, NAME, key="k", spec=f"anthropic:{NAME}", http_client=rerouted(provider), **more)


def begun(**usage):
    told = {"input_tokens": 10, "cache_read_input_tokens": 600, "cache_creation_input_tokens": 90, "output_tokens": 1}
    message = {"id": "m", "type": "message", "role": "assistant", "model": NAME, "content": [], "usage": told | usage}
    return {"type": "message_start", "message": message}


def block(index, first, *deltas):
    yield {"type": "content_block_start", "index": index, "content_block": first}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}

    yield {"type": "content_block_stop", "index": index}


def spoken(text, index=0):
    return block(index, {"type": "text", "text": ""}, {"type": "text_delta", "text": text})


def ended(reason="end_turn", **more):
    usage = {"output_tokens": 300, "output_tokens_details": {"thinking_tokens": 256}}
    yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None, **more}, "usage": usage}
    yield {"type": "message_stop"}


ANSWER = sse(begun(), *spoken("42"), *ended())
INTERLEAVED = sse(
    begun(),
    {"type": "ping"},
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Multi"},
        {"type": "thinking_delta", "thinking": "ply."},
        {"type": "signature_delta", "signature": SIGNED},
    ),
    *block(1, {"type": "redacted_thinking", "data": "EmwKAhgB\u00e9"}),
    *spoken("Let me see.", 2),
    *block(
        3,
        {"type": "tool_use", "id": "toolu_1", "name": ADD.name, "input": {}},
        {"type": "input_json_delta", "partial_json": '{"expres'},
        {"type": "input_json_delta", "partial_json": 'sion": "6*7"}'},
    ),
    *block(4, {"type": "thinking", "thinking": "", "signature": SIGNED}),
    *block(5, {"type": "tool_use", "id": "toolu_2", "name": "other", "input": {}}),
    *ended("tool_use"),
)


async def test_interleaved_thoughts_words_and_calls_are_put_together(provider):
    assert await said(model_of(provider, INTERLEAVED)) == snapshot(
        [
            ModelDelta(kind="thinking", text="Multi"),
            ModelDelta(kind="thinking", text="ply."),
            ModelDelta(kind="text", text="Let me see."),
            ModelDelta(kind="call", text="calculator__calculate"),
            ModelDelta(kind="call", text='{"expres'),
            ModelDelta(kind="call", text='sion": "6*7"}'),
            ModelDelta(kind="call", text="other"),
            ModelResponded(
                step=1,
                message=AssistantMessage(
                    parts=(
                        Thinking(text="Multiply.", signature="EqQBCkYIBxgCKkD/+9w==", hidden=True),
                        Thinking(text="", signature="EmwKAhgBé", hidden=True, redacted=True),
                        Text(text="Let me see."),
                        ToolCall(id="c1", name="calculator__calculate", arguments='{"expression": "6*7"}'),
                        Thinking(text="", signature="EqQBCkYIBxgCKkD/+9w==", hidden=True),
                        ToolCall(id="c1_2", name="other", arguments="{}"),
                    )
                ),
                usage=Usage(prompt_tokens=700, cached_tokens=600, completion_tokens=300, reasoning_tokens=256),
                cost_usd=0.0050475,
            ),
        ]
    )


async def test_thoughts_go_back_with_their_signatures_and_results_in_one_message(provider):
    message = (await said(model_of(provider, INTERLEAVED)))[-1].message
    results = [
        ToolResult(call_id="c1", name=ADD.name, text="42"),
        ToolResult(call_id="c1_2", name="other", text="", is_error=True),
    ]
    more = UserMessage(text="Well?")

    await said(model_of(provider, ANSWER), Request("r", 2, "", [*HELLO, message, *results, more], ()))

    assert provider.asked[-1]["messages"] == snapshot(
        [
            {"role": "user", "content": [{"type": "text", "text": "Hello.", "cache_control": {"type": "ephemeral"}}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Multiply.", "signature": "EqQBCkYIBxgCKkD/+9w=="},
                    {"type": "redacted_thinking", "data": "EmwKAhgBé"},
                    {"type": "text", "text": "Let me see."},
                    {"type": "tool_use", "id": "c1", "name": "calculator__calculate", "input": {"expression": "6*7"}},
                    {"type": "thinking", "thinking": "", "signature": "EqQBCkYIBxgCKkD/+9w=="},
                    {"type": "tool_use", "id": "c1_2", "name": "other", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "42"},
                    {"type": "tool_result", "tool_use_id": "c1_2", "is_error": True},
                    {"type": "text", "text": "Well?", "cache_control": {"type": "ephemeral"}},
                ],
            },
        ]
    )


async def test_the_end_of_what_stays_the_same_is_marked_for_the_cache(provider):
    other = ADD.model_copy(update={"name": "other"})

    await said(model_of(provider, ANSWER), Request("r", 1, "Be short.", HELLO, (ADD, other)))
    await said(model_of(provider, ANSWER), Request("r", 1, "", HELLO, (ADD, other), "none"))

    first, second = provider.asked
    marked = {"cache_control": {"type": "ephemeral"}}
    assert first["system"] == [{"type": "text", "text": "Be short.", **marked}]
    assert [marked.items() <= tool.items() for tool in first["tools"]] == [False, False]
    assert [marked.items() <= tool.items() for tool in second["tools"]] == [False, True]
    assert first["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hello.", **marked}]}]
    assert [first["tool_choice"], second["tool_choice"]] == [{"type": "auto"}, {"type": "none"}]
    assert "temperature" not in first


BOTH = info("adaptive", "enabled", "disabled")
OLD = info("enabled", "disabled", efforts=())
NEW = info("adaptive", efforts=("low", "high"))
SUMMED = {"display": "summarized"}


def limit(tokens):
    return {"type": "enabled", "budget_tokens": tokens, **SUMMED}


@pytest.mark.parametrize(
    ("page", "sampling", "asked"),
    [
        (BOTH, Sampling(), {"thinking": {"type": "adaptive", **SUMMED}, "max_tokens": 1024 + 8192}),
        (BOTH, Sampling(think="off"), {"thinking": {"type": "disabled"}, "max_tokens": 1024}),
        (BOTH, Sampling(effort="xhigh"), {"output_config": {"effort": "high"}, "max_tokens": 12_000}),
        (BOTH, Sampling(think=4000), {"thinking": limit(4000), "max_tokens": 5024}),
        (BOTH, Sampling(think=9), {"thinking": limit(1024), "max_tokens": 2048}),
        (OLD, Sampling(), {"max_tokens": 1024}),
        (OLD, Sampling(think="on"), {"thinking": limit(8192), "max_tokens": 9216}),
        (OLD, Sampling(effort="max"), {"thinking": limit(11_999)}),
        (NEW, Sampling(think="on"), {"thinking": {"type": "adaptive", **SUMMED}}),
        (NEW, Sampling(think=3000), {"output_config": {"effort": "low"}, "max_tokens": 4024}),
        (NEW, Sampling(effort="minimal"), {"output_config": {"effort": "low"}}),
    ],
)  # fmt: skip
async def test_thinking_is_asked_for_as_the_model_takes_it(provider, page, sampling, asked):
    provider.pages = {f"/v1/models/{NAME}": page}

    await said(model_of(provider, ANSWER), Request("r", 1, "", HELLO, (), sampling=sampling))

    assert provider.asked[-1] == IsPartialDict(**asked)
    assert ("thinking" in provider.asked[-1]) == ("thinking" in asked or page is not OLD)


@pytest.mark.parametrize(
    ("page", "think", "words"),
    [(NEW, "off", "cannot be kept from thinking"), (info("disabled"), "on", "does not think")],
)
async def test_a_model_that_cannot_do_so_says_so(provider, page, think, words):
    provider.pages = {f"/v1/models/{NAME}": page}

    _, caught = await heard(model_of(provider), Request("r", 1, "", HELLO, (), sampling=Sampling(think=think)))

    assert words in str(caught)
    assert caught.fix
    assert provider.asked == []


async def test_a_limit_to_thinking_holds_between_calls_too_and_forces_none(provider):
    limited = Sampling(think=2000)

    await said(model_of(provider, ANSWER), Request("r", 1, "", HELLO, (ADD,), "required", sampling=limited))

    assert provider.headers[-1]["anthropic-beta"] == "interleaved-thinking-2025-05-14"
    assert provider.asked[-1]["tool_choice"] == {"type": "auto"}


async def test_the_schema_of_the_answer_is_enforced_where_the_model_can(provider):
    schema: Any = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

    await said(model_of(provider, ANSWER), Request("r", 1, "", HELLO, (), returns=schema))

    assert provider.asked[-1]["output_config"]["format"]["schema"] == {**schema, "additionalProperties": False}


async def test_tokens_cost_by_what_was_read_from_the_cache_and_written_to_it(provider):
    response = (await said(model_of(provider, ANSWER)))[-1]

    assert response.usage == Usage(prompt_tokens=700, cached_tokens=600, completion_tokens=300, reasoning_tokens=256)
    assert response.cost_usd == pytest.approx((10 * 3 + 600 * 0.3 + 90 * 3.75 + 300 * 15) / 1e6)


async def test_a_refusal_is_a_finish_that_says_why(provider):
    details = {"type": "refusal", "category": "bio", "explanation": "It could do harm."}

    response = (await said(model_of(provider, sse(begun(), *ended("refusal", stop_details=details)))))[-1]

    assert (response.finish, response.message.text) == ("refusal", "It could do harm.")


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded"])
async def test_an_answer_without_room_is_too_long(provider, reason):
    assert (await said(model_of(provider, sse(begun(), *spoken("4"), *ended(reason)))))[-1].finish == "length"


def wrong(status, kind, message, **more):
    return error(status, {"type": "error", "error": {"type": kind, "message": message, **more}})


@pytest.mark.parametrize(
    ("play", "kind"),
    [
        (wrong(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), ContextOverflow),
        (wrong(413, "request_too_large", "too large"), ContextOverflow),
        (wrong(401, "authentication_error", "invalid x-api-key"), KeyRefused),
        (wrong(403, "permission_error", "not yours"), KeyRefused),
        (wrong(404, "not_found_error", "model"), ModelNotFound),
        (wrong(429, "rate_limit_error", "slow down"), RateLimited),
        (wrong(429, "rate_limit_error", "spent", details={"error_code": "enforced_spend_limit_reached"}), RateLimited),
        (wrong(529, "overloaded_error", "Overloaded"), Overloaded),
        (wrong(500, "api_error", "Internal server error"), Overloaded),
        (sse(begun(), {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}), Overloaded),
        (Play(sse(begun()), cut=True), Unreachable),
        (b"<!doctype html>", ModelError),
        (sse({"type": "content_block_delta", "index": 3, "delta": {"type": "text_delta", "text": "4"}}), ModelError),
        (sse({"type": "message_start", "message": 7}), ModelError),
    ],
)
async def test_each_failure_is_an_error_of_its_own_with_a_fix(provider, play, kind):
    events, caught = await heard(model_of(provider, play, retries=0))

    assert type(caught) is kind
    assert caught.fix
    assert events == []


async def test_an_overload_in_the_middle_of_an_answer_cuts_it_and_its_cost_so_far_is_known(provider):
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

    events, caught = await heard(model_of(provider, sse(begun(), *spoken("4"), overloaded)))

    assert events[-1].finish == "cut"
    assert events[-1].message.text == "4"
    assert events[-1].cost_usd > 0
    assert type(caught) is CutOff
    assert "cannot serve the model now: Overloaded" in str(caught)


async def test_an_overload_before_the_answer_is_waited_for(provider):
    async def at_once(seconds):
        assert seconds > 0

    overloaded = sse(begun(), {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})

    events = await said(model_of(provider, overloaded, ANSWER, pause=at_once))

    assert [event.kind for event in events[:-1]] == ["status", "text"]


async def test_a_stream_without_an_end_is_cut(provider):
    events, caught = await heard(model_of(provider, sse(begun(), *spoken("4"))))

    assert (events[-1].finish, type(caught)) == ("cut", CutOff)


async def test_a_server_that_tells_nothing_is_believed_and_its_unsigned_thoughts_go_back(provider):
    provider.pages = {}
    thought = AssistantMessage(parts=(Thinking(text="Hm."), ToolCall(id="c1", name="t", arguments="oops")))
    model = AnthropicModel(provider.url, "any", key="k")
    provider.plays = [Play(ANSWER)]
    asked = Request("r", 2, "", [*HELLO, thought], (), sampling=Sampling(think=9))

    response = (await said(model, asked))[-1]

    assert provider.asked[-1]["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "tool_use", "id": "c1", "name": "t", "input": {"unreadable": "oops"}},
    ]
    assert provider.asked[-1]["thinking"]["budget_tokens"] == 9
    assert (response.cost_usd, model.capabilities.remote) == (0.0, False)


async def test_nothing_of_an_anthropic_account_in_the_environment_is_used(provider, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "secret-token")

    await said(model_of(provider, ANSWER))

    assert "secret" not in str(provider.headers)


def test_the_nearest_effort_is_rather_less_than_more():
    able = Able(efforts=frozenset({"medium", "max"}))

    assert [able.effort(each) for each in (None, "minimal", "medium", "xhigh", "max")] == [
        None, "medium", "medium", "medium", "max"
    ]  # fmt: skip
