"""What a run does with secrets: shown as placeholders, decided on and done with what they stand for."""

from typing import Any, Self

import pytest

from journeyman.agent.models.model import Request
from journeyman.agent.order import Order
from journeyman.agent.session import execute, fork, resume
from journeyman.policies.decision import Decision
from journeyman.policies.policy import Policy
from journeyman.tools.function import tool
from journeyman.traces.events import (
    ApprovalAnswered,
    ApprovalRequested,
    CallFinished,
    CallProposed,
    Event,
    ModelResponded,
)
from journeyman.traces.fold import State
from journeyman.traces.messages import AssistantMessage, Text, Tokens, TokenSpan, ToolSpec
from journeyman.veil import PLACEHOLDER, Veil
from tests.agent.crew import FinishingModel, Memory, call, crew

SECRET = "ghp_q7Jz0pWm4Xv9Tn2Lr8Bs6Yd3"
sent: list[str] = []


@tool
def fetch() -> str:
    return f"the key is {SECRET}"


@tool
def send(what: str) -> str:
    sent.append(what)
    return "sent"


@pytest.fixture(autouse=True)
def _nothing_sent() -> None:
    sent.clear()


def pass_on(request: Request) -> dict[str, Any]:
    *_, newest = PLACEHOLDER.finditer(repr(request.messages))
    return call("send", what=f"<{newest[0]}>")


def found(memory: Memory, kind: type) -> list[Any]:
    return [event for event in memory.events if isinstance(event, kind)]


async def go(*script: Any, prompt: str = "go", **more: Any) -> Memory:
    memory = Memory()
    more.setdefault("policy", Policy.preset("ask").allow("*"))
    await execute(Order(prompt, plan=False), crew(script, fetch, send, memory=memory, **more))
    return memory


async def test_a_person_who_is_asked_sees_the_placeholder_and_the_call_gets_the_secret() -> None:
    asked: list[ApprovalRequested] = []

    async def approver(request: ApprovalRequested) -> ApprovalAnswered:
        asked.append(request)
        return ApprovalAnswered(call_id=request.call_id, approved=True)

    memory = await go(
        call("fetch"), pass_on, "done", policy=Policy.preset("ask").allow("fetch").ask("send"), approver=approver
    )

    shown = str(asked[0].arguments["what"])
    assert PLACEHOLDER.fullmatch(shown[1:-1])
    assert sent == [f"<{SECRET}>"]
    assert SECRET not in repr(memory.events)
    assert not State.of(memory.events).secret


class Suspicious:
    """Allows what it is shown, unless it is the secret itself; or the other way round."""

    def __init__(self, refused: str) -> None:
        self.refused = refused

    def watch(self, *, remote: bool) -> Self:
        return self

    def apply(self, event: Event) -> None:
        pass

    def decide(self, tool: ToolSpec, arguments: dict[str, Any]) -> Decision:
        refused = self.refused in str(arguments)
        return Decision(effect="deny" if refused else "allow", reason=f"no {self.refused}")


@pytest.mark.parametrize("refused", [SECRET, "SECRET_"])
async def test_the_policy_decides_on_what_will_be_done_and_on_what_the_model_has_read(refused) -> None:
    memory = await go(call("fetch"), pass_on, "done", policy=Suspicious(refused))

    assert sent == []
    assert [event.status for event in found(memory, CallFinished)] == ["ok", "denied"]
    assert SECRET not in repr(memory.events)


async def test_a_secret_that_was_read_is_handed_on_only_with_a_person_s_word() -> None:
    memory = await go(call("fetch"), pass_on, "done")

    (asked,) = found(memory, ApprovalRequested)
    assert PLACEHOLDER.search(asked.reason)
    assert asked.reason.endswith("looks like a secret of yours")
    assert (sent, found(memory, CallFinished)[-1].status) == ([], "denied")

    await go(call("fetch"), pass_on, "done", prompt=f"send {SECRET}")
    assert sent == [f"<{SECRET}>"]


async def left(key: bytes = b"") -> Memory:
    """A run that ended before it used what it had read."""
    return await go(call("fetch"), veil=Veil(key=lambda: key) if key else Veil())


async def gone_on(left: Memory, veil: Veil, prompt: str = "") -> Memory:
    memory = Memory()
    policy = Policy.preset("yolo")
    script = [lambda _: None, pass_on, "done"]
    who = crew(script, fetch, send, memory=memory, veil=veil, policy=policy)
    await resume(left.events, Order(prompt, plan=False), who)
    return memory


async def test_a_later_process_that_has_lost_the_secret_says_so_to_the_model() -> None:
    memory = await gone_on(await left(), Veil())

    (proposed,) = found(memory, CallProposed)
    (finished,) = found(memory, CallFinished)
    assert sent == []
    assert proposed.problem.startswith("SECRET_GITHUB_TOKEN_")
    assert "only the process which read it has known" in proposed.problem
    assert finished.result.text == f"error: {proposed.problem}"
    assert finished.result.is_error


async def test_a_later_process_that_is_told_the_secret_goes_on_with_it() -> None:
    memory = await gone_on(await left(b"key"), Veil([("GH", SECRET)], key=lambda: b"key"))

    assert sent == [f"<{SECRET}>"]
    assert SECRET not in repr(memory.events)


async def test_a_secret_that_is_typed_later_marks_the_run_and_its_forks() -> None:
    first = await left()
    assert not State.of(first.events).secret

    more = await gone_on(first, Veil(), prompt=f"use {SECRET}")
    whole = [*first.events, *more.events]
    assert State.of(whole).secret
    assert sent == [f"<{SECRET}>"]

    forked = Memory()
    await fork(whole, Order("", plan=False), crew(["x"] * 9, memory=forked), parent="run", parent_seq=len(whole))
    assert forked.events[0].model_dump(include={"secret"}) == {"secret": True}


def answering(text: str) -> FinishingModel:
    span = TokenSpan(kind="sampled", ids=(1, 2, 3))

    def answer(request: Request) -> ModelResponded:
        tokens = Tokens(level="tokens", root=True, spans=(span,))
        said = AssistantMessage(parts=(Text(text=text),), provider_state=[text])
        return ModelResponded(step=request.step, message=said, tokens=tokens)

    return FinishingModel(answer)


@pytest.mark.parametrize(
    ("prompt", "text", "kept"),
    [("hello", "hello", True), (f"my key is {SECRET}", "hello", False), ("hello", f"try {SECRET}", False)],
    ids=["neither", "typed by a person", "written by the model"],
)
async def test_tokens_are_kept_only_where_they_say_what_is_stored(prompt, text, kept) -> None:
    memory = Memory()
    await execute(Order(prompt, plan=False), crew(answering(text), memory=memory))

    (response,) = found(memory, ModelResponded)
    assert (response.tokens.level, bool(response.tokens.spans)) == (("tokens", True) if kept else ("text", False))
    assert SECRET not in repr(memory.events)
    assert State.of(memory.events).secret == (prompt != "hello")


async def test_a_long_result_is_searched_before_it_is_cut() -> None:
    @tool
    def long() -> str:
        return "x" * (24_000 - 10) + f" {SECRET}"

    memory = Memory()
    await execute(
        Order("go", plan=False), crew([call("long"), "done"], long, memory=memory, policy=Policy.preset("yolo"))
    )

    assert SECRET[:9] not in repr(memory.events)
