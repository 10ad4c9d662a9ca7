"""One attempt of a search: a run, what it left, how good that is."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from journeyman.agent.session import Result
from journeyman.agent.strategies.branch import texts
from journeyman.errors import Paused
from journeyman.traces.events import CandidateTried, ModelResponded, Role
from journeyman.traces.fold import State
from journeyman.traces.writer import Stored
from journeyman.verifiers.case import Case

SHOWN = 200
"""Characters of an answer that the search's own trace has."""


@dataclass(frozen=True, slots=True)
class Candidate:
    result: Result
    index: int
    events: Sequence[Stored]
    folder: Path | None = None
    """Its copy of the run's folder."""
    state: str = ""
    """Hash of what it changed there."""
    score: float | None = None
    why: str = ""

    @property
    def answer(self) -> str | None:
        return self.result.answer

    @property
    def worth(self) -> float:
        """Its score; less than any where it has none."""
        return -1.0 if self.score is None else self.score

    @property
    def paused(self) -> bool:
        """It can be gone on with."""
        return isinstance(self.result.error, Paused)

    @property
    def case(self) -> Case:
        """What a verifier is shown of it."""
        return Case.of((each.event for each in self.events), texts(self.folder) if self.folder else {})

    def found(self, score: float | None, why: str) -> "Candidate":
        """The same, with why it is believed."""
        return replace(self, score=score, why=why)


@dataclass(slots=True)
class Heard:
    """What happens in a candidate's run, as it is stored."""

    events: list[Stored]
    """It begins with those of the run that it goes on from."""
    state: State = field(default_factory=State)
    steps: int = 0

    def __call__(self, stored: Stored) -> None:
        self.events.append(stored)
        self.steps += isinstance(stored.event, ModelResponded)
        self.state.apply(stored.event)

    def tried(self, run_id: str, index: int, strategy: str, role: Role, of: Candidate | None) -> CandidateTried:
        """What the search's own trace tells of the run."""
        end = self.state.finished
        return CandidateTried(
            run_id=run_id,
            index=index,
            role=role,
            of=of.result.run_id if of else None,
            strategy=strategy,
            outcome=end.outcome if end else "interrupted",
            answer=(end.answer or "")[:SHOWN] if end else "",
            usage=self.state.usage,
            cost_usd=self.state.cost_usd,
            steps=self.steps,
            denied=self.state.denied,
            seconds=end.seconds if end else 0.0,
        )
