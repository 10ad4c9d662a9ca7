"""Best of n: several runs answer, each is scored, the best is believed. One that the verifier passes ends it early."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from journeyman.agent.models.model import Capabilities
from journeyman.agent.session import Order
from journeyman.agent.strategies.plain import Plain
from journeyman.agent.strategies.score import By, ready, score
from journeyman.agent.strategies.search import Candidate, Search
from journeyman.agent.strategies.strategy import Strategy


class Best(Strategy):
    name: ClassVar[str] = "best"
    n: int = Field(default=4, ge=1, le=64)
    of: Strategy = Plain()
    by: By = "judge"
    temperature: float = Field(default=0.7, gt=0)

    @property
    def width(self) -> int:
        return self.n * self.of.width

    def needs(self, order: Order, able: Capabilities) -> None:
        ready(self.by, order, able)
        self.of.needs(order, able)

    async def solve(self, search: Search, order: Order) -> Candidate:
        order = ready(self.by, order, search.able)

        async def judged(candidate: Candidate) -> Candidate:
            return await score(search, order, candidate, self.by)

        tried = await search.of_one_kind(
            self.of, order, self.n, temperature=self.temperature, enough=self._enough, then=judged
        )
        best = max(search.answered(tried), key=lambda each: (each.worth, -each.index))
        return best.found(best.score, f"the best of {len(tried)} by {self.by}")

    def _enough(self, got: Sequence[Candidate]) -> bool:
        return self.by == "verifier" and got[-1].score == 1
