"""What a session asks of people: every client that follows it is shown the question, and the first answer counts."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import anyio
from anyio.abc import TaskGroup

from journeyman.agent.budget import Spent
from journeyman.agent.parts import nobody
from journeyman.agent.preflight import AGAIN
from journeyman.engine.peer import Peer
from journeyman.engine.updates import title
from journeyman.engine.wire import OURS, SETTLED
from journeyman.policies.finding import sources
from journeyman.tools.alias import may_be
from journeyman.traces.events import ApprovalAnswered, ApprovalRequested, steered
from journeyman.traces.messages import ToolCall

Json = dict[str, Any]
PATIENCE_S = 24 * 3600.0
"""For a person to answer; then the answer is no."""
ONCE = {"optionId": "once", "name": "Allow once", "kind": "allow_once"}
NO = {"optionId": "no", "name": "Refuse", "kind": "reject_once"}
KEEP = ({"optionId": "session", "name": "Allow in this session"}, {"optionId": "always", "name": "Always allow"})
"""Each says the exact rule that it would remember."""


@dataclass(slots=True)
class Question:
    params: Json
    token: str
    call_id: str
    answered: anyio.Event = field(default_factory=anyio.Event)
    answer: Json = field(default_factory=dict)
    absent: list[Peer] = field(default_factory=list)
    """Clients where nobody is."""


class Questions:
    """Those of one session that are open."""

    def __init__(self, session_id: str, peers: Iterable[Peer], group: TaskGroup) -> None:
        self._session_id = session_id
        self._peers = peers
        self._group = group
        self.open: dict[str, Question] = {}
        self._step: Sequence[ToolCall] = ()
        self._also: dict[str, tuple[Json, Sequence[str]]] = {}
        """Calls that were allowed with an earlier one: what was shown of each, and the rules of that question."""

    def stepped(self, calls: Sequence[ToolCall]) -> None:
        """The calls of the model's next step."""
        self._step = calls
        self._also.clear()

    def show(self, peer: Peer) -> None:
        """To a client that has just come."""
        for question in self.open.values():
            self._group.start_soon(self._put, question, peer)

    async def approve(self, request: ApprovalRequested) -> ApprovalAnswered:
        """The approver of a session's runs."""
        granted = self._also.pop(request.call_id, None)
        if granted and _is_as_shown(request, *granted) and not steered(request.provenance):
            return ApprovalAnswered(call_id=request.call_id, approved=True, token=request.token)

        then = {call.id: upcoming for call in self._behind(request.call_id) if (upcoming := _upcoming(call))}
        question = Question(_of_call(self._session_id, request, [*then.values()]), request.token, request.call_id)
        answer = await self._asked(question)
        meta = answer.get("_meta")
        if question.absent and not answer:
            return (await nobody(request)).model_copy(update={"token": request.token})

        ours = meta.get(OURS) if isinstance(meta, dict) else None
        said = ours if isinstance(ours, dict) else {}
        option = _option(answer)
        approved = option in {"once", "session", "always"}
        arguments = said.get("arguments")
        also = said.get("also")
        for each in also if approved and isinstance(also, list) else ():
            if each in then:
                self._also[each] = then[each], request.rules

        reason = str(said.get("reason") or ("" if option else "the question was dismissed"))
        return ApprovalAnswered(
            call_id=request.call_id,
            approved=approved,
            reason="" if approved else reason,
            arguments=arguments if approved and isinstance(arguments, dict) else None,
            keep=option if option in {"session", "always"} else "once",
            token=request.token,
        )

    def _behind(self, call_id: str) -> Sequence[ToolCall]:
        ids = [call.id for call in self._step]
        return self._step[ids.index(call_id) + 1 :] if call_id in ids else ()

    async def more(self, spent: Spent) -> float | None:
        """As much again of what is spent, if a person says so."""
        question = Question(_of_budget(self._session_id, spent), token_hex(8), "budget")
        question.params["_meta"][OURS]["token"] = question.token
        return spent.more if _option(await self._asked(question)) == "once" else None

    async def _asked(self, question: Question) -> Json:
        self.open[question.token] = question
        try:
            for peer in list(self._peers):
                self._group.start_soon(self._put, question, peer)

            with anyio.move_on_after(PATIENCE_S):
                await question.answered.wait()
        finally:
            del self.open[question.token]
            question.answered.set()
            self._settled(question)

        return question.answer

    async def _put(self, question: Question, peer: Peer) -> None:
        """Wait for one client's answer, as long as it is wanted."""

        async def ask() -> None:
            answer = await peer.ask("session/request_permission", question.params)
            if answer is None or _is_nobody(answer):  # it has gone, or nobody is there
                question.absent += [peer] if answer else []
                if question.absent and all(each is peer or each in question.absent for each in self._peers):
                    question.answered.set()
            elif not question.answered.is_set():
                question.answer = answer
                question.answered.set()

            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await question.answered.wait()
            group.cancel_scope.cancel()

    def _settled(self, question: Question) -> None:
        approved = _option(question.answer) in {"once", "session", "always"}
        told = {"token": question.token, "toolCallId": question.call_id, "approved": approved, "by": "user"}
        for peer in self._peers:
            if peer.notes:
                peer.tell(SETTLED, {"sessionId": self._session_id, **told})


def _is_nobody(answer: Json) -> bool:
    meta = answer.get("_meta")
    ours = meta.get(OURS) if isinstance(meta, dict) else None
    return isinstance(ours, dict) and ours.get("by") == "nobody" and _option(answer) is None


def _option(answer: Json) -> Any:
    outcome = answer.get("outcome")
    chosen = isinstance(outcome, dict) and outcome.get("outcome") == "selected"
    return outcome.get("optionId") if chosen else None


def _upcoming(call: ToolCall) -> Json | None:
    """A `wire.Upcoming`; None where it cannot be made."""
    with suppress(ValueError):
        arguments = json.loads(call.arguments)
        return {"id": call.id, "tool": call.name, "arguments": arguments} if isinstance(arguments, dict) else None

    return None


def _is_as_shown(request: ApprovalRequested, shown: Json, rules: Sequence[str]) -> bool:
    same = (request.arguments, request.rules) == (shown["arguments"], rules)
    return same and may_be(shown["tool"], request.tool)


def _of_call(session_id: str, request: ApprovalRequested, then: Sequence[Json]) -> Json:
    keep = [{**each, "name": f"{each['name']}: {request.offer}", "kind": "allow_always"} for each in KEEP]
    ours = request.model_dump(
        mode="json", include={"token", "tool", "arguments", "reason", "rules", "provenance", "offer"}
    )
    kind = "again" if request.reason == AGAIN else "call"
    call = {
        "toolCallId": request.call_id,
        "title": title(request.tool, request.arguments),
        "status": "pending",
        "rawInput": request.arguments,
    }
    return {
        "sessionId": session_id,
        "toolCall": call,
        "options": [ONCE, *(keep if request.offer else ()), NO],
        "_meta": {OURS: {"kind": kind, "sources": list(sources(request.provenance)), "then": then, **ours}},
    }


def _of_budget(session_id: str, spent: Spent) -> Json:
    text = f"{spent} Go on with as much again?"
    call = {"toolCallId": "budget", "title": text, "status": "pending"}
    empty = {"tool": "", "arguments": {}, "rules": [], "provenance": {}, "sources": [], "then": [], "offer": ""}
    ours = {"kind": "budget", "reason": text, **empty}
    options = [{**ONCE, "name": "Go on"}, {**NO, "name": "Stop here"}]
    return {"sessionId": session_id, "toolCall": call, "options": options, "_meta": {OURS: ours}}
