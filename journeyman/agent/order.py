"""What a caller asks of a run, and what comes of it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import JsonValue

from journeyman.agent.budget import Limits, More
from journeyman.agent.instructions import DEFAULT
from journeyman.agent.models.model import Sampling
from journeyman.agent.run import Check
from journeyman.agent.window import FULL
from journeyman.errors import JourneymanError
from journeyman.traces.events import Outcome, PlanStep, Sample
from journeyman.traces.messages import Usage
from journeyman.verifiers.case import Case
from journeyman.verifiers.score import Score

if TYPE_CHECKING:
    from journeyman.agent.strategies.strategy import Strategy


@dataclass(frozen=True, slots=True)
class Order:
    """What a caller asks of a run."""

    prompt: str
    instructions: str = DEFAULT
    limits: Limits = field(default_factory=Limits)
    sampling: Sampling = field(default_factory=Sampling)
    timeout: float | None = None
    """Seconds until the run is stopped wherever it is."""
    call_seconds: float = 120.0
    """Seconds until one tool call is stopped; the model reads that it was."""
    returns: Mapping[str, Any] | None = None
    """JSON Schema of the answer."""
    check: Check | None = None
    """What is wrong with an answer; without it, `returns` tells."""
    more: More | None = None
    """Asked for a new limit where the budget is spent; without it the run ends there."""
    plan: bool = True
    """Offer the model a plan to keep."""
    programs: bool = False
    """Let the model write programs that call the tools; not a small one."""
    context: int | None = None
    """Tokens of the model's window that may be used; None for all of it. It is believed of a server's model."""
    compact_at: float = FULL
    """The share of the window that is filled before older parts make room."""
    command: str = ""
    """What the user has run themselves, in place of asking the model; `prompt` is then what they typed."""
    root: str = ""
    sample: Sample | None = None
    """Its place in a batch of practice."""
    parent: str | None = None
    origin: Literal["user", "model"] = "user"
    """Whose words the prompt is: those of a model are nobody's leave to do what they say."""
    strategy: "Strategy | None" = None
    """How more thinking is spent than one plain run."""
    group: str | None = None
    """The search that it is a candidate of."""
    read: Callable[[str], str] | None = None
    """What of the model's last words is the answer; None: all of them."""
    verify: "Callable[[Result, Case], Awaitable[Score]] | None" = None
    """How good a candidate of a search is, where that can be told."""

    @property
    def limited(self) -> dict[str, JsonValue]:
        """What of it is a limit, as the trace keeps it; `as_limited` reads it back."""
        window = {"context": self.context} if self.context else {}
        return {
            **self.limits.model_dump(exclude_none=True),
            "call_seconds": self.call_seconds,
            "compact_at": self.compact_at,
            **window,
        }


def as_limited(recorded: Mapping[str, JsonValue]) -> dict[str, Any]:
    """The fields of an order that a run's recorded limits stand for."""
    own: dict[str, Any] = {"call_seconds": 120.0, "context": None, "compact_at": NEVER}
    limits = {name: value for name, value in recorded.items() if name not in own}
    known = {name: recorded.get(name, default) for name, default in own.items()}
    return {"limits": Limits.model_validate({"steps": None} | limits), **known}


NEVER = 1e9
"""Share of a window: a run of the first days did not look at it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run. `print(result)` prints the answer."""

    run_id: str
    outcome: Outcome
    answer: str | None
    usage: Usage
    cost_usd: float | None
    """Dollars; None where the price of a call is not known."""
    steps: int
    denied: int
    """Calls that the policy refused, or that nobody was there to approve."""
    seconds: float
    plan: tuple[PlanStep, ...] = ()
    error: JourneymanError | None = None
    chosen: str | None = None
    """Of a search: the run whose answer this is."""

    def __str__(self) -> str:
        return self.answer or ""

    @property
    def exit_code(self) -> int:
        """0 answered; 5 answered although a call was denied; else the error's own."""
        if self.error is not None:
            return self.error.exit_code

        return 5 if self.denied else 0
