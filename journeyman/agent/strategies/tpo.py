"""Test-time preference optimisation (Li and others, 2025): of several answers the best and the worst are set side by
side, the model says in words what makes the difference, and the best is revised by that; for so many rounds.
"""

from functools import partial
from operator import attrgetter
from typing import ClassVar

from pydantic import Field

from journeyman.agent.models.model import Capabilities
from journeyman.agent.session import Order
from journeyman.agent.strategies.plain import Plain
from journeyman.agent.strategies.score import By, ready, score
from journeyman.agent.strategies.search import Candidate, Search
from journeyman.agent.strategies.strategy import Strategy

DIFFERENCE = """Here is a question, and two answers to it.

Question: {question}

Better answer: {best}

Worse answer: {worst}

Say in two or three sentences what makes the one better, and what would make it better still."""
REVISE = "Somebody who compared answers says: {critique}\nAnswer the question again, in full."


class Tpo(Strategy):
    name: ClassVar[str] = "tpo"
    n: int = Field(default=3, ge=2, le=64)
    rounds: int = Field(default=1, ge=1, le=16)
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
        judged = partial(score, search, order, by=self.by)
        tried = await search.of_one_kind(self.of, order, self.n, temperature=self.temperature, then=judged)
        pool = sorted(search.answered(tried), key=attrgetter("worth"), reverse=True)
        for number in range(self.rounds):
            best, worst = pool[0], pool[-1]
            if best.worth == worst.worth:
                return best.found(best.score, f"after {number} rounds no answer was better than another by {self.by}")

            asked = DIFFERENCE.format(question=order.prompt, best=best.answer, worst=worst.answer)
            critique = (await search.ask(order, asked, of=best)).answer or ""
            make = partial(_revised, search, best, critique)
            more = await search.many(make, order, self.n, temperature=self.temperature, then=judged)
            pool = sorted(
                [*pool, *(each for each in more if each.answer is not None)], key=attrgetter("worth"), reverse=True
            )

        return pool[0].found(pool[0].score, f"the best of {len(pool)} by {self.by} after {self.rounds} rounds")


async def _revised(search: Search, best: Candidate, critique: str, order: Order) -> Candidate:
    say = REVISE.format(critique=critique)
    return await search.attempt(order, Plain(), role="revision", of=best, say=say)
