"""Beam search over steps: from each of the best unfinished runs several next steps are tried, the best are kept.

A step is a model call with the tool calls it makes, in a copy of the run's folder; what is dropped was never done
anywhere else. Two steps that make the same calls are one. It ends when as many runs have answered as the beam is wide,
or none is left.
"""

from collections.abc import Iterator
from functools import partial
from operator import attrgetter
from typing import ClassVar, Literal

from pydantic import Field

from journeyman.agent.models.model import Capabilities
from journeyman.agent.session import Order
from journeyman.agent.strategies.plain import Plain
from journeyman.agent.strategies.score import ready, score
from journeyman.agent.strategies.search import Candidate, Search
from journeyman.agent.strategies.strategy import Strategy
from journeyman.traces.events import CallProposed

DEEPEST = 24
Judge = Literal["process", "judge", "verifier"]
"""Who marks answers; unfinished runs are marked by their calls."""


class Beam(Strategy):
    name: ClassVar[str] = "beam"
    beams: int = Field(default=2, ge=1, le=16)
    """Unfinished runs that are kept."""
    branch: int = Field(default=2, ge=1, le=16)
    """Next steps that are tried from each."""
    by: Judge = "process"
    temperature: float = Field(default=0.7, gt=0)

    @property
    def width(self) -> int:
        return self.beams * self.branch

    def needs(self, order: Order, able: Capabilities) -> None:
        ready(self.by, order, able)

    async def solve(self, search: Search, order: Order) -> Candidate:
        kept: list[Candidate | None] = [None]
        finished: list[Candidate] = []
        for _ in range(DEEPEST):
            tried = [each for one in kept for each in await self._next(search, order, one)]
            finished += [each for each in tried if each.answer is not None]
            unfinished = list(distinct(each for each in tried if each.paused))
            kept = [*sorted(unfinished, key=attrgetter("worth"), reverse=True)[: self.beams]]
            if len(finished) >= self.beams or not kept:
                break

        best = max(search.answered(finished), key=lambda each: (each.worth, -each.index))
        return best.found(best.score, f"the best of {len(finished)} that answered, by {self.by}")

    async def _next(self, search: Search, order: Order, of: Candidate | None) -> list[Candidate]:
        """Next steps from a run, or first ones, with their scores."""
        n = self.branch if of else self.width
        judged = partial(marked, search, order, by=self.by)
        return await search.many(partial(stepped, search, of), order, n, temperature=self.temperature, then=judged)


async def stepped(search: Search, of: Candidate | None, order: Order, say: str = "") -> Candidate:
    """One more step of a run, or the first of a new one."""
    return await search.attempt(order, Plain(), role="revision" if of else "candidate", of=of, say=say, steps=1)


async def marked(search: Search, order: Order, candidate: Candidate, *, by: Judge) -> Candidate:
    """With its score: an answer by whoever marks answers, an unfinished run by its calls."""
    if candidate.answer is None and not candidate.paused:
        return candidate

    return await score(search, order, candidate, by if candidate.answer is not None else "process")


def distinct(candidates: Iterator[Candidate]) -> Iterator[Candidate]:
    """One of those that have made the same calls."""
    seen: set[str] = set()
    for each in candidates:
        calls = [event.event for event in each.events if isinstance(event.event, CallProposed)]
        made = repr([(call.tool, call.arguments, call.problem) for call in calls])
        if made not in seen:
            seen.add(made)
            yield each
