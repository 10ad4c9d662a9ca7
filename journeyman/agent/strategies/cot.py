"""Chain of thought (Wei and others, 2022): the model is told to think aloud and to end with its answer."""

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from journeyman.agent.session import Order
from journeyman.agent.strategies.strategy import Single, sampled

ASKED = "Think step by step before you answer. End with a line that says only: Answer: ..."
MARK = "Answer:"


class Cot(Single):
    name: ClassVar[str] = "cot"

    def order(self, order: Order) -> Order:
        """Thoughts where the model has a place for them; the words that ask for them in any case."""
        return replace(sampled(order, think="on"), instructions=f"{order.instructions}\n\n{ASKED}", read=answer_in)


def reader(strategy: str) -> Callable[[str], str] | None:
    """How the answer of a run by that strategy is read."""
    return answer_in if strategy == Cot.name else None


def answer_in(words: str) -> str:
    """What stands after the last mark; all of it where there is none."""
    _, mark, last = words.rpartition(MARK)
    return last.strip() if mark and last.strip() else words
