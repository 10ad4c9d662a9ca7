"""Runs that are longer than their model's window."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import pytest
from inline_snapshot import snapshot

from journeyman.agent.budget import Limits
from journeyman.agent.compact import QUESTION
from journeyman.agent.models.model import Capabilities, Request
from journeyman.agent.models.scripted import ScriptedModel
from journeyman.agent.order import Order
from journeyman.agent.replay import replay
from journeyman.agent.session import execute, fork, resume
from journeyman.agent.window import guess, tokens
from journeyman.errors import ContextOverflow
from journeyman.tools.function import tool
from journeyman.traces.events import CallFinished, Compacted, MessageAdded, ModelDelta, ModelResponded, StoredEvent
from journeyman.traces.export.messages import lines
from journeyman.traces.fold import State
from journeyman.traces.messages import AssistantMessage, Text, ToolResult, Usage, UserMessage
from journeyman.traces.writer import Stored
from tests.agent.crew import Memory, call, crew

WINDOW = 4096
HEAD = 300
"""Tokens of the instructions and tools."""


@tool(read_only=True)
def page(n: int) -> str:
    """A page of a book."""
    return f"page {n}: " + "some words that fill the page " * 30


class Counting(ScriptedModel):
    """Counts what it reads and refuses what does not fit, as engines do; `per` characters are a token."""

    def __init__(self, script: object, *, window: int = WINDOW, per: float = 3, known: int | None = None) -> None:
        super().__init__(script)  # ty: ignore[invalid-argument-type]
        self.capabilities = Capabilities(context=known or window)
        self.window, self.per = window, per
        self.read: list[int] = []

    async def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded, None]:
        count = HEAD + int(sum(guess(message) for message in request.messages) * 3 / self.per)
        if count + 16 > self.window:
            raise ContextOverflow(f"{count} tokens")

        self.read.append(count)
        async for item in super().respond(request):
            if isinstance(item, ModelResponded):
                item = item.model_copy(update={"usage": Usage(prompt_tokens=count, completion_tokens=20)})  # noqa: PLW2901
            yield item


@dataclass
class Reader:
    """Reads a page a step, answers the question for a summary, and stops after `pages`."""

    pages: int
    done: int = 0
    asked: list[int] = field(default_factory=list)

    def __call__(self, request: Request) -> object:
        last = request.messages[-1]
        if isinstance(last, UserMessage) and last.text == QUESTION:
            self.asked.append(request.step)
            return f"I have read {self.done} pages."

        if self.done == self.pages:
            return f"{self.done} pages"

        self.done += 1
        return call("page", n=self.done)


def order(**more: object) -> Order:
    given = {"prompt": "How many pages?", "limits": Limits(steps=None), "plan": False}
    return Order(**(given | more))  # ty: ignore[invalid-argument-type]


def compactions(memory: Memory) -> list[Compacted]:
    return [event for event in memory.events if isinstance(event, Compacted)]


async def test_three_hundred_steps_fit_a_window_of_four_thousand_tokens() -> None:
    reader, memory = Reader(300), Memory()
    model = Counting(reader)

    result = await execute(order(), crew(model, page, memory=memory))

    assert (result.error, result.answer) == (None, "300 pages")
    assert max(model.read) <= WINDOW
    made = compactions(memory)
    assert any(each.results for each in made), "results come first"
    assert any(each.summary for each in made), "then a summary"
    assert len(reader.asked) == sum(bool(each.summary) for each in made) < 60
    state = State.of(memory.events)
    assert state.messages[0] == UserMessage(text="How many pages?")
    assert isinstance(state.messages[-2], ToolResult)
    assert state.messages[-2].text == page(300), "the last step is whole"


async def test_a_compacted_run_is_replayed_event_by_event() -> None:
    memory = Memory()
    await execute(order(), crew(Counting(Reader(40)), page, memory=memory))

    replayed = await replay(memory.events)

    assert replayed.same
    assert replayed.events == len(memory.events)


@pytest.mark.parametrize("cut", ["message_added", "model_responded", "compacted"])
async def test_a_run_that_ended_while_it_was_compacted_goes_on(cut: str) -> None:
    whole = Memory()
    await execute(order(), crew(Counting(Reader(30)), page, memory=whole))
    [*_, at] = [n for n, event in enumerate(whole.events) if isinstance(event, MessageAdded)]
    end = next(n for n in range(at, len(whole.events)) if whole.events[n].type == cut) + 1
    stem: list[StoredEvent] = list(whole.events[:end])
    reader, memory = Reader(30, done=State.of(stem).steps), Memory()

    result = await resume(stem, order(prompt=""), crew(Counting(reader), page, memory=memory))

    assert (result.error, result.answer) == (None, "30 pages")
    rest = [event.type for event in memory.events[1:4]]
    assert (
        rest
        == {
            "message_added": ["model_requested", "model_responded", "compacted"],
            "model_responded": ["compacted", "model_requested", "model_responded"],
            "compacted": ["model_requested", "model_responded", "call_proposed"],
        }[cut]
    )
    assert (await replay([*stem, *memory.events])).same


async def test_a_window_of_unknown_size_that_overflows_makes_room_and_is_asked_again() -> None:
    memory = Memory()
    model = Counting(Reader(60), known=2 * WINDOW)

    result = await execute(order(), crew(model, page, memory=memory))

    assert (result.error, result.answer) == (None, "60 pages")
    requests = [event.step for event in memory.events if event.type == "model_requested"]
    assert len(requests) > len(set(requests)), "it did overflow"
    assert any(each.summary for each in compactions(memory))
    assert (await replay(memory.events)).same


async def test_a_prompt_that_does_not_fit_is_an_error_and_nothing_is_left_out() -> None:
    memory = Memory()

    result = await execute(order(prompt="word " * 4000), crew(Counting(Reader(3)), page, memory=memory))

    assert isinstance(result.error, ContextOverflow)
    assert compactions(memory) == []


async def test_a_result_that_fills_the_window_by_itself_is_cut() -> None:
    @tool(read_only=True)
    def dump() -> str:
        """Everything."""
        return "7" * 4000

    memory = Memory()
    result = await execute(order(), crew(Counting([call("dump"), "much"], per=1), dump, memory=memory))

    assert (result.error, result.answer) == (None, "much")
    [cut] = compactions(memory)
    assert cut.results == WINDOW // 8
    [_, _, read, _] = State.of(memory.events).messages
    assert isinstance(read, ToolResult)
    assert read.text == "7" * 512 + "\n[3,488 more characters were left out to make room]"


async def test_the_plan_and_what_the_user_said_later_stay() -> None:
    def script(request: Request) -> object:
        if request.step == 1:
            return call("update_plan", steps=["read", "count"], done=1)

        return "read on" if request.step == 2 else reader(request)

    reader, memory = Reader(30), Memory()
    await execute(order(plan=True), crew(Counting(script), page, memory=memory))
    again = Memory()
    await resume(memory.events, order(plan=True, prompt="And count aloud."), crew(Counting(script), page, memory=again))

    last = [each for each in compactions(again) if each.summary][-1]
    assert last.summary == snapshot("""\
Earlier steps were left out. What they came to:
I have read 27 pages.

Since the first question the user said:
And count aloud.

The plan:
[x] read
[>] count\
""")


async def test_what_was_left_out_may_be_read_again() -> None:
    reader, memory = Reader(20), Memory()
    again = iter([call("page", n=1)])

    def script(request: Request) -> object:
        item = reader(request)
        return next(again, item) if item == "20 pages" else item

    model = Counting(script)
    model.capabilities = model.capabilities.model_copy(update={"small": True})  # may repeat no call
    await execute(order(), crew(model, page, memory=memory))

    assert [event.status for event in memory.events if isinstance(event, CallFinished)] == ["ok"] * 21


async def test_without_a_step_to_spare_what_was_done_is_listed() -> None:
    reader, memory = Reader(30), Memory()
    await execute(order(), crew(Counting(reader), page))
    [first, *_] = reader.asked

    await execute(order(limits=Limits(steps=first)), crew(Counting(Reader(30)), page, memory=memory))

    assert not any(isinstance(event, MessageAdded) for event in memory.events)
    assert compactions(memory)[-1].summary[:400] == snapshot("""\
Earlier steps were left out. What they came to:
page({"n": 1}) = page 1: some words that fill the page some words that fill the page some words that fill the page so
page({"n": 2}) = page 2: some words that fill the page some words that fill the page some words that fill the page so
page({"n": 3}) = page 3: some words that fill the page some words that fill the page some words that fill the page s\
""")


async def test_a_fork_goes_on_from_the_compacted_conversation() -> None:
    memory = Memory()
    await execute(order(), crew(Counting(Reader(30)), page, memory=memory))
    at = next(n for n, event in enumerate(memory.events) if isinstance(event, Compacted) and event.summary) + 1
    stem = memory.events[:at]
    forked = Memory()
    who = crew(Counting(lambda _: "done"), page, memory=forked)

    result = await fork(stem, order(prompt=""), who, parent="run", parent_seq=at)

    assert result.answer == "done"
    assert who.model.read == [HEAD + sum(map(guess, State.of(stem).messages))]  # ty: ignore[missing-attribute]


async def test_each_conversation_the_model_read_is_a_row_of_training_data() -> None:
    memory = Memory()
    await execute(order(), crew(Counting(Reader(40)), page, memory=memory))
    stored = [Stored("run", n, 0, event) for n, event in enumerate(memory.events, 1)]

    rows = [json.loads(line)["messages"] for line in lines(stored)]

    assert len(rows) == len(compactions(memory)) + 1
    assert {row[1]["content"] for row in rows} == {"How many pages?"}
    assert rows[-1][-1] == {"role": "assistant", "content": "40 pages"}
    called = [c["function"]["arguments"]["n"] for row in rows for m in row for c in m.get("tool_calls", ())]
    assert set(called) == set(range(1, 41)), "no step is lost"


def test_tokens_are_guessed_by_bytes() -> None:
    assert (tokens("abc" * 10), tokens("ü" * 15)) == (18, 18)
    assert guess(AssistantMessage(parts=(Text(text="abc"),), provider_state={"a": "b"})) > 8 + 3


@pytest.mark.parametrize("small", [True, False])
async def test_the_rest_of_a_long_result_is_read_by_the_same_call_again(small: bool) -> None:
    @tool(read_only=True)
    def book(title: str) -> str:
        """A whole book."""
        made.append(title)
        return "a" * 30 + "b" * 30 + "c" * 10

    made: list[str] = []
    memory = Memory()
    model = Counting([call("book", title="x")] * 3 + ["done"])
    model.capabilities = Capabilities(context=30, small=small)
    result = await execute(order(compact_at=1e9), crew(model, book, memory=memory))

    assert (result.answer, made) == ("done", ["x"])
    assert [event.result.text for event in memory.events if isinstance(event, CallFinished)] == [
        "a" * 30 + "\n[40 more characters: make the same call again to read on]",
        "b" * 30 + "\n[10 more characters: make the same call again to read on]",
        "c" * 10,
    ]
    assert (await replay(memory.events)).same


async def test_a_result_is_cut_to_the_window_that_the_caller_allows() -> None:
    @tool(read_only=True)
    def book() -> str:
        """A whole book."""
        return "a" * 5000

    memory = Memory()
    await execute(order(context=1000), crew(Counting([call("book"), "done"], window=8192), book, memory=memory))

    [read] = [event.result.text for event in memory.events if isinstance(event, CallFinished)]
    assert read == "a" * 1000 + "\n[4,000 more characters: make the same call again to read on]"
    assert (await replay(memory.events)).same


async def test_the_rest_of_what_may_have_changed_something_is_not_promised() -> None:
    @tool
    def build() -> str:
        """Builds."""
        return "a" * 40

    memory = Memory()
    model = Counting([call("build"), "done"])
    model.capabilities = Capabilities(context=30)
    await execute(order(compact_at=1e9), crew(model, build, memory=memory))

    [read] = [event.result.text for event in memory.events if isinstance(event, CallFinished)]
    assert read == "a" * 30 + "\n[10 more characters were left out]"
