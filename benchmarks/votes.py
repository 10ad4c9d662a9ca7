"""What a vote of eight takes beside eight runs one after the other: `uv run python -m benchmarks.votes`.

CPU time of the engine (one thread, SmolLM2-135M as Q8_0) and of us: for answers of one sentence, of which one is far
longer than the others and writes most of its words alone, and for answers that are all cut off at the same length. The
eight runs find the prompt read already, as a run does that begins like the one before it.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

import anyio

from benchmarks.calls import smol
from journeyman import Agent
from journeyman.agent.budget import Limits
from journeyman.agent.models.engine import Engine
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.model import Sampling
from journeyman.agent.strategies import vote
from journeyman.config import load_settings
from journeyman.errors import JourneymanError
from journeyman.traces.events import RunFinished
from journeyman.traces.store import Store
from journeyman.training.attempt import kept_open

TEXT = f"Read this. {'The fox jumps over the dog. ' * 20}"
ASKED = {"Name an animal in one short sentence.": 300, "Write a long story about a dragon and a knight.": 128}
"""Tokens at which the answer is cut off."""


async def cost(store: Store) -> None:
    model = LlamaModel(smol(), Engine(threads=1, parallel=8, context=1024, stream=False))
    vote.decided = lambda _got, _n: False  # every vote is drawn
    await model.open()
    async with kept_open(model) as kept:
        for asked, most in ASKED.items():
            print(asked)
            for how, times in ((None, 1), (None, 8), ("vote(8)", 1)):  # the first one only warms up
                spent, own, tokens = _cpu(model), time.process_time(), 0
                for n in range(times):
                    drawn = Sampling(temperature=1.0, seed=1 + n, max_tokens=most)
                    once = Limits(steps=8 if how else 1)  # what was cut off is not asked for again
                    async with Agent(kept, tools=[], store=store, sampling=drawn, strategy=how, limits=once) as agent:
                        with suppress(JourneymanError):  # what was cut off is no answer
                            await agent.run(f"{TEXT} {asked}")

                    end = [*store.events(store.resolve("last"))][-1].event
                    tokens += end.usage.completion_tokens if isinstance(end, RunFinished) else 0

                engine, ours = _cpu(model) - spent, time.process_time() - own
                share = ours / (engine + ours)
                print(f"  {how or times}: engine {engine:.1f} CPU-s, ours {ours:.2f} ({share:.1%}), {tokens} tokens")


def _cpu(model: LlamaModel) -> float:
    fields = Path(f"/proc/{model.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    with Store.open(load_settings().store) as store:
        anyio.run(cost, store)


if __name__ == "__main__":
    main()
