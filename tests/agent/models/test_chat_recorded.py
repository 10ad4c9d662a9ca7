"""What a loopback server does not produce: answers of other servers, played by the SDK's own transport."""

import json

import httpx2
import pytest
from inline_snapshot import snapshot

from journeyman.agent.models.chat import ChatModel
from journeyman.agent.models.model import Request, Sampling
from journeyman.errors import (
    ContextOverflow,
    CutOff,
    KeyRefused,
    ModelError,
    ModelNotFound,
    Overloaded,
    RateLimited,
    Refusal,
    Unreachable,
)
from journeyman.traces.events import ModelDelta, ModelResponded
from journeyman.traces.messages import AssistantMessage, Text, Thinking, ToolCall, Usage, UserMessage
from tests.agent.models.conftest import ADD
from tests.need import need

need("openai")

MODELS = {"object": "list", "data": [{"id": "m", "object": "model", "created": 0, "owned_by": "x"}]}
HELLO = [UserMessage(text="Hello.")]


def chunk(delta=None, finish=None, usage=None):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": choices, "usage": usage
    }  # fmt: skip


def sse(*chunks):
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks) + b"data: [DONE]\n\n"


@pytest.fixture
def anyio_backend():
    return "asyncio"  # the SDK leaves generators to the garbage collector, which trio does not like


class Recorded:
    """A server that answers each completion with the next recording, and keeps what it was asked."""

    def __init__(self, *answers, models=None):
        self.models = models or httpx2.Response(200, json=MODELS)
        self.answers = list(answers)
        self.asked = []

    def __call__(self, request):
        if request.url.path.endswith("/models"):
            return self.models

        self.asked.append(json.loads(request.content))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer

        return answer if isinstance(answer, httpx2.Response) else events(answer)


def events(content):
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=content)


def model_of(server, url="http://models.example/v1", **more):
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(server))
    return ChatModel(url, "m", key="k", retries=0, http_client=client, **more)


async def played(model, messages=HELLO, tools=(), step=1, **more):
    request = Request("r", step, "Be short.", messages, tools, **more)
    try:
        *deltas, response = [event async for event in model.respond(request)]
        return [*deltas, response.model_copy(update={"seconds": 0.0})]
    finally:
        await model.close()


THOUGHTFUL = sse(
    chunk({"role": "assistant", "reasoning_content": "Two "}),
    chunk({"reasoning_content": "steps."}),
    chunk({"content": "Let me "}),
    chunk({"content": "see."}),
    chunk({"tool_calls": [{"index": 0, "id": "x", "function": {"name": ADD.name, "arguments": ""}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"expression": '}}]}),
    chunk({"tool_calls": [{"index": 1, "id": "x", "function": {"name": "other", "arguments": "{oops"}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"6*7"}'}}]}),
    chunk({}, "tool_calls"),
    chunk(
        usage={
            "prompt_tokens": 9,
            "completion_tokens": 8,
            "total_tokens": 17,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 3},
        }
    ),
)


async def test_thoughts_words_and_calls_are_put_together():
    assert await played(model_of(Recorded(THOUGHTFUL)), tools=(ADD,)) == snapshot(
        [
            ModelDelta(kind="thinking", text="Two "),
            ModelDelta(kind="thinking", text="steps."),
            ModelDelta(kind="text", text="Let me "),
            ModelDelta(kind="text", text="see."),
            ModelDelta(kind="call", text="calculator__calculate"),
            ModelDelta(kind="call", text='{"expression": '),
            ModelDelta(kind="call", text="other{oops"),
            ModelDelta(kind="call", text='"6*7"}'),
            ModelResponded(
                step=1,
                message=AssistantMessage(
                    parts=(
                        Thinking(text="Two steps."),
                        Text(text="Let me see."),
                        ToolCall(id="c1", name="calculator__calculate", arguments='{"expression": "6*7"}'),
                        ToolCall(id="c1_2", name="other", arguments="{oops"),
                    )
                ),
                usage=Usage(prompt_tokens=9, cached_tokens=4, completion_tokens=8, reasoning_tokens=3),
            ),
        ]
    )


async def test_thinking_and_our_call_ids_go_back():
    server = Recorded(sse(chunk({"content": "42"}, "stop")))
    turn = AssistantMessage(
        parts=(Thinking(text="Hm."), Text(text="Wait."), ToolCall(id="c1", name="t", arguments='{"a": 1}'))
    )

    await played(model_of(server), [*HELLO, turn], step=2)

    assert server.asked[0]["messages"] == snapshot(
        [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "Hello."},
            {
                "role": "assistant",
                "content": "Wait.",
                "reasoning_content": "Hm.",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "t", "arguments": '{"a": 1}'}}],
            },
        ]
    )


async def test_choice_and_offered_tools_are_asked_for():
    server = Recorded(sse(chunk({"content": "42"}, "stop")))
    other = ADD.model_copy(update={"name": "other"})

    await played(model_of(server), tools=(ADD, other), choice="required", offered=frozenset({ADD.name}))

    asked = server.asked[0]
    assert [tool["function"]["name"] for tool in asked["tools"]] == [ADD.name]
    assert asked["tool_choice"] == "required"
    assert asked["temperature"] == 0


THINKS = [
    (Sampling(), {}),
    (Sampling(think="off"), {"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": False}}),
    (Sampling(effort="low"), {"reasoning_effort": "low", "chat_template_kwargs": {}}),
    (
        Sampling(think=900),
        {
            "reasoning_effort": "minimal",
            "thinking_budget_tokens": 900,
            "thinking_token_budget": 900,
            "chat_template_kwargs": {"enable_thinking": True, "thinking_budget": 900},
        },
    ),
]


@pytest.mark.parametrize(("sampling", "asked"), THINKS)
async def test_thinking_is_asked_for_as_servers_know_it_and_elsewhere_as_effort_only(sampling, asked):
    here, there = [Recorded(sse(chunk({"content": "42"}, "stop"))) for _ in range(2)]

    await played(model_of(here, "http://127.0.0.1/v1"), sampling=sampling)
    await played(model_of(there), sampling=sampling)

    names = {"reasoning_effort", "chat_template_kwargs", "thinking_budget_tokens", "thinking_token_budget"}
    assert {name: value for name, value in here.asked[0].items() if name in names} == asked
    assert {name for name in there.asked[0] if name in names} == {"reasoning_effort"} & asked.keys()


async def test_thinking_in_the_text_is_read_too():
    server = Recorded(
        sse(chunk({"content": "<thi"}), chunk({"content": "nk>Hm.</think>\n\n4"}), chunk({"content": "2"}, "stop"))
    )

    response = (await played(model_of(server)))[-1]

    assert response.message.parts == (Thinking(text="Hm."), Text(text="42"))


async def heard(model):
    """What comes before an error, and the error."""
    events = []
    try:
        async for event in model.respond(Request("r", 1, "", HELLO, ())):
            events.append(event)  # noqa: PERF401 - what came before the error is wanted too
    except ModelError as error:
        return events, error
    finally:
        await model.close()

    pytest.fail("there was no error")


async def test_a_stream_without_an_end_is_cut_and_what_came_is_kept():
    events, error = await heard(model_of(Recorded(sse(chunk({"content": "4"})))))

    assert (events[-1].finish, events[-1].message.text) == ("cut", "4")
    assert type(error) is CutOff


async def test_a_refusal_is_a_finish():
    response = (await played(model_of(Recorded(sse(chunk({"refusal": "I will not."}, "stop"))))))[-1]

    assert (response.finish, response.message.text) == ("refusal", "I will not.")


def breaking(content):
    class Breaking(httpx2.AsyncByteStream):
        async def __aiter__(self):
            yield content
            raise httpx2.ReadError("reset by peer")

    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Breaking())


async def test_a_connection_that_breaks_in_the_middle_of_an_answer_cuts_it_and_says_why():
    started = sse(chunk({"content": "4"}), chunk({"content": "2"}))[:-30]

    events, error = await heard(model_of(Recorded(breaking(started))))

    assert (events[-1].finish, events[-1].message.text) == ("cut", "4")
    assert type(error) is CutOff
    assert "reset by peer" in str(error)
    assert "journeyman run --resume last" in error.fix


def refusal(status, message, code=None):
    return httpx2.Response(status, json={"error": {"message": message, "code": code}})


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (refusal(429, "slow down"), RateLimited, "allows no more requests now"),
        (refusal(429, "pay", "insufficient_quota"), RateLimited, "wants to be paid first"),
        (refusal(401, "bad key"), KeyRefused, "refuses the key"),
        (refusal(403, "not yours"), KeyRefused, "does not allow it"),
        (refusal(404, "no such model"), ModelNotFound, "does not have it"),
        (refusal(400, "too long", "context_length_exceeded"), ContextOverflow, "does not fit"),
        (refusal(400, "no", "content_policy_violation"), Refusal, "refuses to answer"),
        (refusal(413, "big"), ContextOverflow, "cannot read so much"),
        (refusal(503, "overloaded"), Overloaded, "cannot serve the model now"),
        (refusal(418, "teapot"), ModelError, "could not answer"),
        (httpx2.ConnectError("refused"), Unreachable, "Nothing answers at http://models.example/v1"),
        (httpx2.ReadError("reset"), Unreachable, "The connection to http://models.example/v1 broke"),
        (httpx2.ReadTimeout("slow"), Unreachable, "does not answer in time"),
        (events(b'data: {"error": {"message": "boom"}}\n\n'), ModelError, "could not answer"),
    ],
)
async def test_a_refusal_of_the_server_is_a_typed_error_with_a_fix(answer, error, words):
    with pytest.raises(error, match=words) as caught:
        await played(model_of(Recorded(answer)))

    assert type(caught.value) is error
    assert caught.value.fix


async def test_nothing_of_an_openai_account_goes_to_another_server(monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    sent = []

    def server(request):
        sent.append(request.headers)
        return httpx2.Response(200, json=MODELS)

    model = ChatModel(
        "http://models.example/v1", "m", http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(server))
    )
    await model.open()
    await model.close()

    assert "sk-secret" not in str(sent)
    assert not any(name.startswith("openai-") for headers in sent for name in headers)


async def test_a_model_elsewhere_is_remote_and_has_no_price():
    model = model_of(Recorded(sse(chunk({"content": "42"}, "stop"))))

    response = (await played(model))[-1]

    assert model.capabilities.remote
    assert response.cost_usd is None


async def test_only_new_messages_are_translated_again():
    server = Recorded(*[sse(chunk({"content": "4"}, "stop"))] * 3)
    model = model_of(server)
    grown = [*HELLO, AssistantMessage(parts=(Text(text="4"),)), UserMessage(text="More.")]
    changed = [UserMessage(text="Bye.")]

    for step, messages in enumerate([HELLO, grown, changed], 1):
        _ = [event async for event in model.respond(Request("r", step, "", messages, ()))]

    await model.close()
    assert [[each["content"] for each in asked["messages"]] for asked in server.asked] == [
        ["Hello."],
        ["Hello.", "4", "More."],
        ["Bye."],
    ]


async def test_a_call_that_is_nested_past_reading_goes_back_as_text():
    server = Recorded(sse(chunk({"content": "42"}, "stop")))
    deep = '{"a":' * 100_000

    await played(
        model_of(server), [*HELLO, AssistantMessage(parts=(ToolCall(id="c1", name="t", arguments=deep),))], step=2
    )

    call = server.asked[0]["messages"][-1]["tool_calls"][0]
    assert json.loads(call["function"]["arguments"]) == {"unreadable": deep}


HTML = httpx2.Response(200, headers={"content-type": "text/html"}, content=b"<!doctype html><p>Welcome")


@pytest.mark.parametrize(
    "answer",
    [
        HTML,
        events(b"data: {oops\n\n"),
        events(b"data: " + b"[" * 100_000 + b"\n\n"),
        events(b"data: [DONE]\n\n"),
        events(b"data: 7\n\n"),
        sse({**chunk(), "choices": None}),
        sse({**chunk(), "choices": [None]}),
        sse({**chunk(), "choices": [{"index": 0, "delta": None}]}),
        sse(chunk({"content": {"text": "4"}})),
        sse(chunk({"tool_calls": [None]})),
        sse(chunk({"tool_calls": [{"index": 0, "function": {"name": 7}}]})),
        sse(chunk({"tool_calls": [{"index": None, "function": {}}, {"index": 1, "function": {}}]})),
        sse(chunk(usage={"prompt_tokens": "many"})),
    ],
)
async def test_a_server_that_answers_something_else_is_a_model_error(answer):
    with pytest.raises(ModelError, match="does not speak Chat Completions: ") as caught:
        await played(model_of(Recorded(answer)))

    assert caught.value.fix


@pytest.mark.parametrize(
    "models",
    [
        HTML,
        *(
            httpx2.Response(200, json=each)
            for each in ("x", [1], {"data": "x"}, {"data": [1]}, {"data": [{"id": "m", "meta": 7}]})
        ),
    ],
)
async def test_a_list_of_models_that_is_none_is_a_model_error(models):
    with pytest.raises(ModelError, match="does not speak Chat Completions"):
        await played(model_of(Recorded(models=models)))


@pytest.mark.parametrize("tools", [(), (ADD,)])
async def test_the_schema_of_the_answer_is_told_with_tools_and_without(tools):
    server = Recorded(sse(chunk({"content": "42"}, "stop")))
    schema = {"type": "integer"}

    await played(model_of(server), tools=tools, returns=schema)

    system = server.asked[0]["messages"][0]["content"]
    assert system == 'Be short.\n\nYour final answer must be JSON that fits this schema: {"type": "integer"}'
    assert ("response_format" in server.asked[0]) == (not tools)
