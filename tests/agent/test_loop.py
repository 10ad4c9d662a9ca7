import threading
from typing import Literal

import anyio
import pytest
from inline_snapshot import snapshot

from journeyman.agent.budget import Limits
from journeyman.agent.guard import Guard
from journeyman.agent.models.model import Request
from journeyman.agent.order import Order
from journeyman.agent.session import resume
from journeyman.errors import BudgetExceeded, ModelError, RunTimeout, SandboxError, ToolError, UsageError
from journeyman.policies.policy import Policy
from journeyman.tools.function import tool
from journeyman.tools.tool import Output, Report, Tool
from journeyman.traces.events import (
    ApprovalAnswered,
    ApprovalRequested,
    CallFinished,
    CallProposed,
    CallStarted,
    Event,
    MessageAdded,
    ModelRequested,
    ModelResponded,
    PlanStep,
    PlanUpdated,
    RunFinished,
    RunResumed,
)
from journeyman.traces.messages import AssistantMessage, Text, ToolResult, ToolSpec
from tests.agent.crew import FinishingModel, Memory, add, call, crew, run


def end_of(memory: Memory) -> str:
    last = memory.events[-1]
    assert isinstance(last, RunFinished)
    return last.outcome


def results(memory: Memory) -> list[tuple[str, str]]:
    return [(e.status, e.result.text) for e in memory.events if isinstance(e, CallFinished)]


async def test_a_call_is_made_and_its_result_is_answered() -> None:
    memory = Memory()

    result = await run([call(a=2, b=3), "5"], memory=memory)

    assert (result.outcome, str(result), result.steps, result.exit_code) == ("answered", "5", 2, 0)
    assert results(memory) == [("ok", "5")]
    assert memory.types() == snapshot(
        [
            "run_started",
            "model_requested",
            "model_responded",
            "call_proposed",
            "call_decided",
            "call_started",
            "call_finished",
            "model_requested",
            "model_responded",
            "run_finished",
        ]
    )


async def test_the_intent_is_committed_before_the_effect() -> None:
    memory = Memory()
    committed_types = []

    @tool
    def look() -> str:
        committed_types.extend(memory.types()[: memory.committed])
        return "seen"

    await run([call("look"), "done"], look, memory=memory)

    assert committed_types[-1] == "call_started"


async def test_calls_of_one_step_run_side_by_side_and_are_reported_in_order() -> None:
    memory = Memory()
    second_is_running = anyio.Event()

    @tool
    async def first() -> str:
        await second_is_running.wait()
        return "one"

    @tool
    async def second() -> str:
        second_is_running.set()
        return "two"

    await run([[call("first"), call("second")], "done"], first, second, memory=memory)

    assert results(memory) == [("ok", "one"), ("ok", "two")]
    assert memory.types()[3:12] == snapshot(
        [
            "call_proposed",
            "call_decided",
            "call_proposed",
            "call_decided",
            "call_started",
            "call_started",
            "call_finished",
            "call_finished",
            "model_requested",
        ]
    )


async def test_a_tool_that_raises_is_a_result_the_model_reads() -> None:
    memory = Memory()

    @tool
    def divide(a: int, b: int) -> float:
        return a / b

    result = await run([call("divide", a=1, b=0), "It cannot be divided."], divide, memory=memory)

    assert result.outcome == "answered"
    assert results(memory) == [("error", "error: ZeroDivisionError: division by zero")]


async def test_an_unknown_tool_and_bad_arguments_are_told_to_the_model() -> None:
    memory = Memory()

    await run([call("ad", a=1, b=2), call(a="x", b=2), "sorry"], memory=memory)

    (status, text), (bad_status, bad_text) = results(memory)
    assert (status, text) == ("error", "error: there is no tool 'ad'; there is add")
    assert bad_status == "error"
    assert "a" in bad_text


async def test_arguments_with_one_name_twice_are_refused_whatever_the_tool_makes_of_them() -> None:
    memory = Memory()
    twins = ('{"a": 1, "b": 2, "a": 3}', '{"a": 1, "b": {"x": 1, "\\u0078": 2}}')

    await run([{"tool": "add", "arguments": each} for each in twins] + ["ok"], memory=memory)

    told = "error: the arguments have {!r} twice; give it one value"
    assert results(memory) == [("error", told.format("a")), ("error", told.format("x"))]


async def test_a_tool_that_never_returns_becomes_a_result() -> None:
    memory = Memory()

    @tool
    async def hang() -> None:
        await anyio.sleep_forever()

    result = await run([call("hang"), "gave up"], hang, memory=memory, call_seconds=0.05)

    assert str(result) == "gave up"
    assert results(memory) == [("timeout", "error: the call was stopped after 0.05 seconds without a result")]


async def test_a_result_that_is_too_long_is_cut_and_says_so() -> None:
    memory = Memory()

    @tool
    def flood() -> str:
        return "x" * 10_000_000

    await run([call("flood"), "done"], flood, memory=memory)

    ((_, text),) = results(memory)
    assert len(text) < 25_000
    assert text.endswith("more characters were left out]")


async def test_a_denied_call_is_a_result_and_the_run_exits_5() -> None:
    memory = Memory()

    result = await run([call(a=1, b=2), "I may not."], memory=memory, policy=Policy.deny("add", why="no sums here"))

    assert (result.outcome, result.denied, result.exit_code) == ("answered", 1, 5)
    assert results(memory) == [("denied", "denied: no sums here")]
    assert CallStarted(call_id="c1") not in memory.events


async def test_nobody_there_to_ask_is_a_denial() -> None:
    result = await run([call(a=1, b=2), "I may not."], policy=Policy.ask("add"))

    assert (result.denied, result.exit_code) == (1, 5)


async def test_a_person_may_edit_what_is_called_or_say_no_with_a_reason() -> None:
    edit = ApprovalAnswered(call_id="", approved=True, arguments={"a": 10, "b": 3})
    answers = iter([edit, ApprovalAnswered(call_id="", approved=False, reason="enough sums")])

    async def person(request: ApprovalRequested) -> ApprovalAnswered:
        return next(answers).model_copy(update={"call_id": request.call_id})

    memory = Memory()
    result = await run([call(a=1, b=3), call(a=1, b=1), "13"], memory=memory, policy=Policy.ask("add"), approver=person)

    assert results(memory) == [("ok", "13"), ("refused", "denied: enough sums")]
    assert result.exit_code == 0


async def test_an_edit_is_no_way_round_a_denial_nor_round_the_tools_own_checks() -> None:
    edits = iter([{"a": 13, "b": 0}, {"a": "many", "b": 0}])

    async def person(request: ApprovalRequested) -> ApprovalAnswered:
        return ApprovalAnswered(call_id=request.call_id, approved=True, arguments=next(edits))

    memory = Memory()
    policy = Policy.ask("add").deny("add", where={"a": {"eq": 13}}, why="unlucky")
    await run([call(a=1, b=0), call(a=2, b=0), "done"], memory=memory, policy=policy, approver=person)

    (denied, reason), (wrong, _) = results(memory)
    assert (denied, reason, wrong) == ("denied", "denied: unlucky", "error")
    assert "call_started" not in memory.types()


async def test_a_call_repeated_with_nothing_changed_gets_its_old_result_and_then_an_answer() -> None:
    memory = Memory()
    times = []

    @tool(read_only=True)
    def look() -> str:
        times.append(1)
        return "the same"

    await run([call("look")] * 4 + ["fine"], look, memory=memory)

    assert len(times) == 3
    assert results(memory)[-1] == ("repeated", "You made this call before. Its result was: the same")
    assert [e.choice for e in memory.events if isinstance(e, ModelRequested)] == ["auto"] * 4 + ["none"]


async def test_a_model_that_will_not_leave_its_circle_ends_the_run() -> None:
    memory = Memory()
    result = await run([call("look")] * 20, looks("the same"), memory=memory)

    assert [event.choice for event in memory.events if isinstance(event, ModelRequested)] == ["auto"] * 4 + ["none"] * 3
    assert result.outcome == "model_error"
    assert "goes on calling tools" in str(result.error)


async def test_a_call_that_is_new_leads_out_of_a_circle() -> None:
    circle = [call("look")] * 6
    result = await run([*circle, call(a=1, b=1), *circle[:2], "fine"], add, looks("the same"))

    assert str(result) == "fine"


def looks(text: str) -> Tool:
    @tool(read_only=True)
    def look() -> str:
        return text

    return look


def test_a_lost_run_that_is_taken_up_again_may_try_again() -> None:
    guard = Guard()
    for _ in range(3):
        guard.apply(ModelRequested(step=1, choice="none"))

    assert guard.lost
    guard.apply(RunResumed())
    assert not guard.lost


async def test_looking_again_after_a_change_is_no_circle() -> None:
    memory = Memory()

    @tool(read_only=True)
    def look() -> str:
        return "a state"

    @tool
    def change() -> str:
        changes.append(1)
        return f"changed {len(changes)} times"

    changes: list[int] = []
    await run([call("look"), call("change")] * 5 + ["fine"], look, change, memory=memory)

    assert {status for status, _ in results(memory)} == {"ok"}


async def test_writing_the_same_again_and_again_is_a_circle() -> None:
    memory, times = Memory(), []

    @tool
    def write() -> str:
        times.append(1)
        return "written"

    await run([call("write")] * 5 + ["fine"], write, memory=memory)

    assert len(times) == 3


async def test_the_guard_is_a_fold_over_the_events() -> None:
    memory = Memory()

    @tool
    def change() -> str:
        return "changed"

    await run([call(a=1, b=1), call("change"), call(a=1, b=1), "fine"], add, change, memory=memory)
    guard = Guard(repeats=1)
    for event in memory.events:
        guard.apply(event)

    assert not guard.stop


def test_what_the_user_asks_for_again_is_no_circle() -> None:
    guard = Guard(repeats=1)
    done = ToolResult(call_id="1", name="look", text="old")
    guard.apply(CallProposed(call_id="1", tool="files.look", arguments={}))
    guard.apply(CallFinished(result=done, status="ok"))
    guard.apply(CallProposed(call_id="2", tool="files.look", arguments={}))
    assert guard.repeated("2") == done

    guard.apply(MessageAdded(text="Look again."))
    guard.apply(CallProposed(call_id="3", tool="files.look", arguments={}))

    assert guard.repeated("3") is None


async def test_results_are_recorded_as_soon_as_those_before_them_are() -> None:
    memory = Memory()

    @tool
    async def quick() -> str:
        return "quick"

    @tool
    async def look() -> list[str]:
        while not results(memory):
            await anyio.lowlevel.checkpoint()

        return [text for _, text in results(memory)]

    await run([[call("quick"), call("look")], "seen"], quick, look, memory=memory)

    assert results(memory) == [("ok", "quick"), ("ok", '["quick"]')]


async def test_an_answer_that_was_cut_off_refused_or_too_long_is_no_answer() -> None:
    def ends(finish: Literal["cut", "refusal", "length"]) -> FinishingModel:
        def model(request: Request) -> ModelResponded:
            message = AssistantMessage(parts=(Text(text="The answer is forty"),))
            return ModelResponded(step=request.step, message=message, finish=finish)

        return FinishingModel(model)

    outcomes = {
        "cut": await run(ends("cut")),
        "refusal": await run(ends("refusal")),
        "length": await run(ends("length")),
    }

    assert {finish: result.outcome for finish, result in outcomes.items()} == dict.fromkeys(outcomes, "model_error")
    assert "middle" in str(outcomes["cut"].error)
    assert "refuses" in str(outcomes["refusal"].error)
    assert "cut off" in str(outcomes["length"].error)


async def test_several_calls_that_fail_end_the_run_with_one_error() -> None:
    class Failing:
        def __init__(self, name: str) -> None:
            self.spec = ToolSpec(name=name, server="python", tool=name)

        def parse(self, arguments: str) -> dict:
            return {}

        async def call(self, arguments: dict, report: object) -> Output:
            raise SandboxError("no sandbox", fix="get one")

    result = await run([[call("one"), call("two")]], Failing("one"), Failing("two"))

    assert (result.outcome, result.exit_code) == ("sandbox_error", 8)


async def test_whatever_somebodys_tool_raises_is_a_result() -> None:
    memory = Memory()

    class Raising:
        spec = add.spec

        def parse(self, arguments: str) -> dict:
            return {}

        async def call(self, arguments: dict, report: object) -> Output:
            raise KeyError("x")

    await run([call(a=1, b=1), "sorry"], Raising(), memory=memory)

    assert results(memory) == [("error", "error: KeyError: 'x'")]


async def test_progress_from_a_tools_own_thread_is_heard_in_the_runs_thread() -> None:
    heard: list[tuple[str, int]] = []

    @tool(thread=True)
    def work(report: Report) -> str:
        report("half", 0.5)
        return "done"

    def listen(event: Event) -> None:
        if event.type == "call_progress":
            heard.append((event.text, threading.get_ident()))

    await run([call("work"), "done"], work, listeners=[listen])

    assert heard == [("half", threading.get_ident())]


async def test_a_timeout_error_of_an_approver_is_not_the_runs_own() -> None:
    memory = Memory()

    async def impatient(request: ApprovalRequested) -> ApprovalAnswered:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await run([call(a=1, b=1)], memory=memory, policy=Policy.ask("add"), approver=impatient)

    assert end_of(memory) == "failed"


async def test_a_limit_of_no_money_does_not_stop_a_model_that_costs_none() -> None:
    result = await run([call(a=1, b=1), "2"], limits=Limits(usd=0))

    assert str(result) == "2"


async def test_denials_count_from_where_the_run_was_taken_up() -> None:
    memory = Memory()
    await run([call(a=1, b=2), "I may not."], memory=memory, policy=Policy.deny("add"))

    result = await resume(memory.events, Order(prompt="Now you may.", plan=False), crew([call(a=1, b=2), "", "3"]))

    assert (str(result), result.exit_code) == ("3", 0)


async def test_three_calls_in_a_row_that_cannot_be_made_end_the_tool_use() -> None:
    memory = Memory()

    await run([call("nope")] * 3 + ["well then"], memory=memory)

    assert [e.choice for e in memory.events if isinstance(e, ModelRequested)] == ["auto", "auto", "auto", "none"]


async def test_the_last_allowed_step_must_answer_and_beyond_it_the_budget_is_spent() -> None:
    memory = Memory()

    result = await run([call(a=1, b=1), call(a=2, b=2), call(a=3, b=3)], memory=memory, steps=2)

    assert (result.outcome, result.exit_code) == ("budget", 6)
    assert isinstance(result.error, BudgetExceeded)
    assert [e.choice for e in memory.events if isinstance(e, ModelRequested)] == ["auto", "none"]


async def test_a_budget_warns_once_at_four_fifths() -> None:
    memory = Memory()

    await run([call(a=n, b=1) for n in range(9)] + ["done"], memory=memory, steps=10)

    assert memory.types().count("budget_warned") == 1


async def test_tokens_are_a_budget_too() -> None:
    result = await run([call(a=n, b=1) for n in range(9)], limits=Limits(tokens=50))

    assert result.outcome == "budget"
    assert "tokens" in str(result.error)


async def test_a_timeout_stops_the_run_wherever_it_is() -> None:
    @tool
    async def hang() -> None:
        await anyio.sleep_forever()

    result = await run([call("hang")], hang, timeout=0.05)

    assert (result.outcome, result.exit_code) == ("timeout", 124)
    assert isinstance(result.error, RunTimeout)


async def test_a_cancelled_run_has_an_end_in_its_trace() -> None:
    memory = Memory()

    @tool
    async def hang() -> None:
        scope.cancel()
        await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        await run([call("hang")], hang, memory=memory)

    assert end_of(memory) == "interrupted"
    assert memory.committed == len(memory.events)


async def test_a_model_that_fails_ends_the_run_with_its_error() -> None:
    result = await run([ModelError("the server is on fire", fix="wait")])

    assert (result.outcome, result.exit_code) == ("model_error", 4)
    assert result.error is not None
    assert result.error.run_id == "run"


async def test_an_answer_that_does_not_fit_is_mended_or_the_run_fails() -> None:
    def check(answer: str) -> str | None:
        return None if answer.isdigit() else "The answer must be a number."

    mended = await run(["five", "5"], check=check)
    failed = await run(["five"] * 3, check=check)

    assert str(mended) == "5"
    assert (failed.outcome, failed.exit_code) == ("model_error", 4)
    assert "must be a number" in str(failed.error)


async def test_an_empty_answer_is_no_answer() -> None:
    assert (await run(["", "  ", "\n"])).outcome == "model_error"


async def test_the_plan_is_kept_and_shown() -> None:
    memory = Memory()
    script = [
        call("update_plan", steps=["add", "tell"], done=0),
        call(a=1, b=2),
        call("update_plan", steps=["add", "tell"], done=1),
        "3",
    ]

    result = await run(script, memory=memory, plan=True)

    assert [e.steps for e in memory.events if isinstance(e, PlanUpdated)] == [
        (PlanStep(text="add", status="active"), PlanStep(text="tell", status="pending")),
        (PlanStep(text="add", status="done"), PlanStep(text="tell", status="active")),
    ]
    assert result.plan[0].status == "done"


async def test_listeners_hear_deltas_that_are_never_stored() -> None:
    heard: list[Event] = []
    memory = Memory()

    await run(["hello"], memory=memory, listeners=[heard.append])

    assert "model_delta" in {event.type for event in heard}
    assert "model_delta" not in memory.types()
    assert [event for event in heard if event.type != "model_delta"] == memory.events


def until(memory: Memory, last: str) -> list:
    """What a process that was killed right after this event has left behind."""
    position = max(n for n, event in enumerate(memory.events) if event.type == last)
    return memory.events[: position + 1]


@pytest.mark.parametrize("last", ["run_started", "model_requested", "model_responded", "call_proposed", "call_decided"])
async def test_a_run_killed_before_its_effect_goes_on_and_does_it_once(last: str) -> None:
    memory, times = Memory(), []

    @tool
    def write() -> str:
        times.append(1)
        return "written"

    script = [call("write"), "done"]
    await run(script, write, memory=memory)
    first_step = memory.events[:6]
    left = first_step[: [str(e.type) for e in first_step].index(last) + 1]
    times.clear()

    again = Memory()
    result = await resume(left, Order(prompt="", plan=False), crew(script, write, memory=again))

    assert (str(result), times) == ("done", [1])


async def test_an_effect_that_may_have_happened_is_never_repeated() -> None:
    memory, times = Memory(), []

    @tool
    def write() -> str:
        times.append(1)
        return "written"

    await run([call("write"), "done"], write, memory=memory)
    left = until(memory, "call_started")
    times.clear()

    again = Memory()
    result = await resume(left, Order(prompt="", plan=False), crew([call("write"), "I looked."], write, memory=again))

    assert times == []
    resumed = again.events[0]
    assert isinstance(resumed, RunResumed)
    assert (resumed.unfinished, resumed.model) == (("c1",), "scripted")
    ((status, text),) = results(again)
    assert status == "unknown"
    assert "may or may not have happened" in text
    assert str(result) == "I looked."


async def test_a_call_that_changes_nothing_is_simply_made_again() -> None:
    memory = Memory()
    await run([call(a=1, b=2), "3"], memory=memory)

    again = Memory()
    await resume(until(memory, "call_started"), Order(prompt="", plan=False), crew([call(a=1, b=2), "3"], memory=again))

    assert results(again) == [("ok", "3")]


async def test_an_answered_run_goes_on_only_with_something_new_to_say() -> None:
    memory = Memory()
    await run(["hello"], memory=memory)

    with pytest.raises(UsageError, match="has answered"):
        await resume(memory.events, Order(prompt=""), crew(["hello", "bye"]))

    result = await resume(memory.events, Order(prompt="and now?"), crew(["hello", "bye"]))
    assert str(result) == "bye"


async def test_the_same_run_gives_the_same_events() -> None:
    first, second = Memory(), Memory()
    for memory in (first, second):
        await run([call(a=2, b=3), "5"], memory=memory)

    def timeless(memory: Memory) -> list:
        return [
            event.model_copy(update={"seconds": 0}) if hasattr(event, "seconds") else event for event in memory.events
        ]

    assert timeless(first) == timeless(second)


async def test_a_fault_of_ours_is_recorded_and_raised() -> None:
    memory = Memory()

    class Broken:
        spec = add.spec

        def parse(self, arguments: str) -> dict:
            raise RuntimeError(arguments)

    with pytest.raises(RuntimeError):
        await run([call(a=1, b=1)], Broken(), memory=memory)

    assert end_of(memory) == "failed"


async def test_what_a_tool_refuses_in_its_own_words_reaches_the_model() -> None:
    memory = Memory()

    @tool
    def refuse() -> str:
        raise ToolError("only on Sundays")

    await run([call("refuse"), "ok"], refuse, memory=memory)

    assert results(memory) == [("error", "error: only on Sundays")]


@pytest.mark.parametrize(
    "markup", ["<tool_call: files__info<tool_call: >\n</tool_call>", '{"expression": "1"}}\n</tool_call>']
)
async def test_the_markup_of_a_call_is_no_answer(markup) -> None:
    told = await run([markup, "5"])
    cut = await run([markup, "5"], steps=1)

    assert (told.outcome, told.answer, told.steps) == ("answered", "5", 2)
    assert (cut.outcome, cut.answer, cut.error and cut.error.kind) == ("budget", None, "budget")
