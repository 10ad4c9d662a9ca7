"""Refine (Madaan and others, 2023): an answer is criticised and revised, for so many rounds.

It stops when the verifier passes the answer, when the critic finds nothing wrong, or when an answer comes back
unchanged. A revision is a run that goes on from the one it revises, in a copy of its folder. What a verifier would have
liked to see is never told: only that it was not content.
"""

from typing import ClassVar, Literal

from pydantic import Field

from journeyman.agent.models.model import Capabilities
from journeyman.agent.session import Order
from journeyman.agent.strategies.plain import Plain
from journeyman.agent.strategies.score import ready, score
from journeyman.agent.strategies.search import Candidate, Search
from journeyman.agent.strategies.strategy import Strategy
from journeyman.agent.strategies.vote import key

CRITIC = """You check answers. Here is a question and an answer that somebody gave.

Question: {question}

Answer: {answer}

If the answer is right, say only: RIGHT. Else say in one or two sentences what is wrong with it."""
RIGHT = "RIGHT"
REVISE = "Somebody who checked your answer says: {critique}\nAnswer the question again, in full."


class Refine(Strategy):
    name: ClassVar[str] = "refine"
    rounds: int = Field(default=2, ge=1, le=16)
    of: Strategy = Plain()
    by: Literal["critic", "verifier"] = "critic"
    """Who says that an answer will do."""

    @property
    def width(self) -> int:
        return self.of.width

    def needs(self, order: Order, able: Capabilities) -> None:
        if self.by == "verifier":
            ready(self.by, order, able)

        self.of.needs(order, able)

    async def solve(self, search: Search, order: Order) -> Candidate:
        verified = self.by == "verifier"
        candidate = await self.of.solve(search, order)
        for number in range(self.rounds):
            if verified:
                candidate = await score(search, order, candidate, "verifier")
                if candidate.score == 1:
                    return candidate.found(1.0, f"it passed after {number} revisions")

            if candidate.answer is None:
                return candidate

            asked = CRITIC.format(question=order.prompt, answer=candidate.answer)
            critique = (await search.ask(order, asked, of=candidate)).answer or ""
            if critique.strip().upper().startswith(RIGHT) and not verified:
                return candidate.found(candidate.score, f"the critic found nothing wrong after {number} revisions")

            told = f"It is not right. {critique}" if verified else critique
            revised = await search.attempt(
                order, Plain(), role="revision", of=candidate, say=REVISE.format(critique=told)
            )
            if revised.answer is None:
                return candidate.found(candidate.score, "its revision gave no answer")

            if not verified and key(revised) == key(candidate):
                return revised.found(candidate.score, f"unchanged by revision {number + 1}")

            candidate = revised

        return candidate.found(candidate.score, f"the last of {self.rounds} revisions")
