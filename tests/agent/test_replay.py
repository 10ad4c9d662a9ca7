"""Runs of every kind are recorded, then done again with nothing live."""

import json
from collections.abc import Sequence

import anyio
import pytest

from journeyman.agent.models.model import Sampling
from journeyman.agent.order import Order
from journeyman.agent.replay import read, replay
from journeyman.agent.session import fork, resume
from journeyman.agent.today import with_model, with_tools
from journeyman.errors import ServerError, UsageError
from journeyman.policies.policy import Policy
from journeyman.tools.function import tool
from journeyman.traces.events import (
    ApprovalAnswered,
    CallFinished,
    ModelResponded,
    RunFinished,
    StoredEvent,
)
from tests.agent.crew import Box, Memory, add, call, crew, run

LONG = "x" * 30_000


@tool(read_only=True)
def read_all() -> str:
    return LONG


@tool
def write(text: str) -> str:
    return f"wrote {text}"


@tool(read_only=True)
def gone() -> str:
    raise ServerError("the server is gone", fix="start it", maybe_done=True)


@tool(read_only=True)
async def slow() -> str:
    await anyio.sleep(60)
    return "never"


async def recorded(script: list, *tools, **more) -> list[StoredEvent]:
    memory = Memory()
    await run(script, *(tools or (add,)), memory=memory, **more)
    return memory.events


async def yes(request):
    return ApprovalAnswered(call_id=request.call_id, approved=True)


async def edits(request):
    return ApprovalAnswered(call_id=request.call_id, approved=True, arguments={"text": "other"})


async def spoils(request):
    return ApprovalAnswered(call_id=request.call_id, approved=True, arguments={"nonsense": 1})


async def no(request):
    return ApprovalAnswered(call_id=request.call_id, approved=False, reason="not now")


@pytest.mark.parametrize(
    ("script", "tools", "more"),
    [
        (["5"], (), {}),
        ([call(a=1, b=2), "3"], (), {}),
        ([[call(a=1, b=2), call(a=3, b=4)], "3 and 7"], (), {}),
        ([call(a="x", b=2), call("nothing"), call("add", a=1), "sorry"], (), {}),
        ([call(a=1, b=2)] * 6 + ["3"], (), {}),
        ([call("read_all"), "long"], (read_all,), {}),
        ([call("write", text="a"), "ok"], (write,), {"policy": Policy.preset("ask").deny("write")}),
        ([call("write", text="a"), "ok"], (write,), {"policy": Policy.preset("ask").ask("write")}),
        ([call("write", text="a"), "ok"], (write,), {"policy": Policy.preset("ask").ask("write"), "approver": yes}),
        ([call("write", text="a"), "ok"], (write,), {"policy": Policy.preset("ask").ask("write"), "approver": no}),
        ([call("write", text="a"), "ok"], (write,), {"policy": Policy.preset("ask").ask("write"), "approver": edits}),
        ([call("write", text="a"), "ok"], (write,), {"policy": Policy.preset("ask").ask("write"), "approver": spoils}),
        ([call("gone"), "it is gone"], (gone,), {}),
        ([call("slow"), "too slow"], (slow,), {"call_seconds": 0.01}),
        ([call("slow"), "never"], (slow,), {"timeout": 0.02}),
        ([call(a=n, b=1) for n in range(9)], (), {"steps": 3}),
        ([call(a=n, b=1) for n in range(2)], (), {}),
        (["", "", "", ""], (), {}),
        (["x", "5"], (), {"returns": {"type": "integer"}}),
        (["x", "y", "z"], (), {"returns": {"type": "integer"}}),
        (["x", "5"], (), {"check": lambda answer: None if answer == "5" else "It is not 5."}),
        ([call("update_plan", steps=["a", "b"], done=1), call(a=1, b=2), "3"], (), {"plan": True}),
    ],
)
async def test_a_run_done_again_is_the_same_run(script, tools, more) -> None:
    events = await recorded(script, *tools, **more)

    again = await replay(events)

    assert (again.expected, again.got, again.events) == (None, None, len(events))


async def test_a_run_that_was_killed_is_the_same_wherever_that_was() -> None:
    events = await recorded([[call(a=1, b=2), call(a=3, b=4)], call("read_all"), "done"], add, read_all)

    for end in range(1, len(events)):
        again = await replay(events[:end])
        assert again.same, (end, again)


async def test_a_run_that_was_resumed_is_the_same_at_every_cut() -> None:
    script = [call("write", text="a"), call(a=1, b=2), "done"]
    policy = Policy.preset("ask").allow("write")
    events = await recorded(script, add, write, policy=policy)

    for end in range(1, len(events)):
        memory = Memory()
        order = Order(prompt="go on" if events[end - 1].type == "run_finished" else "", plan=False)
        await resume(events[:end], order, crew([*script, "again"], add, write, memory=memory, policy=policy))
        again = await replay([*events[:end], *memory.events])
        assert again.same, (end, again)


async def test_a_run_that_another_model_went_on_with_other_tools_is_the_same() -> None:
    events = await recorded([call(a=1, b=2), "done"])
    memory = Memory()
    who = crew([call(), call("read_all"), "bye"], read_all, memory=memory)
    await resume(events, Order(prompt="and now?", plan=False), who)

    assert (await replay([*events, *memory.events])).same


async def test_a_run_whose_calls_were_asked_about_again_is_the_same() -> None:
    policy = Policy.preset("ask").allow("write")
    events = await recorded([call("write", text="a"), "done"], write, policy=policy)
    started = next(at for at, event in enumerate(events) if event.type == "call_started")
    for approver in (yes, no, edits):
        memory = Memory()
        who = crew([call("write", text="a"), "done"], write, memory=memory, policy=policy, approver=approver)
        await resume(events[: started + 1], Order(prompt="", plan=False), who)
        assert (await replay([*events[: started + 1], *memory.events])).same


async def test_a_fork_is_the_same() -> None:
    events = await recorded([call(a=1, b=2), call(a=3, b=4), "done"])
    at = next(n for n, event in enumerate(events) if event.type == "model_requested" and event.step == 2)
    memory = Memory()
    order = Order(prompt="otherwise", plan=False)
    await fork(events[:at], order, crew([call(), call(a=5, b=6), "11"], memory=memory), parent="run", parent_seq=at)

    again = await replay([*events[:at], *memory.events])

    assert again.same
    assert memory.types()[:3] == ["run_started", "message_added", "model_requested"]
    assert [event.step for event in memory.events if isinstance(event, ModelResponded)] == [2, 3]


def changed(events: Sequence[StoredEvent], kind: type, **fields) -> list[StoredEvent]:
    return [event.model_copy(update=fields) if isinstance(event, kind) else event for event in events]


async def test_a_record_that_was_changed_is_found_out() -> None:
    events = await recorded([call(a=1, b=2), "3"])

    again = await replay(changed(events, RunFinished, answer="4"))

    assert isinstance(again.expected, RunFinished)
    assert isinstance(again.got, RunFinished)
    assert (again.expected.answer, again.got.answer) == ("4", "3")
    assert again.events == len(events) - 1


async def test_times_make_no_difference_to_the_digest() -> None:
    events = await recorded([call(a=1, b=2), "3"])

    slower = await replay(changed(changed(events, CallFinished, seconds=9.0), RunFinished, seconds=99.0))

    assert slower.digest == (await replay(events)).digest
    assert slower.digest != (await replay(await recorded([call(a=1, b=3), "3"]))).digest


async def test_what_is_no_run_is_refused(tmp_path) -> None:
    with pytest.raises(UsageError, match="not the events of a run"):
        await replay([RunFinished(outcome="failed")])

    path = tmp_path / "notes.txt"
    path.write_text("[1]")
    with pytest.raises(UsageError, match="no events"):
        read(path)


async def test_events_of_a_file_are_read_back(tmp_path) -> None:
    events = await recorded([call(a=1, b=2), "3"])
    path = tmp_path / "run.jsonl"
    path.write_text("".join(json.dumps({"run_id": "r", "seq": 1, "at": 1} | e.model_dump()) + "\n" for e in events))

    assert read(path) == events


async def test_todays_tools_show_where_they_differ() -> None:
    events = await recorded([call(a=1, b=2), "3"])

    @tool(name="add", read_only=True)
    def wrong(a: int, b: int) -> int:
        return a * b

    same = await with_tools(events, Box({"add": add}), Policy.preset("ask"), yes)
    other = await with_tools(events, Box({"add": wrong}), Policy.preset("ask"), yes)

    assert same.difference.same
    assert (other.difference.step, other.difference.setup) == (1, ("tools",))
    assert other.difference.left is not None
    assert isinstance(events[other.difference.left], CallFinished)


async def test_todays_model_reads_recorded_results_and_only_those() -> None:
    events = await recorded([call(a=1, b=2), "3"])
    model = crew([call(a=1, b=2), call(a=9, b=9), "3"]).model

    today = await with_model(events, model)

    results = [event.result.text for event in today.events if isinstance(event, CallFinished)]
    assert results == ["3", "error: this call was not made in the recorded run, so its result is not known"]
    assert (today.difference.same, today.difference.step) == (False, 2)


async def test_how_the_model_was_asked_to_sample_is_replayed_too() -> None:
    memory = Memory()
    await run([call(a=2, b=3), "5"], memory=memory, sampling=Sampling(temperature=0.5, seed=7))

    assert (await replay(memory.events)).same
