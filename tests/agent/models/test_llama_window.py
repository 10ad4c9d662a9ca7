"""A run that outgrows the real engine's window."""

from dataclasses import replace

import pytest

from journeyman.agent.budget import Limits
from journeyman.agent.models.engine import Engine
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.model import Sampling
from journeyman.agent.order import Order
from journeyman.agent.replay import replay
from journeyman.agent.session import execute
from journeyman.tools.function import tool
from journeyman.traces.events import Compacted, MessageAdded, ModelResponded
from journeyman.traces.export.sequences import sequences
from journeyman.traces.writer import Stored
from tests.agent.crew import Memory, crew

WINDOW = 1024
STEPS = 8


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Pushed(LlamaModel):
    """Reads one page after the other, whatever it would rather do."""

    async def respond(self, request):
        if request.choice == "auto":
            request = replace(request, choice="required", offered=frozenset({f"page_{request.step}"}))

        async for item in super().respond(request):
            yield item


def page(number):
    @tool(name=f"page_{number}", read_only=True)
    def read() -> str:
        """Read it."""
        return f"Page {number}. " + "The river runs by the old mill. " * 12

    return read


PAGES = [page(number) for number in range(1, STEPS + 1)]


async def test_each_time_room_is_made_a_new_sequence_begins_and_no_other_time(starter):
    model = Pushed(starter, Engine(threads=1, context=WINDOW), small=True, untrained=False)
    memory = Memory()
    order = Order(
        "Read the book.", limits=Limits(steps=STEPS), sampling=Sampling(max_tokens=48), plan=False, compact_at=0.4
    )
    try:
        result = await execute(order, replace(crew([], *PAGES, memory=memory), model=model))
    finally:
        await model.close()

    assert result.steps == STEPS
    due, roots, compacted = True, [], 0
    for event in memory.events:
        if isinstance(event, Compacted):
            due, compacted = True, compacted + 1
        elif isinstance(event, ModelResponded):
            assert event.tokens is not None
            assert event.tokens.root == due
            roots, due = [*roots, due], False

    assert compacted >= 2
    assert any(isinstance(event, MessageAdded) for event in memory.events), "the model was asked for a summary"
    trained = sequences([Stored("run", n, 0, event) for n, event in enumerate(memory.events, 1)])
    assert [len(each.turns) for each in trained] == [len(part) for part in _stretches(roots)]
    assert all(len(each.ids) <= WINDOW for each in trained)
    assert (await replay(memory.events)).same


def _stretches(roots):
    starts = [at for at, root in enumerate(roots) if root]
    return [roots[start:end] for start, end in zip(starts, [*starts[1:], len(roots)], strict=True)]
