"""What a run amounts to so far: a fold over its events, O(1) for each.

The loop folds its own events as it emits them; a resumed run folds the stored ones and goes on. There is no other
state.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from journeyman.traces.events import (
    ApprovalAnswered,
    CallDecided,
    CallFinished,
    CallStarted,
    CandidateChosen,
    CandidateTried,
    Compacted,
    Event,
    Inside,
    MessageAdded,
    ModelResponded,
    PlanStep,
    PlanUpdated,
    RunFinished,
    RunResumed,
    RunStarted,
)
from journeyman.traces.messages import AssistantMessage, Message, ToolCall, ToolResult, Usage, UserMessage


@dataclass(slots=True)
class Steering:
    """Has a text of others steered a call that no person approved, whether it was stopped or made?"""

    found: bool = False
    _open: set[str] = field(default_factory=set)

    def apply(self, event: Event) -> None:
        match event:
            case CallDecided() if event.provenance and event.steered:
                self._open.add(event.call_id)
            case ApprovalAnswered(approved=True):
                self._open.discard(event.call_id)
            case Inside():
                self.apply(event.event)
            case CallFinished() if event.result.call_id in self._open:
                self.found = True


@dataclass(slots=True)
class State:
    started: RunStarted | None = None
    messages: list[Message] = field(default_factory=list)
    """The conversation as the next model call reads it."""
    plan: tuple[PlanStep, ...] = ()
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = 0.0
    """None once the price of a call is not known."""
    steps: int = 0
    """Model calls answered."""
    denied: int = 0
    """Since the run was last taken up."""
    refusals: int = 0
    """Calls that a person refused, since the last one that was made."""
    begun: set[str] = field(default_factory=set)
    """Calls whose intent is stored and whose result is not."""
    tasks: dict[str, str] = field(default_factory=dict)
    """Handles of those that their servers made tasks of."""
    finish: str | None = None
    """How the last model call ended."""
    said: list[str] = field(default_factory=list)
    """What the user said after the prompt."""
    asked_summary: int | None = None
    """Where in the conversation the question for a summary stands, while it is being compacted."""
    finished: RunFinished | None = None
    chosen: str | None = None
    """Of a search: the run whose answer is its own."""
    secret: bool = False
    """A person has typed a secret: nothing may train on the run."""

    _pending: dict[str, ToolCall] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[Event]) -> Self:
        state = cls()
        for event in events:
            state.apply(event)

        return state

    @property
    def pending(self) -> tuple[ToolCall, ...]:
        """Calls the model has made that have no result yet, in its order."""
        return tuple(self._pending.values())

    @property
    def answer(self) -> str | None:
        """The model's last words, once it calls nothing more."""
        last = self.messages[-1] if self.messages and self.asked_summary is None else None
        return last.text if isinstance(last, AssistantMessage) and not last.calls else None

    def apply(self, event: Event) -> None:  # noqa: C901 - one line for each kind of event
        match event:
            case ModelResponded():
                self._responded(event)
            case CallStarted():
                self.begun.add(event.call_id)
                self.tasks |= {event.call_id: event.task} if event.task else {}
            case CallFinished():
                self._call_finished(event)
            case RunStarted():
                self.started = event
                self.secret = self.secret or event.secret
                self.finished = None
                if event.parent_seq is None:  # else the parent's own events have said it
                    self.messages.append(UserMessage(text=event.prompt))
            case MessageAdded():
                self.secret = self.secret or event.secret
                self._message_added(event)
            case ApprovalAnswered():
                self.secret = self.secret or event.secret
            case PlanUpdated():
                self.plan = event.steps
            case Inside(event=ApprovalAnswered() as answer):
                self.secret = self.secret or answer.secret
            case Inside(event=CallFinished() as finished):
                self._count(finished)
            case Compacted():
                self._compacted(event)
            case RunResumed():
                self.denied = self.refusals = 0
            case CandidateTried():
                self._spent(event.usage, event.cost_usd)
                self.steps += event.steps
            case CandidateChosen():
                self.chosen = event.run_id
            case RunFinished():
                self.finished = event

    def _responded(self, event: ModelResponded) -> None:
        if event.finish != "cut":  # half a message: whoever goes on asks again
            self.messages.append(event.message)
            calls = event.message.calls if self.asked_summary is None else ()
            self._pending = {call.id: call for call in calls}

        self._spent(event.usage, event.cost_usd)
        self.steps = event.step
        self.finish = event.finish

    def _spent(self, usage: Usage, cost_usd: float | None) -> None:
        self.usage = self.usage + usage
        known = self.cost_usd is not None and cost_usd is not None
        self.cost_usd = self.cost_usd + cost_usd if known else None

    def _message_added(self, event: MessageAdded) -> None:
        """What the user says while a summary is being asked for comes in its place."""
        if self.asked_summary is not None:
            self.messages = self.messages[: self.asked_summary]

        self.asked_summary = len(self.messages) if event.origin == "compaction" else None
        self.messages.append(UserMessage(text=event.text))
        self.finished = None
        if event.origin == "user":
            self.said.append(event.text)

    def _compacted(self, event: Compacted) -> None:
        messages = self.messages[: self.asked_summary]
        older, kept = messages[: len(messages) - event.kept], messages[len(messages) - event.kept :]
        if event.results is not None:
            self.messages = [*(_cut(message, event.results) for message in older), *kept]
        else:
            self.messages = [messages[0], UserMessage(text=event.summary), *kept]

        self.asked_summary = None

    def _call_finished(self, event: CallFinished) -> None:
        call_id = event.result.call_id
        self.messages.append(event.result)
        self._pending.pop(call_id, None)
        self.begun.discard(call_id)
        self.tasks.pop(call_id, None)
        self._count(event)

    def _count(self, event: CallFinished) -> None:
        if event.status == "denied":
            self.denied += 1

        self.refusals = self.refusals + 1 if event.status == "refused" else 0


def _cut(message: Message, length: int) -> Message:
    if not isinstance(message, ToolResult) or len(message.text) <= length:
        return message

    left = f"[{len(message.text) - length:,} more characters were left out to make room]"
    return message.model_copy(update={"text": f"{message.text[:length]}\n{left}"})
