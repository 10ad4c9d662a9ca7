"""Chat Completions against the real loopback server of llama.cpp."""

import json

import anyio
import jsonschema
import pytest
from dirty_equals import IsPartialDict

from journeyman.agent.models.chat import ChatModel
from journeyman.agent.models.model import Request, Sampling
from journeyman.errors import ContextOverflow, ModelError, ModelNotFound
from journeyman.traces.messages import AssistantMessage, ToolCall, ToolResult, UserMessage
from tests.agent.models.conftest import ADD, INFO
from tests.need import need

need("openai")


@pytest.fixture
def address(served):
    return served + "/v1"


@pytest.fixture
def anyio_backend():
    return "asyncio"  # the SDK leaves generators to the garbage collector, which trio does not like


@pytest.fixture
async def model(address):
    model = ChatModel(address, "smol", key="secret", retries=0)
    yield model
    await model.close()


def ask(messages, step=1, choice="auto", tools=(ADD, INFO), tokens=60, **more):
    return Request(
        "r", step, "You have tools.", messages, tools, choice=choice, sampling=Sampling(max_tokens=tokens), **more
    )


async def said(model, request):
    return [event async for event in model.respond(request)]


async def test_it_connects_and_tells_what_it_found(model, address):
    assert await model.open() == {"model": "smol", "url": address, "context": 2048}
    assert model.capabilities.small
    assert not model.capabilities.remote


@pytest.fixture(scope="module")
def taught(starter):
    if starter.adapter is None:
        pytest.skip("the starter has no adapter here: it cannot call tools by itself")


QUESTION = UserMessage(text="What is 3*4?")


async def test_a_call_comes_streamed_with_its_arguments_as_written(model, taught):
    *deltas, response = await said(model, ask([QUESTION], choice="required", tokens=600))

    (call,) = response.message.calls
    assert call.id == "c1"
    assert call.name in {ADD.name, INFO.name}
    assert isinstance(json.loads(call.arguments), dict)
    assert "".join(delta.text for delta in deltas if delta.kind == "call") == call.name + call.arguments
    assert response.finish == "stop"
    assert response.cost_usd == 0
    assert response.usage.completion_tokens > 5


async def test_a_call_and_its_result_go_back(model, taught):
    called = AssistantMessage(parts=(ToolCall(id="c1", name=ADD.name, arguments='{"expression": "3*4"}'),))
    results = [ToolResult(call_id="c1", name=ADD.name, text="12 " * times) for times in (1, 41)]

    short, long = [
        (await said(model, ask([QUESTION, called, result], 2, tokens=1)))[-1].usage.prompt_tokens for result in results
    ]

    assert long >= short + 40


async def test_a_call_that_was_no_json_does_not_break_the_next_turn(model):
    broken = AssistantMessage(parts=(ToolCall(id="c1", name=ADD.name, arguments="{6*"),))
    result = ToolResult(call_id="c1", name=ADD.name, text="That is no JSON.", is_error=True)

    assert (await said(model, ask([QUESTION, broken, result], 2)))[-1].finish in {"stop", "length"}


async def test_a_typed_answer_fits_its_schema(model):
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}}, "required": ["n"]}

    response = (await said(model, ask([UserMessage(text="A digit?")], choice="none", tools=(), returns=schema)))[-1]

    jsonschema.validate(json.loads(response.message.text), schema)


async def test_a_cut_answer_says_so(model):
    response = (await said(model, ask([UserMessage(text="Tell a long story.")], tools=(), tokens=1)))[-1]

    assert response.finish == "length"


async def test_closing_the_iterator_stops_the_server(model, address):
    responding = model.respond(ask([UserMessage(text="Tell a long story.")], tools=(), tokens=1500))
    async for event in responding:
        if event.type == "model_delta":
            break

    await responding.aclose()

    with anyio.fail_after(50):
        while any(slot["is_processing"] for slot in await _slots(model, address)):
            await anyio.lowlevel.checkpoint()


async def _slots(model, address):
    return await model._client.get(address.removesuffix("/v1") + "/slots", cast_to=object)


async def test_a_conversation_that_does_not_fit_overflows(model):
    with pytest.raises(ContextOverflow, match="does not fit"):
        await said(model, ask([UserMessage(text="word " * 4000)]))


async def test_a_model_that_the_server_lacks_is_named_with_those_it_has(address):
    model = ChatModel(address, "smool", key="secret", retries=0)

    with pytest.raises(ModelNotFound, match="Did you mean 'smol'") as caught:
        await model.open()

    await model.close()
    assert caught.value.fix == "It has: smol."


async def test_the_servers_first_model_is_taken_where_none_is_named(address):
    model = ChatModel(address, key="secret", retries=0)

    assert dict(await model.open()) == IsPartialDict(model="smol")

    await model.close()


async def test_a_wrong_key_is_refused_with_where_to_set_it(address):
    model = ChatModel(address, "smol", key="wrong", retries=0, spec=f"{address}#smol")

    with pytest.raises(ModelError, match="refuses the key") as caught:
        await said(model, ask([UserMessage(text="Hello.")]))

    await model.close()
    assert "JOURNEYMAN_API_KEY" in caught.value.fix
