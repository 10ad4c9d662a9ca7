from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from journeyman.agent.models.engine import Engine
from journeyman.agent.models.files import ModelFiles
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.model import Request
from journeyman.agent.models.places import Places
from journeyman.traces.events import ModelResponded
from journeyman.traces.messages import UserMessage
from tests.agent.models.tiny import write_model
from tests.need import need


def turn(run: str, said: str = "hi") -> Request:
    return Request(run, 1, "Be kind.", (UserMessage(text=said),), ())


async def drawn(places: Places, runs: Sequence[str], steps: int) -> dict[str, list[int]]:
    """The slots of runs that all take so many turns at once; no slot is ever two turns'."""
    slots: dict[str, list[int]] = {run: [] for run in runs}
    busy: list[int] = []

    async def work(run: str) -> None:
        for _ in range(steps):
            async with places.one(turn(run)) as slot:
                assert slot not in busy
                busy.append(slot)
                for _ in range(60 if run == "r0" else 1):  # one is slow, or taking turns would be enough
                    await anyio.lowlevel.checkpoint()

                busy.remove(slot)
                slots[run].append(slot)

    async with anyio.create_task_group() as group:
        for run in runs:
            group.start_soon(work, run)

    return slots


@pytest.mark.parametrize("count", [1, 2, 8])
async def test_turns_under_way_never_share_a_slot(count: int) -> None:
    slots = await drawn(Places(count), [f"r{n}" for n in range(20)], steps=3)

    assert {len(taken) for taken in slots.values()} == {3}


async def test_a_run_keeps_its_slot_where_there_are_enough() -> None:
    slots = await drawn(Places(4), ["a", "b", "c", "d"], steps=5)

    assert sorted(set(taken).pop() for taken in slots.values() if len(set(taken)) == 1) == [0, 1, 2, 3]


async def test_a_new_run_gets_the_free_slot_that_began_most_like_it() -> None:
    places = Places(3)
    async with places.one(turn("a", "first of all")) as one, places.one(turn("b", "something else")) as other:
        assert one != other

    places.forget("a")
    places.forget("b")
    async with places.one(turn("c", "something new")) as slot:
        assert slot == other


async def test_a_group_waits_until_there_is_room_for_all_of_it() -> None:
    places, order = Places(2), []

    async def group(name: str) -> None:
        async with places.room(2):
            order.append(name)
            await anyio.lowlevel.checkpoint()
            order.append(name)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for name in "abc":
                tasks.start_soon(group, name)

    assert order[::2] == order[1::2]


async def test_who_is_stopped_while_it_waits_leaves_the_room_to_others() -> None:
    places = Places(1)
    async with places.one(turn("a")):
        with anyio.move_on_after(0.05):
            async with places.room(1):
                pytest.fail("there was room")

    with anyio.fail_after(20):
        async with places.one(turn("b")) as slot:
            assert slot == -1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_engine_is_asked_only_where_there_is_room(tmp_path: Path) -> None:
    need("local")
    files = ModelFiles(model=write_model(tmp_path / "m.gguf", ["<s>", "</s>"], end="</s>"))
    model, answered = LlamaModel(files, Engine(threads=1, parallel=2)), []

    async def alone() -> None:
        answered.extend([event async for event in model.respond(turn("a")) if isinstance(event, ModelResponded)])

    async def together() -> None:
        answered.extend(await model.respond_group(turn("b"), ["b", "c"]))

    try:
        await model.open()
        for ask, answers in ((alone, 1), (together, 3)):
            before = len(answered)
            async with model._places.room():
                await alone()  # beside one that is under way
                assert len(answered) == before + 1
                answered.pop()

            async with model._places.room(2):
                with anyio.move_on_after(0.5):
                    await ask()

                assert len(answered) == before

            await ask()
            assert len(answered) == answers
    finally:
        await model.close()
