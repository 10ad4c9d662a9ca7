"""Commands that the user runs themselves, between turns of the model's."""

import json
from dataclasses import dataclass, replace

import anyio
import pytest

from journeyman.agent.order import Order
from journeyman.agent.own import TOOL
from journeyman.agent.replay import replay
from journeyman.agent.session import execute, resume
from journeyman.policies.policy import Policy
from journeyman.tools.tool import Output
from journeyman.traces.events import ApprovalAnswered, Inside, ModelResponded, stored_event
from journeyman.traces.export import Skip
from journeyman.traces.export.messages import lines
from journeyman.traces.fold import State
from journeyman.traces.messages import AssistantMessage, Text, ToolSpec, UserMessage
from journeyman.traces.writer import Stored
from journeyman.verifiers.case import Case
from tests.agent.crew import Memory, add, crew

ALLOWED = Policy.preset("ask").allow(TOOL)
ORDER = Order("!date", command="date", plan=False)


SPEC = ToolSpec(name="code__shell", server="code", tool="shell")


@dataclass
class Shell:
    """Says what it is asked to run."""

    longest: int = 0
    spec: ToolSpec = SPEC

    def parse(self, arguments):
        return json.loads(arguments)

    async def call(self, arguments, report):
        report("at it", None)
        if arguments["command"] == "hang":
            await anyio.sleep_forever()

        return Output(f"ran {arguments['command']}" + "x" * self.longest)


def seat(script=(), tools=None, policy=ALLOWED, **more):
    memory = Memory()
    return memory, crew(list(script), *(tools or (Shell(), add)), memory=memory, policy=policy, **more)


def told(text):
    return f"[The user ran this themselves, with code.shell: {text}]"


async def test_a_command_is_decided_and_recorded_like_a_call_and_no_word_of_it_is_the_models():
    memory, who = seat()
    result = await execute(ORDER, who)
    assert (result.outcome, result.answer, result.steps, result.exit_code) == ("answered", "", 0, 0)
    kinds = [f"own {event.event.type}" if isinstance(event, Inside) else event.type for event in memory.events]
    assert kinds == [
        "run_started",
        "own call_proposed",
        "own call_decided",
        "own call_started",
        "own call_finished",
        "message_added",
        "run_finished",
    ]
    assert all(event.own for event in memory.events if isinstance(event, Inside))
    assert all(stored_event.validate_json(event.model_dump_json()) == event for event in memory.events)
    assert State.of(memory.events).messages == [
        UserMessage(text="!date"),
        UserMessage(text=told("ok]\nran date\n[end of what it wrote")),
    ]
    assert Case.of(memory.events).calls == ()
    with pytest.raises(Skip, match="the model said nothing in it"):
        list(lines([Stored("run", seq, 0, event) for seq, event in enumerate(memory.events, 1)]))

    assert (await replay(memory.events)).same


async def test_the_model_reads_what_came_of_it_and_the_answer_before_stands():
    memory, who = seat(["Five.", "At noon."])
    await execute(Order("2+3?", plan=False), who)
    again = await resume(memory.events, ORDER, who)
    assert again.answer == "Five."
    last = await resume(memory.events, Order("When was that?", plan=False), who)
    assert last.answer == "At noon."
    assert State.of(memory.events).messages == [
        UserMessage(text="2+3?"),
        AssistantMessage(parts=(Text(text="Five."),)),
        UserMessage(text="!date"),
        UserMessage(text=told("ok]\nran date\n[end of what it wrote")),
        UserMessage(text="When was that?"),
        AssistantMessage(parts=(Text(text="At noon."),)),
    ]
    assert [event.message.text for event in memory.events if isinstance(event, ModelResponded)] == ["Five.", "At noon."]
    assert (await replay(memory.events)).same


async def test_the_policy_has_its_say_and_so_has_the_person():
    async def no(request):
        return ApprovalAnswered(call_id=request.call_id, approved=False, reason="not now")

    denied, who = seat(policy=Policy.preset("ask").deny(TOOL))
    result = await execute(ORDER, who)
    assert (result.denied, result.exit_code) == (1, 5)
    assert State.of(denied.events).messages[-1].text.startswith(told("denied")[:-1])
    refused, who = seat(policy=Policy.preset("ask").ask(TOOL), approver=no)
    await execute(ORDER, who)
    assert "denied: not now" in State.of(refused.events).messages[-1].text
    assert [(await replay(memory.events)).same for memory in (denied, refused)] == [True, True]


async def test_the_same_command_may_be_run_as_often_as_one_likes():
    memory, who = seat()
    await execute(ORDER, who)
    for _ in range(6):
        await resume(memory.events, ORDER, who)

    own = [event for event in memory.events if isinstance(event, Inside)]
    assert {event.call_id for event in own} == {f"u{number}" for number in range(7)}
    assert all(event.event.status == "ok" for event in own if event.event.type == "call_finished")


async def test_one_that_is_stopped_says_so_to_the_model():
    memory, who = seat(["Oh."])
    with anyio.CancelScope() as scope:

        def stop(event):
            if event.type == "call_progress":
                scope.cancel()

        await execute(replace(ORDER, command="hang"), replace(who, listeners=[stop]))

    stopped = told("it was stopped before its end, and may have done a part of it")
    assert State.of(memory.events).messages[-1].text == stopped
    assert memory.events[-1].outcome == "interrupted"
    assert (await resume(memory.events, Order("Well?", plan=False), who)).answer == "Oh."
    assert (await replay(memory.events)).same


async def test_what_is_too_long_for_the_model_is_cut_and_whole_in_the_trace():
    memory, who = seat(tools=(Shell(longest=50_000),))
    await execute(ORDER, who)
    [finished] = [e.event for e in memory.events if isinstance(e, Inside) and e.event.type == "call_finished"]
    assert len(finished.result.text) == 50_008
    assert "26,008 more characters were left out" in State.of(memory.events).messages[-1].text


async def test_without_a_shell_it_says_what_there_is():
    memory, who = seat(tools=(add,))
    await execute(ORDER, who)
    assert "there is no tool 'code.shell'; there is add" in State.of(memory.events).messages[-1].text
