"""The local engine: load, reading, writing, reuse of a prefix, and eight conversations at once and one after another.

What we add to the engine, rendering, HTTP on loopback and parsing, is the line of our own CPU time.
"""

import time
from functools import partial

import anyio

from journeyman.agent.models.engine import Engine, free_threads
from journeyman.agent.models.files import ModelFiles
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.model import Request, Sampling
from journeyman.agent.models.starter import find_starter
from journeyman.traces.events import ModelResponded
from journeyman.traces.messages import Message, UserMessage

GROUP = 8
TOKENS = 64
TEXT = UserMessage(text="The quick brown fox jumps over the lazy dog. " * 40)
BASE = ModelFiles(model=find_starter().model)
"""Without the adapter: it has learned to be brief."""
THREADS = free_threads()
"""The same for every engine, whatever load they make themselves."""
STORY = UserMessage(text="Write a long story about a dragon and a knight.")


async def turn(
    model: LlamaModel, run: str, messages: list[Message], step: int = 1, *, logprobs: bool = True
) -> ModelResponded:
    sampling = Sampling(max_tokens=TOKENS, temperature=1.0, seed=7, logprobs=logprobs)
    request = Request(run, step, "Answer at length.", messages, (), sampling=sampling)
    response = [event async for event in model.respond(request)][-1]
    assert isinstance(response, ModelResponded)
    return response


async def alone() -> None:
    model = LlamaModel(BASE, Engine(threads=THREADS, context=2048))
    began = time.perf_counter()
    await model.open()
    print(f"  load                {time.perf_counter() - began:.2f} s")
    own = time.process_time()
    first = await turn(model, "alone", [TEXT])
    second = await turn(model, "alone", [TEXT, first.message, STORY], 2)
    own = (time.process_time() - own) / (2 * TOKENS) * 1e6
    for name, response in (("new prompt", first), ("next turn", second)):
        usage = response.usage
        new = usage.prompt_tokens - usage.cached_tokens
        rate = (new + usage.completion_tokens) / response.seconds
        print(f"  {name:<19} {usage.cached_tokens} of {usage.prompt_tokens} tokens reused, {rate:.0f} tokens/s")

    print(f"  our own CPU         {own:.0f} us a token")
    await model.close()


async def grouped(parallel: int, *, logprobs: bool) -> float:
    """Tokens a second over a group of runs of one prompt."""
    model = LlamaModel(BASE, Engine(threads=THREADS, context=512, parallel=parallel))
    await model.open()
    written: list[int] = []

    async def one(number: int) -> None:
        written.append((await turn(model, f"run {number}", [STORY], logprobs=logprobs)).usage.completion_tokens)

    began = time.perf_counter()
    async with anyio.create_task_group() as group:
        for number in range(GROUP):
            group.start_soon(one, number)

    rate = sum(written) / (time.perf_counter() - began)
    await model.close()
    return rate


def main() -> None:
    print(f"engine, {BASE.model.name}, {THREADS} thread(s)")
    anyio.run(alone)
    for logprobs, what in ((False, "plain"), (True, "with log-probabilities")):
        in_turn = anyio.run(partial(grouped, 1, logprobs=logprobs))
        at_once = anyio.run(partial(grouped, GROUP, logprobs=logprobs))
        times = at_once / in_turn
        print(f"  {GROUP} runs {what}: {in_turn:.0f} tokens/s in turn, {at_once:.0f} at once, {times:.1f} times")


if __name__ == "__main__":
    main()
