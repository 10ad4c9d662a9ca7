"""What a run may spend. A fold over its events, asked before each model call."""

import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from journeyman.errors import BudgetExceeded
from journeyman.traces.events import BudgetRaised, BudgetWarned, Event, ModelResponded, Resource
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


class Spent(NamedTuple):
    what: Resource
    used: float
    limit: float

    @property
    def more(self) -> float:
        """A limit that allows as much again."""
        return self.used + self.limit or 1

    def __str__(self) -> str:
        return f"The run has spent its {self.what}: {_plain(self.used)} of {_plain(self.limit)}."


More = Callable[[Spent], Awaitable[float | None]]
"""Asks whoever pays for a new limit; None: there is none."""


@dataclass(slots=True)
class Budget:
    limits: Limits = field(default_factory=Limits)
    steps: int = 0
    tokens: int = 0
    usd: float = 0.0
    unpriced: bool = False
    """The price of what is asked is not known."""
    costs: bool = False
    """What is asked wants money, so that none is too little from the start."""
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
        if type(event) is ModelResponded:
            self.steps += 1
            self.tokens += event.usage.total_tokens
            self.usd += event.cost_usd or 0.0
            self.unpriced = self.unpriced or event.cost_usd is None
        elif type(event) is BudgetWarned:
            self._warned.add(event.what)
        elif type(event) is BudgetRaised:
            self.limits = self.limits.model_copy(update={event.what: event.limit})
            self._warned.discard(event.what)

    @contextmanager
    def paused(self) -> Generator[None]:
        """While somebody is asked, no time is spent."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._started += time.monotonic() - began

    def warnings(self) -> Iterator[BudgetWarned]:
        """What has passed four fifths of its limit since the last time."""
        for what, used, limit in self._spending():
            if used >= WARN_AT * limit and used and what not in self._warned:
                yield BudgetWarned(what=what, used=used, limit=limit)

    def spent(self) -> Spent | None:
        """What no more of may be spent.

        Raises:
            BudgetExceeded: a limit in dollars cannot be kept.
        """
        if self.limits.usd is not None and self.unpriced:
            raise BudgetExceeded(
                "The model's price is not known, so that a limit in dollars cannot be kept.",
                fix="Limit its tokens instead: --max-tokens N, and no --max-usd",
            )

        for each in self._spending():
            if each.used >= each.limit and (each.used or (each.what == "usd" and self.costs)):
                return each

        return None

    def exceeded(self, spent: Spent, run_id: str) -> BudgetExceeded:
        """The error that names how to allow more."""
        again = f"journeyman run --resume {run_id} --max-{spent.what} {_plain(spent.more)}"
        return BudgetExceeded(str(spent), fix=f"Allow more and go on: {again}")

    def _spending(self) -> Iterator[Spent]:
        for what in ("steps", "tokens", "seconds", "usd"):
            limit = getattr(self.limits, what)
            if limit is not None:
                yield Spent(what, getattr(self, what), limit)


def _plain(number: float) -> str:
    """As a command line takes it back: 1234567, 0.5."""
    return f"{number:.0f}" if number == int(number) else f"{number:.4g}"
