"""One run in progress: its parts, its state, and the one way anything happens in it, `emit`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self, TypeVar, cast

import anyio

from journeyman.agent.budget import Budget, More
from journeyman.agent.guard import Guard
from journeyman.agent.models.model import Model, Sampling
from journeyman.agent.parts import Approver, Recorder, Toolbox, Watch, nobody
from journeyman.agent.rest import Rests
from journeyman.agent.veiled import veiled
from journeyman.agent.window import Window
from journeyman.errors import ToolError
from journeyman.policies.approvals import Book
from journeyman.traces.events import (
    EPHEMERAL,
    CallDecided,
    CallProposed,
    Event,
    InnerEvent,
    Inside,
    ModelRequested,
    StoredEvent,
)
from journeyman.traces.fold import State
from journeyman.traces.messages import ToolSpec
from journeyman.veil import Veil

MAX_RESULT = 24_000
MAX_INSIDE = 200_000
"""Characters of a result that goes to a program and not to the model."""
ROUTINE = frozenset({ModelRequested, CallProposed, CallDecided})
"""Events of each step that change neither state nor budget nor window, and are not tried against each kind of event."""
OVER = "the call is over, so nothing more can be asked in its name"
E = TypeVar("E", bound=Event)
Listener = Callable[[Event], None]
Check = Callable[[str], str | None]
"""What is wrong with an answer, in words for the model; None where it is right."""


@dataclass(slots=True)
class Run:
    run_id: str
    model: Model
    toolbox: Toolbox
    policy: Watch
    recorder: Recorder
    veil: Veil
    tools: Sequence[ToolSpec] = ()
    """As the model reads of them."""
    state: State = field(default_factory=State)
    approver: Approver = nobody
    book: Book = field(default_factory=Book)
    """What a person has allowed before."""
    budget: Budget = field(default_factory=Budget)
    guard: Guard = field(default_factory=Guard)
    sampling: Sampling = field(default_factory=Sampling)
    window: Window = field(default_factory=lambda: Window(8192))
    """How full the model's window is."""
    check: Check | None = None
    more: More | None = None
    """Asked where something of the budget is spent."""
    listeners: Sequence[Listener] = ()
    rests: Rests = field(default_factory=Rests)
    """What the model has not read yet of long results."""
    call_seconds: float = 120.0
    """How long one tool call may take before it becomes a result that says so."""
    asking: anyio.Lock = field(default_factory=anyio.Lock)
    """A person answers one question at a time."""

    @property
    def longest(self) -> int:
        """Characters of a result that are given at once. A small window takes less: no more characters than it has
        tokens, which is about a third of it.
        """
        return min(MAX_RESULT, self.window.size)

    def emit(self, event: E) -> E:
        """Hide what is secret, fold it, store it (unless it is ephemeral), show it; the event as it is stored."""
        event = veiled(event, self.veil, typed=self.state.secret)
        if type(event) not in EPHEMERAL:
            self.fold(event)
            self.recorder.record(cast("StoredEvent", event))

        for listener in self.listeners:
            listener(event)

        return event

    def fold(self, event: Event) -> None:
        """Take an event into account, whether it is new or was stored by an earlier process."""
        if type(event) not in ROUTINE:
            self.state.apply(event)
            self.budget.apply(event)
            self.window.apply(event, self.state.messages)

        self.policy.apply(event)
        self.guard.apply(event)


@dataclass(slots=True)
class Inner(Run):
    """A run as a call under way sees it: what it emits is recorded inside that call."""

    inside: str = ""
    """The call's id."""
    outer: Run | None = None
    over: bool = False
    """So is the call: nothing more may be recorded in it."""

    @classmethod
    def of(cls, run: Run, call_id: str) -> Self:
        same: dict[str, Any] = {each.name: getattr(run, each.name) for each in fields(Run)}
        same["rests"] = Rests()  # nobody reads on where another began
        return cls(**same, inside=call_id, outer=run)

    @property
    def longest(self) -> int:
        return MAX_INSIDE

    def emit(self, event: E) -> E:
        """Record it inside the call that the model made, however deep the one is that asks.

        Raises:
            ToolError: the call is over.
        """
        if self.over:
            raise ToolError(OVER)

        run = cast("Run", self.outer)
        if isinstance(run, Inner):
            return run.emit(event)

        if type(event) in EPHEMERAL:
            return run.emit(event.model_copy(update={"call_id": self.inside}))

        return cast("E", run.emit(Inside(call_id=self.inside, event=cast("InnerEvent", event))).event)
