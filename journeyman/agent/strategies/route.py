"""Effort by need: a cheap strategy first, a dear one only where the cheap one's answer is in doubt.

In doubt is, by agree: a low strategy whose voters do not mostly agree, or a single run that a second one, drawn with
some chance, contradicts; by verifier: what does not pass; by likelihood: words whose mean probability is below `at`.
"""

from typing import ClassVar, Literal

from pydantic import Field

from journeyman.agent.models.model import Capabilities
from journeyman.agent.session import Order
from journeyman.agent.strategies.plain import Plain
from journeyman.agent.strategies.score import ready, score
from journeyman.agent.strategies.search import Candidate, Search
from journeyman.agent.strategies.strategy import Strategy, sampled
from journeyman.agent.strategies.vote import Vote, key

AGREED = 0.5


class Route(Strategy):
    name: ClassVar[str] = "route"
    low: Strategy = Plain()
    high: Strategy = Vote()
    by: Literal["agree", "verifier", "likelihood"] = "agree"
    at: float = Field(default=0.9, gt=0, le=1)
    temperature: float = Field(default=0.7, gt=0)

    @property
    def width(self) -> int:
        return max(self.low.width, self.high.width)

    def needs(self, order: Order, able: Capabilities) -> None:
        if self.by != "agree":
            ready(self.by, order, able)

        self.low.needs(order, able)
        self.high.needs(order, able)

    async def solve(self, search: Search, order: Order) -> Candidate:
        low, doubt = await self._low(search, order)
        if not doubt:
            return low.found(low.score, f"{self.low} was enough: {low.why}")

        high = await self.high.solve(search, order)
        return high.found(high.score, f"{self.low} was in doubt ({doubt}); {self.high}: {high.why}")

    async def _low(self, search: Search, order: Order) -> tuple[Candidate, str]:
        """What the cheap strategy found, and why that is in doubt."""
        asked = order if self.by == "agree" else ready(self.by, order, search.able)
        low = await self.low.solve(search, asked)
        if low.answer is None:
            return low, "no answer"

        if self.by != "agree":
            low = await score(search, asked, low, self.by)
            enough = low.score is not None and low.score >= (1 if self.by == "verifier" else self.at)
            return low, "" if enough else f"{self.by} {'-' if low.score is None else f'{low.score:.2f}'}"

        if not self.low.lone:
            return low, "" if (low.score or 0) > AGREED else low.why or "nothing tells how sure it is"

        warm = sampled(order, temperature=order.sampling.temperature or self.temperature)
        second = await self.low.solve(search, warm)
        same = second.answer is not None and key(second) == key(low)
        return low.found(None, "two of two agree"), "" if same else "a second run said something else"
