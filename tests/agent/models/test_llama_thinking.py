"""How much a local model thinks: not at all, or so many tokens, whether it wants to or not."""

import pytest

from journeyman.agent.models.model import Request, Sampling
from journeyman.traces.messages import UserMessage
from tests.agent.models.conftest import ADD

QUESTION = [UserMessage(text="What is 6 * 7?")]


@pytest.fixture
def anyio_backend():
    return "asyncio"  # one engine is shared by all tests, and a model stays with the event loop library it began with


@pytest.fixture
async def thinker(llama):
    """The starter as if it were a model that thinks: its thoughts are forced by the grammar."""
    await llama.open()
    before = llama.capabilities
    llama.capabilities = before.model_copy(update={"thinking": True})
    yield llama
    llama.capabilities = before


async def said(model, run, messages=QUESTION, step=1, **sampling):
    sampled = Sampling.model_validate({"max_tokens": 40, **sampling})
    request = Request(run, step, "You have tools.", messages, (ADD,), choice="required", sampling=sampled)
    return [event async for event in model.respond(request)][-1]


def ids(response, kind):
    return [token for span in response.tokens.spans if span.kind == kind for token in span.ids]


async def test_a_thought_ends_at_its_limit_and_a_call_follows(thinker):
    response = await said(thinker, "limit", think=12)

    assert [part.type for part in response.message.parts][:2] == ["thinking", "tool_call"]
    assert [span.kind for span in response.tokens.spans] == ["context", "sampled", "forced", "sampled"]
    assert response.tokens.level == "tokens"
    assert len(response.tokens.spans[1].ids) <= 16  # the opening mark, then twelve
    assert response.usage.completion_tokens == len(ids(response, "sampled"))


async def test_the_conversation_goes_on_after_what_was_forced(thinker):
    first = await said(thinker, "on", think=8)
    more = [*QUESTION, first.message, UserMessage(text="And 6 * 8?")]

    second = await said(thinker, "on", more, 2, think=8)

    assert not second.tokens.root
    assert second.usage.cached_tokens >= first.usage.prompt_tokens + first.usage.completion_tokens


async def test_without_thinking_its_place_is_closed_before_the_answer(thinker):
    response = await said(thinker, "off", think="off")

    (call,) = response.message.parts
    assert call.type == "tool_call"
    assert response.usage.reasoning_tokens == 0
    assert response.usage.prompt_tokens > (await said(thinker, "auto")).usage.prompt_tokens
