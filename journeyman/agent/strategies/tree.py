"""Tree search over steps (UCT: Kocsis and Szepesvari, 2006): where to go on is chosen by what came of it so far, with a
bonus for what was tried little; so it comes back from a dead end, which a beam cannot.

Each visit is one step from one run, in a copy of its folder. What failed elsewhere is told to later branches as a note,
in our own words: which call, and that it failed. (The makers of DeepSeek-R1 report that tree search did not pay for
them; `journeyman compare` tells whether it does here.)
"""

from dataclasses import dataclass, field
from math import log, sqrt
from typing import ClassVar

from pydantic import Field

from journeyman.agent.models.model import Capabilities
from journeyman.agent.session import Order
from journeyman.agent.strategies.beam import Judge, marked, stepped
from journeyman.agent.strategies.score import ready
from journeyman.agent.strategies.search import Candidate, Search
from journeyman.agent.strategies.strategy import Strategy, sampled

NOTES = 4


@dataclass(slots=True, eq=False)
class Node:
    candidate: Candidate | None
    above: "Node | None" = None
    below: list["Node"] = field(default_factory=list)
    visits: int = 0
    total: float = 0.0

    @property
    def open(self) -> bool:
        """It can be gone on with."""
        return self.candidate is None or self.candidate.paused

    def learn(self, value: float) -> None:
        self.visits, self.total = self.visits + 1, self.total + value
        if self.above:
            self.above.learn(value)


class Tree(Strategy):
    name: ClassVar[str] = "tree"
    budget: int = Field(default=12, ge=1, le=256)
    """Steps that may be taken in all."""
    branch: int = Field(default=2, ge=1, le=16)
    """Next steps from one run at most."""
    by: Judge = "process"
    explore: float = Field(default=0.7, ge=0)
    temperature: float = Field(default=0.7, gt=0)

    def needs(self, order: Order, able: Capabilities) -> None:
        ready(self.by, order, able)

    async def solve(self, search: Search, order: Order) -> Candidate:
        root, tried, notes = Node(None), list[Candidate](), list[str]()
        for number in range(self.budget):
            node = self._chosen(root)
            if node is None or search.spent:
                break

            seed = None if order.sampling.seed is None else order.sampling.seed + number
            warm = sampled(order, seed=seed, temperature=order.sampling.temperature or self.temperature)
            say = "Notes of other attempts:\n" + "\n".join(notes[-NOTES:]) if notes and node.candidate else ""
            found = await marked(search, order, await stepped(search, node.candidate, warm, say), by=self.by)
            tried.append(found)
            notes += [note for note in _notes(found) if note not in notes]
            child = Node(found, node)
            node.below.append(child)
            child.learn(found.score or 0.0)
            if found.answer is not None and found.score == 1 and self.by == "verifier":
                break

        best = max(search.answered(tried), key=lambda each: (each.score or 0.0, -each.index))
        return best.found(best.score, f"the best found in {len(tried)} steps, by {self.by}")

    def _chosen(self, root: Node) -> Node | None:
        """The run to go on with; None where all have ended."""
        leaves = [node for node in _all(root) if node.open and len(node.below) < self.branch]
        return max(leaves, key=lambda node: self._promise(node, root.visits), default=None)

    def _promise(self, node: Node, visits: int) -> float:
        mean = node.total / node.visits if node.visits else 0.0
        return mean + self.explore * sqrt(log(visits + 1) / (node.visits + len(node.below) + 1))


def _all(node: Node) -> list[Node]:
    return [node, *(each for child in node.below for each in _all(child))]


def _notes(candidate: Candidate) -> list[str]:
    """What failed, in our words: no text of others may steer a branch that has not read it."""
    bad = [call for call in candidate.case.calls if call.status not in {"ok", "repeated"}]
    return [f"- {call.tool} was called and ended with: {call.status}" for call in bad]
