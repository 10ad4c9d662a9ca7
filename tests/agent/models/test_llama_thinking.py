"""How much a local model thinks: not at all, or so many tokens, whether it wants to or not."""

import pytest

from journeyman.agent.models.engine import Engine
from journeyman.agent.models.families import CHATML, MARKS
from journeyman.agent.models.files import ModelFiles
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.model import Request, Sampling
from journeyman.traces.messages import UserMessage
from tests.agent.models.conftest import ADD
from tests.agent.models.tiny import write_model
from tests.need import need

QUESTION = [UserMessage(text="What is 6 * 7?")]
SHORT = 2
"""Tokens of thought: fewer than its closing mark has, so that no model can end it before its limit does."""


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


def ask(run, messages=QUESTION, step=1, **sampling):
    sampled = Sampling.model_validate({"max_tokens": 40, **sampling})
    return Request(run, step, "You have tools.", messages, (ADD,), choice="required", sampling=sampled)


async def said(model, run, messages=QUESTION, step=1, **sampling):
    return [event async for event in model.respond(ask(run, messages, step, **sampling))][-1]


def ids(response, kind):
    return [token for span in response.tokens.spans if span.kind == kind for token in span.ids]


async def test_a_thought_ends_at_its_limit_and_a_call_follows(thinker):
    response = await said(thinker, "limit", think=SHORT)

    assert response.message.parts[-1].type == "tool_call"
    assert [span.kind for span in response.tokens.spans] == ["context", "sampled", "forced", "sampled"]
    assert response.tokens.level == "tokens"
    assert len(response.tokens.spans[1].ids) <= 1 + SHORT  # the opening mark stands in the prompt
    assert response.usage.completion_tokens == len(ids(response, "sampled"))
    assert response.usage.cached_tokens < response.usage.prompt_tokens, "what it read itself was not there before"


async def test_a_thought_without_tools_is_begun_and_ended_for_the_model_and_an_answer_follows(thinker):
    sampling = Sampling(max_tokens=80, think=SHORT)
    request = Request("words", 1, "Be brief.", QUESTION, (), sampling=sampling)
    response = [event async for event in thinker.respond(request)][-1]

    assert response.usage.reasoning_tokens <= 1 + SHORT
    assert response.message.text.strip() or response.finish == "length"


async def test_the_conversation_goes_on_after_what_was_forced(thinker):
    first = await said(thinker, "on", think=SHORT)
    more = [*QUESTION, first.message, UserMessage(text="And 6 * 8?")]

    second = await said(thinker, "on", more, 2, think=SHORT)

    assert not second.tokens.root
    assert second.usage.cached_tokens >= first.usage.prompt_tokens + first.usage.completion_tokens


async def test_without_thinking_its_place_is_closed_before_the_answer(thinker):
    response = await said(thinker, "off", think="off")

    (call,) = response.message.parts
    assert call.type == "tool_call"
    assert response.usage.reasoning_tokens == 0
    assert response.usage.prompt_tokens > (await said(thinker, "auto")).usage.prompt_tokens


async def test_a_thought_that_ends_too_early_goes_on(tmp_path):
    need("local")
    special = [*MARKS[CHATML], "<tool_call>", "</tool_call>", "<think>", "</think>"]
    path = write_model(tmp_path / "m.gguf", special, end=CHATML.end)
    model = LlamaModel(ModelFiles(model=path), Engine(threads=1, context=2048), small=True, untrained=False)
    try:
        for seed in range(9):  # a model of random weights ends its thought at random
            response = await said(model, f"min {seed}", think=500, think_min=490, temperature=1.0, seed=seed)
            if "Wait," in response.message.thinking:
                break
    finally:
        await model.close()

    before, _, after = response.message.thinking.partition("Wait,")
    assert before
    assert after
    assert response.usage.reasoning_tokens > 100


async def test_turning_to_another_thought_is_made_less_likely_for_a_while(thinker):
    turn = thinker._turn(ask("words", switch_penalty=1.0), 0)
    await turn.prepare()

    less, more = [
        (await said(thinker, f"turns {penalty}", switch_penalty=penalty, switch_window=8, think=8)).tokens.spans[1].ids
        for penalty in (100.0, -100.0)
    ]

    assert len(turn.switches) >= 7
    assert turn.switches.isdisjoint(less)
    assert not turn.switches.isdisjoint(more), "less likely by less than nothing is more likely"


async def test_what_is_not_streamed_thinks_no_longer_than_it_may_and_says_how_long(thinker):
    request = Request(
        "whole",
        1,
        "Think.",
        QUESTION,
        (),
        sampling=Sampling(max_tokens=20, think=10, logprobs=True, temperature=1.0, seed=2),
    )
    response = [event async for event in thinker.respond(request)][-1]

    assert response.tokens.level == "tokens"
    assert response.usage.completion_tokens == len(ids(response, "sampled")) <= 30
    for span in response.tokens.spans:
        assert span.kind != "sampled" or len(span.logprobs) == len(span.ids)
