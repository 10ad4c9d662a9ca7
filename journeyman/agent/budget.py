"""What a run may spend. A fold over its events, asked before each model call."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from journeyman.errors import BudgetExceeded
from journeyman.traces.events import BudgetWarned, Event, ModelResponded, Resource
from journeyman.traces.messages import Value

WARN_AT = 0.8


class Limits(Value):
    """None is no limit."""

    steps: int | None = 50
    """Model calls. The last one may not call tools, so that it answers."""
    tokens: int | None = None
    """Read and written, cached ones included."""
    seconds: float | None = None
    usd: float | None = None


@dataclass(slots=True)
class Budget:
    limits: Limits = field(default_factory=Limits)
    steps: int = 0
    tokens: int = 0
    usd: float = 0.0
    unpriced: bool = False
    """A model call had no known price."""
    _started: float = field(default_factory=time.monotonic)
    _warned: set[str] = field(default_factory=set)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def last_step(self) -> bool:
        """The next model call is the last that may be made."""
        return self.limits.steps is not None and self.steps + 1 >= self.limits.steps

    def apply(self, event: Event) -> None:
        if isinstance(event, ModelResponded):
            self.steps += 1
            self.tokens += event.usage.total_tokens
            self.usd += event.cost_usd or 0.0
            self.unpriced = self.unpriced or event.cost_usd is None
        elif isinstance(event, BudgetWarned):
            self._warned.add(event.what)

    def warnings(self) -> Iterator[BudgetWarned]:
        """What has passed four fifths of its limit since the last time."""
        for what, used, limit in self._spending():
            if used >= WARN_AT * limit and used and what not in self._warned:
                yield BudgetWarned(what=what, used=used, limit=limit)

    def check(self, run_id: str) -> None:
        """Refuse the next model call where something is spent.

        Raises:
            BudgetExceeded: naming what, how much, and how to allow more.
        """
        if self.limits.usd is not None and self.unpriced:
            raise BudgetExceeded(
                "The model's price is not known, so that a limit in dollars cannot be kept.",
                fix=f"Limit its tokens instead: journeyman run --resume {run_id} --max-tokens N",
            )

        for what, used, limit in self._spending():
            if used >= limit and used:
                more = limit * 2 or 1
                raise BudgetExceeded(
                    f"The run has spent its {what}: {_plain(used)} of {_plain(limit)}.",
                    fix=f"Allow more and go on: journeyman run --resume {run_id} --max-{what} {_plain(more)}",
                )

    def _spending(self) -> Iterator[tuple[Resource, float, float]]:
        if self.limits.steps is not None:
            yield "steps", self.steps, self.limits.steps
        if self.limits.tokens is not None:
            yield "tokens", self.tokens, self.limits.tokens
        if self.limits.seconds is not None:
            yield "seconds", self.seconds, self.limits.seconds
        if self.limits.usd is not None:
            yield "usd", self.usd, self.limits.usd


def _plain(number: float) -> str:
    """As a command line takes it back: 1234567, 0.5."""
    return f"{number:.0f}" if number == int(number) else f"{number:.4g}"
