"""The three formats against the real loopback endpoints of llama.cpp, through the real SDKs."""

import json

import pytest

from journeyman.agent.models.anthropic import AnthropicModel
from journeyman.agent.models.chat import ChatModel
from journeyman.agent.models.model import Request, Sampling
from journeyman.agent.models.responses import ResponsesModel
from journeyman.errors import ContextOverflow, KeyRefused
from journeyman.traces.messages import AssistantMessage, Text, Thinking, ToolCall, ToolResult, UserMessage
from tests.agent.models.conftest import ADD, INFO
from tests.agent.models.recorded import heard, said
from tests.need import need

need("openai")
need("anthropic")

PATHS = {ChatModel: "/v1", ResponsesModel: "/v1", AnthropicModel: ""}
QUESTION = UserMessage(text="What is 3*4?")


@pytest.fixture
def anyio_backend():
    return "asyncio"  # the SDK leaves generators to the garbage collector, which trio does not like


@pytest.fixture(params=PATHS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


MADE = []


@pytest.fixture(autouse=True)
async def _closed():
    """What a test leaves connected is an error of whichever test the garbage collector finds it in."""
    yield
    while MADE:
        await MADE.pop().close()


def model_of(kind, address, key="secret"):
    MADE.append(kind(address + PATHS[kind], "smol", key=key, retries=0))
    return MADE[-1]


def ask(messages, step=1, tools=(ADD, INFO), choice="auto", **sampling):
    sampled = Sampling.model_validate({"max_tokens": 60, **sampling})
    return Request("r", step, "You have tools.", messages, tools, choice=choice, sampling=sampled)


async def test_a_call_comes_streamed_and_its_result_goes_back(kind, served, starter):
    if starter.adapter is None:
        pytest.skip("the starter has no adapter here: it cannot call tools by itself")

    *deltas, response = await said(model_of(kind, served), ask([QUESTION], choice="required", max_tokens=600))
    (call,) = response.message.calls
    assert call.id == "c1"
    assert isinstance(json.loads(call.arguments), dict)
    assert "".join(delta.text for delta in deltas if delta.kind == "call") == call.name + call.arguments
    assert (response.finish, response.cost_usd) == ("stop", 0.0)
    assert response.usage.prompt_tokens > 50
    assert response.usage.completion_tokens > 5

    asked = AssistantMessage(parts=(ToolCall(id="c1", name=ADD.name, arguments='{"expression": "3*4"}'),))
    results = [ToolResult(call_id="c1", name=ADD.name, text="12 " * times) for times in (1, 41)]
    short, long = [
        (await said(model_of(kind, served), ask([QUESTION, asked, result], 2, max_tokens=1)))[-1] for result in results
    ]
    assert long.usage.prompt_tokens >= short.usage.prompt_tokens + 40


async def test_a_prompt_that_was_read_before_is_counted_as_cached(kind, served):
    prompt = [UserMessage(text=f"{kind.__name__}: say hello to everybody in the room.")]
    await said(model_of(kind, served), ask(prompt, max_tokens=2))

    usage = (await said(model_of(kind, served), ask(prompt, max_tokens=2)))[-1].usage

    assert usage.cached_tokens > usage.prompt_tokens / 2


async def test_thinking_comes_apart_ends_at_its_limit_and_can_be_left_out(kind, thinking_served):
    def asked(think):
        return ask([QUESTION], tools=(), think=think)

    if kind is not ResponsesModel:  # which knows no limit
        *deltas, response = await said(model_of(kind, thinking_served), asked(5))
        (thought, *_) = response.message.parts
        assert (thought.type, thought.hidden) == ("thinking", False)
        assert 0 < len(thought.text.split()) <= 5
        assert "".join(delta.text for delta in deltas if delta.kind == "thinking").strip() == thought.text.strip()

    whole = (await said(model_of(kind, thinking_served), asked("on")))[-1]
    assert whole.message.thinking
    none = (await said(model_of(kind, thinking_served), asked("off")))[-1]
    assert not none.message.thinking


async def test_a_thought_of_a_local_model_goes_back_to_it(kind, thinking_served):
    async def read(*parts):
        model = model_of(kind, thinking_served)
        turns = [QUESTION, AssistantMessage(parts=parts), UserMessage(text="Sure?")]
        return (await said(model, ask(turns, 2, tools=(), max_tokens=1)))[-1].usage.prompt_tokens

    long = Thinking(text="three times four is twelve, as four and four and four are")
    if kind is not ResponsesModel:  # which takes back only items of its own
        assert await read(long, Text(text="12")) >= await read(Text(text="12")) + 10
        return

    *_, response = [event async for event in model_of(kind, thinking_served).respond(ask([QUESTION], tools=()))]
    (thought,) = [part for part in response.message.parts if part.type == "thinking"]
    bare = response.message.model_copy(update={"provider_state": None})
    state = {"url": thinking_served + "/v1", "model": "smol"}
    assert {name: response.message.provider_state["responses"][name] for name in state} == state
    turns = [QUESTION, response.message, UserMessage(text="Sure?")], [QUESTION, bare, UserMessage(text="Sure?")]
    with_it, without = [
        (await said(model_of(kind, thinking_served), ask(each, 2, tools=(), max_tokens=1)))[-1].usage.prompt_tokens
        for each in turns
    ]
    assert with_it > without + len(thought.text.split()) / 2


async def test_a_wrong_key_and_a_prompt_that_is_too_long_are_errors_of_their_own(kind, served):
    _, refused = await heard(model_of(kind, served, key="wrong"), ask([QUESTION]))
    _, overflow = await heard(model_of(kind, served), ask([UserMessage(text="word " * 3000)]))

    assert type(refused) is KeyRefused
    assert kind.key in refused.fix
    assert type(overflow) is ContextOverflow
