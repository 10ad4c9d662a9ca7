"""From a run's events to ACP's session updates, live and replayed alike: plain JSON, as it travels.

A live run's words arrive as deltas and once more, whole, when the model has responded; they are sent once.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from journeyman.engine.wire import OURS
from journeyman.traces.events import (
    ApprovalAnswered,
    CallDecided,
    CallFinished,
    CallProgress,
    CallProposed,
    CallStarted,
    CandidateChosen,
    CandidateScored,
    CandidateTried,
    Event,
    Inside,
    MessageAdded,
    ModelDelta,
    ModelResponded,
    PlanStep,
    PlanUpdated,
    RunFinished,
    RunResumed,
    RunStarted,
)
from journeyman.traces.messages import ToolResult, Usage
from journeyman.traces.transcript import Searched, tree

Json = dict[str, Any]

KINDS = {
    "files.write": "edit",
    "files.edit": "edit",
    "files.read": "read",
    "files.info": "read",
    "files.list": "read",
    "web.fetch": "fetch",
}
SERVERS = {"agent": "think", "search": "search", "code": "execute", "calculator": "think"}
STATUS = {"ok": "completed", "repeated": "completed"}
"""Of a call that has finished; whatever else it came to is ACP's failed."""
PLANNED = {"pending": "pending", "active": "in_progress", "done": "completed"}
TAIL_LINES, TAIL = 20, 4000
"""Lines and characters of a running call's output that are shown."""
WINDOW = 8192
ELSEWHERE = "(in the scratch folder that code.* has; the files of the working folder are not there)"
"""Said of the user's own commands, who may expect to see their files."""
CUT_OFF = "unknown: the call that made it ended first; it may or may not have happened"


class Updates:
    """Translates one session's events, in order."""

    def __init__(self, count: int = 0, root: str = "") -> None:
        """`count` events were stored before the first one; what they spent is known again at the end of a turn."""
        self.count = count
        self.started: RunStarted | RunResumed | None = None
        self._root = Path(root)
        self._streamed: set[str] = set()
        self._diffs: dict[str, list[Json]] = {}
        self._tails: dict[str, list[str]] = {}
        self._own = False
        """The last call is the user's own."""
        self._search: list[Searched] = []
        self._inside: dict[str, dict[str, None]] = {}
        """What a call under way has made itself, and what has not ended yet."""
        self._usage = Usage()
        self._used = 0
        self._size = WINDOW
        self._cost: float | None = 0.0
        self._began = 0.0
        self._turn_spent = {"steps": 0.0, "tokens": 0.0, "usd": 0.0}

    def of(self, event: Event, at: float = 0.0) -> list[Json]:
        """What the event is to a client; nothing, often. `at` is seconds since 1970."""
        ours: Json = {}
        if not isinstance(event, ModelDelta | CallProgress):
            self.count += 1
            ours = {"seq": self.count, "at": at}

        found = list(self._of(event, at))
        for each in found:
            each["_meta"] = {OURS: {**ours, **each.pop("ours", {})}}

        return found

    def _of(self, event: Event, at: float) -> Iterator[Json]:  # noqa: C901, PLR0912 - one case for each kind of event
        match event:
            case ModelDelta(kind="text" | "thinking"):
                self._streamed.add(event.kind)
                yield _chunk("agent_message" if event.kind == "text" else "agent_thought", event.text)
            case RunStarted():
                self._begun(event, at)
                if event.parent_seq is None:
                    yield _chunk("user_message", event.prompt, origin="user")
            case RunResumed():
                self._begun(event, at)
            case Inside(own=True):
                self._own = True
                yield from self._of(event.event, at)
            case MessageAdded(origin="runtime") if self._own:  # for the model: the call's card has said it
                self._own = False
            case MessageAdded():
                yield _chunk("user_message", event.text, origin=event.origin)
            case ModelResponded():
                yield from self._responded(event, at)
            case PlanUpdated():
                yield {"sessionUpdate": "plan", "entries": [_entry(s) for s in event.steps if s.status != "dropped"]}
            case CallProposed():
                yield self._proposed(event)
            case CallDecided():
                told = event.model_dump(mode="json", include={"effect", "reason", "rules", "labels", "provenance"})
                yield _call(event.call_id, ours=told)
            case ApprovalAnswered():
                edited = {"rawInput": event.arguments} if event.arguments is not None else {}
                ours = {"answered": event.by, "approved": event.approved}
                yield _call(event.call_id, ours=ours, **edited)
            case CallStarted():
                yield _call(event.call_id, status="in_progress")
            case CallProgress():
                yield self._progress(event)
            case CallFinished():
                yield from self._cut_off(event.result.call_id)
                yield self._finished(event)
            case Inside():
                yield from self._made_inside(event, at)
            case CandidateTried() | CandidateScored() | CandidateChosen():
                self._search.append(event)
            case RunFinished():
                yield from self._searched(event)
                self._streamed.clear()
                self._usage, self._cost = event.usage, event.cost_usd

    def _searched(self, event: RunFinished) -> Iterator[Json]:
        """A search is a thought, whose steps are runs of their own."""
        if self._search:
            yield _chunk("agent_thought", "\n".join(tree(self._search, str)), shown="search")
            self._search.clear()
            if event.answer:
                yield _chunk("agent_message", event.answer)

    def _begun(self, event: RunStarted | RunResumed, at: float) -> None:
        self.started = event
        self._own = False
        self._began = at
        if isinstance(event, RunStarted):
            self._root = Path(event.root)

        self._turn_spent = dict.fromkeys(self._turn_spent, 0.0)
        able = event.model_info.get("capabilities")
        size = able.get("context") if isinstance(able, dict) else None
        limit = event.limits.get("context")
        self._size = limit if isinstance(limit, int) else size if isinstance(size, int) else WINDOW

    def _responded(self, event: ModelResponded, at: float) -> Iterator[Json]:
        for part in event.message.parts:
            if part.type == "thinking" and "thinking" not in self._streamed:
                yield _chunk("agent_thought", part.text, shown=part.shown)
            elif part.type == "text" and part.text and "text" not in self._streamed:
                yield _chunk("agent_message", part.text)

        self._streamed.clear()
        yield self._asked(event, at)

    def _asked(self, event: ModelResponded, at: float) -> Json:
        self._usage = self._usage + event.usage
        known = self._cost is not None and event.cost_usd is not None
        self._cost = (self._cost or 0.0) + (event.cost_usd or 0.0) if known else None
        for what, used in (("steps", 1), ("tokens", event.usage.total_tokens), ("usd", event.cost_usd or 0.0)):
            self._turn_spent[what] += used

        self._used = event.usage.total_tokens
        step = {"step": event.step, "step_seconds": event.seconds, "step_tokens": event.usage.completion_tokens}
        return self._spent({**step, "budget": list(self._budget(at))})

    def spent(self) -> Json:
        """What the session has spent up to now."""
        update = self._spent({})
        return update | {"_meta": {OURS: update.pop("ours")}}

    def _spent(self, ours: Json) -> Json:
        known = self._cost is not None
        cost = {"cost": {"amount": self._cost, "currency": "USD"}} if known else {}
        ours = {"usage": self._usage.model_dump(), "cost_known": known, **ours}
        return {"sessionUpdate": "usage_update", "used": self._used, "size": self._size, **cost, "ours": ours}

    def _budget(self, at: float) -> Iterator[Json]:
        limits = self.started.limits if self.started else {}
        spent = {**self._turn_spent, "seconds": max(at - self._began, 0.0)}
        for what, used in spent.items():
            limit = limits.get(what)
            if isinstance(limit, int | float):
                yield {"what": what, "used": used, "limit": limit}

    def _proposed(self, event: CallProposed) -> Json:
        arguments = event.arguments or {}
        path = arguments.get("path")
        places = [{"path": str(self._root / path)}] if isinstance(path, str) and event.tool.startswith("files.") else []
        if diff := self._diff(event.tool, arguments):
            self._diffs[event.call_id] = diff

        server = event.tool.partition(".")[0]
        call: Json = {
            "sessionUpdate": "tool_call",
            "toolCallId": event.call_id,
            "title": title(event.tool, arguments),
            "kind": KINDS.get(event.tool) or SERVERS.get(server, "other"),
            "status": "pending",
            "rawInput": arguments,
            "ours": {"tool": event.tool, **({"reason": event.problem} if event.problem else {})},
        }
        return call | ({"content": diff} if diff else {}) | ({"locations": places} if places else {})

    def _diff(self, tool: str, arguments: Json) -> list[Json]:
        """What an edit changes; nothing is read from the disk for it."""
        path = str(self._root / str(arguments.get("path", "")))
        match tool, arguments:
            case "files.edit", {"old": str(old), "new": str(new)}:
                return [{"type": "diff", "path": path, "oldText": old, "newText": new}]
            case "files.write", {"content": str(new)}:
                return [{"type": "diff", "path": path, "newText": new}]

        return []

    def _progress(self, event: CallProgress) -> Json:
        tail = self._tails.setdefault(event.call_id, [])
        tail += event.text[-TAIL:].splitlines()
        del tail[:-TAIL_LINES]
        ours = {"fraction": event.fraction} if event.fraction is not None else {}
        return _call(event.call_id, ours=ours, content=[*self._diffs.get(event.call_id, ()), _text("\n".join(tail))])

    def _finished(self, event: CallFinished) -> Json:
        result = event.result
        self._tails.pop(result.call_id, None)
        diff = self._diffs.pop(result.call_id, [])
        raw = {"rawOutput": result.data} if result.data is not None else {}
        size = len(result.text.encode("utf-8", "surrogatepass"))
        ours = {"status": event.status, "seconds": event.seconds, "bytes": size}
        status = STATUS.get(event.status, "failed")
        if self._own and event.status in {"ok", "error"}:
            diff = [_text(ELSEWHERE)]

        return _call(result.call_id, ours=ours, status=status, content=[*diff, _text(result.text)], **raw)

    def _made_inside(self, event: Inside, at: float) -> Iterator[Json]:
        """A call that a call makes is one of its own, and names its parent."""
        match event.event:
            case CallProposed() as proposed:
                self._inside.setdefault(event.call_id, {})[proposed.call_id] = None
            case CallFinished() as finished:
                self._inside.get(event.call_id, {}).pop(finished.result.call_id, None)

        for update in self._of(event.event, at):
            yield _below(update, event.call_id)

    def _cut_off(self, call_id: str) -> Iterator[Json]:
        for each in self._inside.pop(call_id, ()):
            result = ToolResult(call_id=each, name="", text=CUT_OFF, is_error=True)
            yield _below(self._finished(CallFinished(result=result, status="unknown")), call_id)


def title(tool: str, arguments: Json) -> str:
    """`files.read notes.txt`: the call on one line, cut where it is long."""
    told = " ".join(
        " ".join(str(value).split()) for value in arguments.values() if isinstance(value, str | int | float)
    )
    return f"{tool} {told}".strip()[:160]


def _chunk(who: str, text: str, **ours: Any) -> Json:
    return {"sessionUpdate": f"{who}_chunk", "content": {"type": "text", "text": text}, "ours": ours}


def _call(call_id: str, **fields: Any) -> Json:
    return {"sessionUpdate": "tool_call_update", "toolCallId": call_id, **fields}


def _below(update: Json, parent: str) -> Json:
    return {**update, "ours": {"parent": parent, **update.get("ours", {})}}


def _text(text: str) -> Json:
    return {"type": "content", "content": {"type": "text", "text": text}}


def _entry(step: PlanStep) -> Json:
    return {"content": step.text, "priority": "medium", "status": PLANNED[step.status]}
