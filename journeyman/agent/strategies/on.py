"""Another model: what is done by it, within a search of this one: `route(plain, on("openai:gpt-5"))`."""

from typing import ClassVar

from journeyman.agent.order import Order
from journeyman.agent.strategies.candidate import Candidate
from journeyman.agent.strategies.plain import Plain
from journeyman.agent.strategies.search import Search
from journeyman.agent.strategies.strategy import Strategy


class On(Strategy):
    name: ClassVar[str] = "on"
    model: str
    """Its spec."""
    of: Strategy = Plain()
    """What it does."""

    @property
    def width(self) -> int:
        return self.of.width

    @property
    def lone(self) -> bool:
        return self.of.lone

    @property
    def models(self) -> frozenset[str]:
        return super().models | {self.model}

    async def solve(self, search: Search, order: Order) -> Candidate:
        there = await search.on(self.model)
        self.of.needs(order, there.able)  # only now is known what it can do
        return await (there.attempt(self.of.order(order), self) if self.of.single else self.of.solve(there, order))
