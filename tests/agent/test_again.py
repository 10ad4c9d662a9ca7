"""A call whose intent is stored and whose result is not: it may have happened, and nobody does it again unasked."""

import pytest

from journeyman.agent.order import Order
from journeyman.agent.session import resume
from journeyman.policies.policy import Policy
from journeyman.tools.door import book
from journeyman.tools.function import tool
from journeyman.traces.events import ApprovalAnswered, ApprovalRequested, CallFinished, StoredEvent
from tests.agent.crew import Memory, call, crew, run

times: list[str] = []
SCRIPT = [call("send", to="anna"), "done"]


@tool
def send(to: str) -> str:
    times.append(to)
    return f"sent to {to}"


@pytest.fixture
async def left() -> list[StoredEvent]:
    """A run that was killed while it was sending."""
    memory = Memory()
    await run(SCRIPT, send, memory=memory, policy=Policy.preset("ask").allow("send"))
    times.clear()
    return memory.events[: memory.types().index("call_started") + 1]


async def go_on(left: list[StoredEvent], policy: Policy | None = None, **answer) -> tuple[Memory, CallFinished]:
    memory = Memory()

    async def approver(request: ApprovalRequested) -> ApprovalAnswered:
        return ApprovalAnswered(call_id=request.call_id, **answer)

    policy = policy or Policy.preset("ask").allow("send")
    await resume(
        left, Order(prompt="", plan=False), crew(SCRIPT, send, memory=memory, policy=policy, approver=approver)
    )
    return memory, next(event for event in memory.events if isinstance(event, CallFinished))


async def test_who_is_there_is_asked_although_the_policy_allows_the_call(left) -> None:
    memory, done = await go_on(left, approved=True)

    asked = next(event for event in memory.events if isinstance(event, ApprovalRequested))
    assert (asked.tool, asked.arguments) == ("python.send", {"to": "anna"})
    assert "may have happened already" in asked.reason
    assert (times, done.status, done.result.text) == (["anna"], "ok", "sent to anna")


async def test_a_call_that_its_server_made_a_task_of_is_asked_for_and_not_made_again(left) -> None:
    handles: list[str] = []

    @tool
    async def send(to: str) -> str:
        kept = book()
        assert kept is not None
        handles.append(kept.task)
        if not kept.task:
            times.append(to)
            await kept.keep("h1")

        return f"sent to {to}"

    memory = Memory()
    policy = Policy.preset("ask").allow("send")
    await run(SCRIPT, send, memory=memory, policy=policy)
    begun = [event for event in memory.events if event.type == "call_started"]
    assert [event.task for event in begun] == ["", "h1"]

    killed, again = memory.events[: memory.events.index(begun[1]) + 1], Memory()
    await resume(killed, Order(prompt="", plan=False), crew(SCRIPT, send, memory=again, policy=policy))
    done = next(event for event in again.events if isinstance(event, CallFinished))
    assert (times, handles, done.result.text) == (["anna"], ["", "h1"], "sent to anna")


async def test_a_no_leaves_it_unknown(left) -> None:
    _, done = await go_on(left, approved=False)

    assert (times, done.status) == ([], "unknown")
    assert "may or may not have happened" in done.result.text


async def test_what_is_changed_in_it_is_done_as_changed(left) -> None:
    _, done = await go_on(left, approved=True, arguments={"to": "bert"})

    assert (times, done.result.text) == (["bert"], "sent to bert")


async def test_what_the_policy_denies_by_now_is_not_even_asked(left) -> None:
    memory, done = await go_on(left, Policy.preset("ask").deny("send"), approved=True)

    assert (times, done.status) == ([], "unknown")
    assert "approval_requested" not in memory.types()
