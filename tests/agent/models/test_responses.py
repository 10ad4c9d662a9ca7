"""OpenAI Responses: what llama.cpp does not produce, recorded and played from loopback."""

from typing import Any

import pytest
from dirty_equals import IsPartialDict
from inline_snapshot import snapshot

from journeyman.agent.models.model import Request, Sampling
from journeyman.agent.models.responses import ResponsesModel
from journeyman.agent.models.responses_format import closed
from journeyman.errors import ContextOverflow, CutOff, KeyRefused, ModelError, Overloaded, RateLimited, Refusal
from journeyman.traces.events import ModelDelta, ModelResponded
from journeyman.traces.messages import AssistantMessage, Text, Thinking, ToolCall, ToolResult, Usage
from tests.agent.models.conftest import ADD
from tests.agent.models.recorded import HELLO, Play, Provider, error, heard, rerouted, said, serving, sse
from tests.need import need

need("openai")

PAGES = {"/v1/models": {"object": "list", "data": [{"id": "gpt-5.1", "object": "model", "created": 0}]}}
REASONED = {
    "type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Multiply."}],
    "encrypted_content": "gAAAA\u00e9==",
}  # fmt: skip
SPOKEN = {
    "type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "phase": "commentary",
    "content": [{"type": "output_text", "text": "Let me see.", "annotations": []}],
}  # fmt: skip
CALLED = {
    "type": "function_call", "id": "fc_1", "call_id": "call_x", "name": ADD.name, "status": "completed",
    "arguments": '{"expression":"6*7"}',
}  # fmt: skip
CALLED_TOO = {**CALLED, "id": "fc_2", "call_id": "call_y", "arguments": ""}
USED = {
    "input_tokens": 900, "input_tokens_details": {"cached_tokens": 512, "cache_write_tokens": 0},
    "output_tokens": 300, "output_tokens_details": {"reasoning_tokens": 256}, "total_tokens": 1200,
}  # fmt: skip
OWN = {"url": "https://api.openai.com/v1", "model": "gpt-5.1"}


@pytest.fixture
def anyio_backend():
    return "asyncio"  # the SDK leaves generators to the garbage collector, which trio does not like


def done(*items, **more):
    """The end of a response."""
    response = {"id": "resp_1", "object": "response", "output": list(items), "error": None, "usage": USED, **more}
    return {"type": "response.completed", "response": {"status": "completed", **response}}


def delta(kind, item, text):
    return {"type": f"response.{kind}.delta", "item_id": item, "output_index": 0, "delta": text}


def added(item):
    return {"type": "response.output_item.added", "output_index": 0, "item": item}


def item_done(item):
    return {"type": "response.output_item.done", "output_index": 0, "item": item}


ANSWER = sse(done({**SPOKEN, "content": [{"type": "output_text", "text": "42", "annotations": []}]}))
THOUGHTFUL = sse(
    {"type": "response.created", "response": {"id": "resp_1"}},
    added({**REASONED, "summary": [], "encrypted_content": "unfinished"}),
    delta("reasoning_summary_text", "rs_1", "Multi"),
    delta("reasoning_summary_text", "rs_1", "ply."),
    item_done(REASONED),
    added({**SPOKEN, "content": []}),
    delta("output_text", "msg_1", "Let me see."),
    item_done(SPOKEN),
    added({**CALLED, "arguments": ""}),
    delta("function_call_arguments", "fc_1", '{"expression":'),
    delta("function_call_arguments", "fc_1", '"6*7"}'),
    item_done(CALLED),
    added(CALLED_TOO),
    item_done(CALLED_TOO),
    done(REASONED, SPOKEN, CALLED, CALLED_TOO),
)


@pytest.fixture
def provider():
    with serving(Provider(pages=PAGES)) as provider:
        yield provider


def model_of(provider, *plays, **more):
    provider.plays = [each if isinstance(each, Play) else Play(each) for each in plays]
    return ResponsesModel(None, "gpt-5.1", key="k", spec="openai:gpt-5.1", http_client=rerouted(provider), **more)


async def test_reasoning_words_and_parallel_calls_are_put_together(provider):
    assert await said(model_of(provider, THOUGHTFUL)) == snapshot(
        [
            ModelDelta(kind="thinking", text="Multi"),
            ModelDelta(kind="thinking", text="ply."),
            ModelDelta(kind="text", text="Let me see."),
            ModelDelta(kind="call", text="calculator__calculate"),
            ModelDelta(kind="call", text='{"expression":'),
            ModelDelta(kind="call", text='"6*7"}'),
            ModelDelta(kind="call", text="calculator__calculate"),
            ModelResponded(
                step=1,
                message=AssistantMessage(
                    parts=(
                        Thinking(text="Multiply.", hidden=True),
                        Text(text="Let me see."),
                        ToolCall(id="c1", name="calculator__calculate", arguments='{"expression":"6*7"}'),
                        ToolCall(id="c1_2", name="calculator__calculate", arguments="{}"),
                    ),
                    provider_state={
                        "responses": {
                            "url": "https://api.openai.com/v1",
                            "model": "gpt-5.1",
                            "items": [
                                {
                                    "id": "rs_1",
                                    "summary": [{"text": "Multiply.", "type": "summary_text"}],
                                    "type": "reasoning",
                                    "encrypted_content": "gAAAAé==",
                                },
                                {
                                    "id": "msg_1",
                                    "content": [{"annotations": [], "text": "Let me see.", "type": "output_text"}],
                                    "role": "assistant",
                                    "status": "completed",
                                    "type": "message",
                                    "phase": "commentary",
                                },
                                {
                                    "arguments": '{"expression":"6*7"}',
                                    "call_id": "c1",
                                    "name": "calculator__calculate",
                                    "type": "function_call",
                                    "id": "fc_1",
                                    "status": "completed",
                                },
                                {
                                    "arguments": "",
                                    "call_id": "c1_2",
                                    "name": "calculator__calculate",
                                    "type": "function_call",
                                    "id": "fc_2",
                                    "status": "completed",
                                },
                            ],
                        }
                    },
                ),
                usage=Usage(prompt_tokens=900, cached_tokens=512, completion_tokens=300, reasoning_tokens=256),
                cost_usd=0.003549,
            ),
        ]
    )


async def test_reasoning_goes_back_byte_for_byte_with_the_results_of_its_calls(provider):
    message = (await said(model_of(provider, THOUGHTFUL)))[-1].message
    results = [ToolResult(call_id=call.id, name=call.name, text="42") for call in message.calls]

    await said(model_of(provider, ANSWER), Request("r", 2, "", [*HELLO, message, *results], ()))

    assert provider.asked[-1]["input"] == [
        {"type": "message", "role": "user", "content": "Hello."},
        REASONED,
        SPOKEN,
        {**CALLED, "call_id": "c1"},
        {**CALLED_TOO, "call_id": "c1_2"},
        {"type": "function_call_output", "call_id": "c1", "output": "42"},
        {"type": "function_call_output", "call_id": "c1_2", "output": "42"},
    ]


async def test_what_another_model_thought_stays_behind(provider):
    foreign = AssistantMessage(
        parts=(Thinking(text="Hm.", signature="s"), Text(text="So."), ToolCall(id="c1", name="t", arguments="{}")),
        provider_state={"responses": {"url": OWN["url"], "model": "gpt-4", "items": [REASONED]}},
    )

    await said(model_of(provider, ANSWER), Request("r", 2, "", [*HELLO, foreign], ()))

    assert provider.asked[-1]["input"][1:] == [
        {"type": "message", "role": "assistant", "content": "So."},
        {"type": "function_call", "call_id": "c1", "name": "t", "arguments": "{}"},
    ]


async def test_nothing_is_stored_there_and_the_reasoning_is_asked_for(provider):
    schema: Any = {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}}

    await said(model_of(provider, ANSWER), Request("r", 1, "Be short.", HELLO, (ADD,), "required", returns=schema))

    asked = provider.asked[-1]
    assert asked.pop("instructions").startswith("Be short.")
    assert asked == snapshot(
        {
            "model": "gpt-5.1",
            "stream": True,
            "include": ["reasoning.encrypted_content"],
            "input": [{"type": "message", "role": "user", "content": "Hello."}],
            "max_output_tokens": 9216,
            "prompt_cache_key": "r",
            "reasoning": {"summary": "auto"},
            "store": False,
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "answer",
                    "schema": {
                        "type": "object",
                        "properties": {"n": {"type": "integer"}},
                        "additionalProperties": False,
                        "required": ["n"],
                    },
                    "strict": True,
                }
            },
            "tool_choice": "required",
            "tools": [
                {
                    "type": "function",
                    "name": "calculator__calculate",
                    "description": "Evaluate arithmetic exactly",
                    "parameters": {
                        "type": "object",
                        "properties": {"expression": {"type": "string", "maxLength": 40}},
                        "required": ["expression"],
                    },
                    "strict": False,
                }
            ],
        }
    )


@pytest.mark.parametrize(
    ("sampling", "reasoning", "tokens"),
    [
        (Sampling(), {"summary": "auto"}, 1024 + 8192),
        (Sampling(think="off"), {"effort": "none"}, 1024),
        (Sampling(think="on"), {"effort": "medium", "summary": "auto"}, 1024 + 8192),
        (Sampling(think="on", effort="high"), {"effort": "high", "summary": "auto"}, 1024 + 16384),
        (Sampling(effort="minimal", max_tokens=9), {"effort": "minimal", "summary": "auto"}, 9 + 1024),
        (Sampling(think=2000), {"effort": "low", "summary": "auto"}, 1024 + 2000),
    ],
)
async def test_thinking_is_asked_for_as_effort_and_room(provider, sampling, reasoning, tokens):
    await said(model_of(provider, ANSWER), Request("r", 1, "", HELLO, (), sampling=sampling))

    assert provider.asked[-1] == IsPartialDict(reasoning=reasoning, max_output_tokens=tokens)


async def test_a_model_that_does_not_think_is_asked_without_what_it_refuses(provider):
    refusals = [
        error(400, {"error": {"message": "Encrypted content is not supported with this model.", "param": "include"}}),
        error(400, {"error": {"message": "Unsupported parameter.", "param": "reasoning.summary"}}),
    ]

    assert (await said(model_of(provider, *refusals, ANSWER)))[-1].message.text == "42"

    assert [(each.get("include"), each.get("reasoning")) for each in provider.asked] == [
        (["reasoning.encrypted_content"], {"summary": "auto"}),
        (None, {"summary": "auto"}),
        (None, None),
    ]


async def test_tokens_cost_what_the_list_says_and_cached_ones_less(provider):
    response = (await said(model_of(provider, ANSWER)))[-1]

    assert response.usage == Usage(prompt_tokens=900, cached_tokens=512, completion_tokens=300, reasoning_tokens=256)
    assert response.cost_usd == pytest.approx((388 * 1.25 + 512 * 0.125 + 300 * 10) / 1e6)


async def test_a_model_without_a_price_has_no_cost(provider):
    provider.pages = {}
    model = model_of(provider, ANSWER)
    model._name = "nobody-knows-it"

    assert (await said(model))[-1].cost_usd is None
    assert not model.capabilities.priced


@pytest.mark.parametrize(
    ("end", "finish"),
    [
        ({"type": "response.incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"type": "response.incomplete", "incomplete_details": {"reason": "content_filter"}}, "refusal"),
        ({"type": "response.completed"}, "stop"),
    ],
)
async def test_an_answer_says_how_it_ended(provider, end, finish):
    event = done(SPOKEN, **end)

    assert (await said(model_of(provider, sse({**event, "type": end["type"]}))))[-1].finish == finish


async def test_a_refusal_in_words_is_a_finish(provider):
    refused = {**SPOKEN, "content": [{"type": "refusal", "refusal": "I will not."}]}

    response = (await said(model_of(provider, sse(delta("refusal", "msg_1", "I will not."), done(refused)))))[-1]

    assert (response.finish, response.message.text) == ("refusal", "I will not.")


def failed(code):
    return sse(done(error={"code": code, "message": "so it is"}) | {"type": "response.failed"})


@pytest.mark.parametrize(
    ("play", "kind"),
    [
        (failed("rate_limit_exceeded"), RateLimited),
        (failed("server_error"), Overloaded),
        (failed("invalid_prompt"), Refusal),
        (sse({"type": "error", "code": "context_length_exceeded", "message": "too long"}), ContextOverflow),
        (error(401, {"error": {"message": "bad key", "code": "invalid_api_key"}}), KeyRefused),
        (error(429, {"error": {"message": "pay", "code": "insufficient_quota"}}), RateLimited),
        (error(400, {"error": {"message": "Unsupported value: 'max'", "param": "reasoning.effort"}}), ModelError),
        (b"<!doctype html>", ModelError),
        (sse({"type": "response.completed", "response": 7}), ModelError),
    ],
)
async def test_each_failure_is_an_error_of_its_own_with_a_fix(provider, play, kind):
    events, caught = await heard(model_of(provider, play, retries=0))

    assert type(caught) is kind
    assert caught.fix
    assert events == []


async def test_a_stream_that_breaks_keeps_what_came_and_what_it_cost_is_unknown(provider):
    begun = sse(delta("reasoning_summary_text", "rs_1", "Mul"), delta("output_text", "msg_1", "4"))

    events, caught = await heard(model_of(provider, Play(begun, cut=True)))

    assert events[-1].model_copy(update={"seconds": 0.0}) == ModelResponded(
        step=1,
        message=AssistantMessage(parts=(Thinking(text="Mul", hidden=True), Text(text="4"))),
        finish="cut",
        cost_usd=None,
    )
    assert type(caught) is CutOff
    assert "broke" in str(caught)


class Pauses:
    def __init__(self):
        self.seconds = []

    async def __call__(self, seconds):
        self.seconds.append(seconds)


async def test_a_request_is_repeated_when_the_provider_says_it_may_be(provider):
    pauses = Pauses()
    busy = [
        error(429, {"error": {"message": "slow down"}}, retry_after="7"),
        error(503, {"error": {"message": "later"}}),
        failed("server_error"),
        Play(b"", cut=True),
    ]

    events = await said(model_of(provider, *busy, ANSWER, pause=pauses))

    asked, *grown = pauses.seconds
    assert 7 <= asked <= 8.75
    assert [0.75 <= grown[0] <= 1, 1.5 <= grown[1] <= 2, 3 <= grown[2] <= 4] == [True] * 3
    assert [event.kind for event in events[:-1]] == ["status"] * 4
    assert "Trying again in" in events[0].text
    assert len(provider.asked) == 5


@pytest.mark.parametrize(
    "play",
    [
        error(429, {"error": {"message": "slow down"}}, retry_after="3600"),
        error(429, {"error": {"message": "slow down"}}, x_should_retry="false"),
        error(429, {"error": {"message": "pay", "code": "insufficient_quota"}}),
        error(400, {"error": {"message": "no"}}),
        Play(sse(delta("output_text", "msg_1", "4")), cut=True),
    ],
)
async def test_a_request_is_not_repeated_where_that_is_no_help_or_an_answer_had_begun(provider, play):
    pauses = Pauses()

    _, caught = await heard(model_of(provider, play, pause=pauses))

    assert isinstance(caught, ModelError)
    assert pauses.seconds == []
    assert len(provider.asked) == 1


async def test_it_gives_up_after_a_few_attempts(provider):
    busy = [error(503, {"error": {"message": "later"}})] * 3

    _, caught = await heard(model_of(provider, *busy, retries=2, pause=Pauses()))

    assert isinstance(caught, Overloaded)
    assert len(provider.asked) == 3


def test_a_schema_is_closed_where_it_can_be():
    schema = {
        "type": "object",
        "$defs": {"P": {"type": "object", "properties": {"x": {"type": "number", "default": 0}}}},
        "properties": {"many": {"type": "array", "items": {"$ref": "#/$defs/P"}}, "one": {"anyOf": [{"type": "null"}]}},
    }

    assert closed(schema) == snapshot(
        {
            "type": "object",
            "$defs": {
                "P": {
                    "type": "object",
                    "properties": {"x": {"type": "number"}},
                    "additionalProperties": False,
                    "required": ["x"],
                }
            },
            "properties": {
                "many": {"type": "array", "items": {"$ref": "#/$defs/P"}},
                "one": {"anyOf": [{"type": "null"}]},
            },
            "additionalProperties": False,
            "required": ["many", "one"],
        }
    )


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {}, "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"a": {"oneOf": []}}},
        {"$ref": "#/$defs/P", "description": "a point"},
    ],
)
def test_a_schema_that_cannot_be_enforced_is_left_as_it_is(schema):
    with pytest.raises(ValueError, match=r"not enforced|any properties"):
        closed(schema)


async def test_an_unknown_name_is_told_beside_those_there_are(provider):
    model = model_of(provider)
    model._name = "gpt-5.2"

    with pytest.raises(ModelError, match=r"OpenAI has no model 'gpt-5.2'. Did you mean 'gpt-5.1'\?"):
        await model.open()

    await model.close()
