"""Groups of answers and adapters, on the real engine and its own counters."""

import re
from typing import Any
from urllib.request import Request as Get
from urllib.request import urlopen

import anyio
import pytest
from anyio import to_thread

from journeyman.agent.models.engine import Engine
from journeyman.agent.models.files import ModelFiles
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.model import Request, Sampling
from journeyman.errors import UsageError
from journeyman.traces.messages import UserMessage
from tests.agent.models.conftest import ADD, INFO
from tests.need import need

LONG = "Answer in one word. " + "The fox jumps over the dog. " * 12
ANIMAL = [UserMessage(text="Name an animal.")]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def taught(starter):
    """The starter with its adapter, for four runs at once."""
    need("local")
    if not starter.adapters:
        pytest.skip("no adapter is shipped here")

    model: Any = LlamaModel(starter, Engine(threads=1, parallel=4, context=512), untrained=False)
    yield model
    anyio.run(model.close)


def ask(run, messages=ANIMAL, step=1, tools=(), choice="auto", **sampling):
    wanted = Sampling.model_validate({"max_tokens": 12, "temperature": 1.0, "seed": 3, **sampling})
    return Request(run, step, LONG, messages, tools, choice=choice, sampling=wanted)


async def said(model, request) -> Any:
    return [event async for event in model.respond(request)][-1]


async def read_tokens(model):
    """Prompt tokens that the engine has processed since it was started."""
    process = model._process
    get = Get(f"{process.found['address']}/metrics", headers={"Authorization": f"Bearer {process._key}"})  # noqa: S310 - ours
    text = (await to_thread.run_sync(lambda: urlopen(get, timeout=10).read())).decode()  # noqa: S310 - our own
    return int(float(re.search(r"^llamacpp:prompt_tokens_total (\S+)", text, re.MULTILINE)[1]))  # ty: ignore[not-subscriptable]


async def test_a_group_reads_its_prompt_once(taught):
    await taught.open()
    before = await read_tokens(taught)

    answers = await taught.respond_group(ask("stem", logprobs=True, temperature=50.0), ["a", "b", "c", "d"])

    prompt = answers[0].usage.prompt_tokens
    assert prompt > 80
    assert await read_tokens(taught) - before <= prompt + len(answers)
    assert len({answer.tokens.spans[1].ids for answer in answers}) > 1, "each draws by itself"
    for answer in answers:
        context, sampled, *_ = answer.tokens.spans
        assert (len(context.ids), answer.tokens.root, answer.tokens.logprob_kind) == (prompt, True, "raw")
        assert len(sampled.logprobs) == len(sampled.ids)


async def test_steps_in_parallel_each_keep_their_prefix(taught):
    answers: dict[int, Any] = {}

    async def steps(number):
        first = await said(taught, ask(f"keep {number}", logprobs=True))
        messages = [*ANIMAL, first.message, UserMessage(text="Another one.")]
        answers[number] = (first, await said(taught, ask(f"keep {number}", messages, 2, logprobs=True)))

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(steps, number)

    for first, second in answers.values():
        assert second.usage.cached_tokens >= first.usage.total_tokens - 1


async def test_a_candidate_of_a_group_goes_on_from_what_was_read_before(taught):
    first = await said(taught, ask("run", logprobs=True))
    messages = [*ANIMAL, first.message, UserMessage(text="Another one.")]
    candidates = await taught.respond_group(ask("run", messages, 2, logprobs=True), ["run/1", "run/2"])
    messages += [candidates[1].message, UserMessage(text="One more.")]

    third = await said(taught, ask("run/2", messages, 3, logprobs=True))

    seen = [token for each in (first, candidates[1], third) for span in each.tokens.spans for token in span.ids]
    assert [each.tokens.root for each in (first, *candidates, third)] == [True, False, False, False]
    assert len(seen) == third.usage.total_tokens


async def test_calls_of_a_group_are_locked_to_the_tools(taught):
    answers = await taught.respond_group(ask("calls", tools=(ADD, INFO), choice="required", max_tokens=80), ["g", "h"])

    assert [len(answer.message.calls) for answer in answers] == [1, 1]
    assert {answer.tokens.logprob_kind for answer in answers} == {"none"}


async def test_a_group_larger_than_the_engine_is_refused(taught):
    with pytest.raises(UsageError, match="takes 1 to 4 at once"):
        await taught.respond_group(ask("many"), [str(n) for n in range(5)])


async def test_an_adapter_that_is_scaled_to_nothing_for_a_request_changes_nothing(starter, taught):
    async def sure(model, **scaled):
        """How likely the likeliest first token is: it differs by little where sums are made in another order."""
        sampling = Sampling(max_tokens=1, logprobs=True, **scaled)
        question = [UserMessage(text="How many lines does notes.txt have?")]
        response = await said(model, Request("sure", 1, "", question, (INFO,), sampling=sampling))
        return response.tokens.spans[1].logprobs[0]

    with_it, off = await sure(taught), await sure(taught, adapters=(0.0,))
    model: Any = LlamaModel(ModelFiles(model=starter.model), Engine(threads=1, context=512), untrained=False)
    bare, info = await sure(model), dict(await model.open())
    await model.close()

    assert off == pytest.approx(bare, abs=0.1)
    assert with_it > off + 0.2
    assert info["adapters"] == []
