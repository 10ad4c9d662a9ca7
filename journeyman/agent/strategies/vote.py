"""Self-consistency (Wang and others, 2022): several runs answer, and what most of them say is believed.

Answers count as the same where they name the same number, or the same words but for case and punctuation, and the runs
left the files in the same state. It stops as soon as the others could not overrule the leader.
"""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from journeyman.agent.models.model import Capabilities
from journeyman.agent.session import Order
from journeyman.agent.strategies.plain import Plain
from journeyman.agent.strategies.search import Candidate, Search
from journeyman.agent.strategies.strategy import Strategy
from journeyman.verifiers.answer import NUMBER, STATED, normalised, number


class Vote(Strategy):
    name: ClassVar[str] = "vote"
    n: int = Field(default=5, ge=1, le=64)
    of: Strategy = Plain()
    """What each voter does."""
    temperature: float = Field(default=0.7, gt=0)

    @property
    def width(self) -> int:
        return self.n * self.of.width

    def needs(self, order: Order, able: Capabilities) -> None:
        self.of.needs(order, able)

    async def solve(self, search: Search, order: Order) -> Candidate:
        tried = await search.of_one_kind(
            self.of, order, self.n, temperature=self.temperature, enough=lambda got: decided(got, self.n)
        )
        counts = Counter(key(each) for each in search.answered(tried))
        _, votes = counts.most_common(1)[0]
        leader = next(each for each in tried if counts[key(each)] == votes)
        return leader.found(votes / len(tried), f"{votes} of {len(tried)} agree")


def key(candidate: Candidate) -> tuple[str, str]:
    """What counts as one answer."""
    said = (candidate.answer or "").strip()
    found = {number(each.group()) for each in NUMBER.finditer(said if "\n" in said else STATED.sub("", said) or said)}
    words = str(found.pop()) if len(found) == 1 else normalised(said)
    return words, candidate.state


def decided(got: Sequence[Candidate], n: int) -> bool:
    """Can those that are still to come not overrule the leader."""
    counts = [votes for _, votes in Counter(key(each) for each in got if each.answer is not None).most_common(2)]
    left = n - len(got)
    return bool(counts) and counts[0] > (counts[1] if len(counts) > 1 else 0) + left
