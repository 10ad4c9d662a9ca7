"""Searches on the real engine."""

from contextlib import suppress

import anyio
import pytest

from journeyman import Agent
from journeyman.agent.models.engine import Engine
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.model import Sampling
from journeyman.agent.models.starter import find_starter
from journeyman.errors import JourneymanError
from journeyman.traces.events import CandidateTried, ModelResponded
from journeyman.traces.store import Store
from tests.need import need

LONG = "Answer in one word. " + "The fox jumps over the dog. " * 12 + "Name an animal."


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_voters_without_tools_read_their_prompt_once(tmp_path, monkeypatch):
    need("local")
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path))
    model = LlamaModel(find_starter(), Engine(threads=1, parallel=3, context=512), untrained=False)
    sampling = Sampling(seed=3, max_tokens=12)
    with Store.open(tmp_path / "runs.db") as store:
        async with Agent(model, tools=[], store=store, sampling=sampling, strategy="vote(3)") as agent:
            with anyio.move_on_after(100), suppress(JourneymanError):  # how it is asked counts, not what it says
                await agent.run(LONG)

        search = [each.event for each in store.events(store.resolve("last"))]
        tried = [event for event in search if isinstance(event, CandidateTried)]
        firsts = [_first(store, event.run_id) for event in tried]

    assert len(firsts) >= 2
    prompt = firsts[0].usage.prompt_tokens
    assert prompt > 80
    assert sorted(prompt - each.usage.cached_tokens for each in firsts)[:-1] == [0] * (len(firsts) - 1)


def _first(store, run_id):
    return next(each.event for each in store.events(run_id) if isinstance(each.event, ModelResponded))
