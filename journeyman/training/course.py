"""What `improve` is asked for, and what it has found out so far, as values: `course.json` in the folder it works in."""

from pathlib import Path
from typing import Literal

from journeyman.traces.messages import Value
from journeyman.training.gate import Paired, Verdict
from journeyman.training.recipe import PRESETS, Grpo, Plan, Shape
from journeyman.training.tally import Tally
from journeyman.training.train import Trained

StageName = Literal["cold", "guide", "sft", "grpo", "teach"]
RECIPES: dict[str, tuple[StageName, ...]] = {
    "practice": ("sft",),
    "guided": ("guide", "sft"),
    "zero": ("grpo",),
    "r1": ("cold", "grpo", "sft", "grpo"),
    "distill": ("teach",),
}
"""Stages by name. `cold` imitates the tasks' oracles, `guide` practises with the order of tools given, `sft` imitates
what came out right, `grpo` reinforces it, `teach` imitates another model's verified runs."""

FURTHER = 0.4
"""Of the learning rate, where a stage goes on from an adapter."""


class Course(Value):
    name: str
    tasks: str
    """Where tasks come from, as for `rollout`."""
    base: Path
    start: Path | None = None
    """The adapter to begin with."""
    stages: tuple[StageName, ...] = RECIPES["practice"]
    limit: int | None = None
    """Tasks to practise in a stage; of a generator with kinds, of each."""
    n: int = 8
    """Attempts at each."""
    mixed: int = 0
    """Stop practising after so many groups with different rewards; 0 for none."""
    held: int | None = None
    """Held-out tasks; of a generator with kinds, of each."""
    passes: int = 0
    """Attempts at each held-out task at temperature 1, for pass@k and a vote; 0 for none."""
    regression: str = ""
    """Tasks of older skills; empty for none."""
    controls: bool = True
    """Train with rewards that mean nothing, too."""
    cold: int = 400
    """Conversations of a cold start."""
    aloud: bool = False
    """In those each call is thought of first, so that the model thinks before it acts; reinforcement rewards it."""
    each: int = 4
    """Right attempts at one task that are imitated, at most."""
    replay: Path | None = None
    """Samples of what the model should not forget."""
    share: float = 0.25
    """How much is replayed, of earlier stages and of `replay`, as a part of what is new."""
    teacher: str = ""
    """Spec of the model that `teach` learns from."""
    parallel: int = 4
    seed: int = 1
    shape: Shape = Shape()
    rate: float = 1e-3
    epochs: float = 2.0
    batch: int = 4
    grpo: Grpo = PRESETS["dapo"]
    grpo_rate: float = 1.5e-4
    grpo_batch: int = 8

    def plan(self, stage: StageName, *, further: bool) -> Plan:
        """Of a stage; one that goes on from an adapter takes smaller steps."""
        if stage == "grpo":
            rate, epochs, batch = self.grpo_rate, 1.0, self.grpo_batch
        else:
            rate, epochs, batch = self.rate * (FURTHER if further else 1), self.epochs, self.batch

        return Plan(
            method="grpo" if stage == "grpo" else "sft",
            shape=self.shape,
            seed=self.seed,
            grpo=self.grpo,
            rate=rate,
            epochs=epochs,
            batch=batch,
        )


class Test(Value):
    """Tasks that were tried: key -> right."""

    right: dict[str, bool]
    kinds: dict[str, str]
    seconds: float

    @property
    def rate(self) -> float:
        return sum(self.right.values()) / max(len(self.right), 1)


class Stage(Value):
    """One round."""

    number: int
    name: StageName
    practice: Tally | None = None
    """None where nothing was practised."""
    rows: int = 0
    trained: Trained | None = None
    """None where there was nothing to learn from."""
    why: str = ""
    """That there was not."""
    test: Test | None = None
    thought: tuple[bool, ...] = ()
    """Whether each call was thought of first, of that test's runs that called; none where it was not asked for."""
    kept: bool = False
    """The next stage goes on from here."""
    seconds: dict[str, float] = {}


class Found(Value):
    """The whole story."""

    course: Course
    before: Test | None = None
    """Of the held-out tasks by which stages are chosen, as the stages' tests."""
    stages: tuple[Stage, ...] = ()
    proofs: dict[int, Test] = {}
    """Of the other held-out tasks, by number of the stage; 0 is before all."""
    controls: dict[str, Test | None] = {}
    """Of those too; None where it could not be trained."""
    control_of: int = 0
    """Number of the stage that the controls are of."""
    regression: tuple[Test, Test] | None = None
    """Before and after."""
    passes: dict[str, Tally] = {}
    """The tasks of the verdict several times, by `before` and `after`."""
    gains: dict[str, dict[str, float]] = {}
    """Right answers by adapter, and by how it was asked."""
    held_out: Paired | None = None
    verdict: Verdict | None = None
    spec: str = ""
    """Of the model that is kept, if it is."""

    @property
    def best(self) -> Stage | None:
        """The stage whose adapter is the course's."""
        return next((stage for stage in reversed(self.stages) if stage.kept), None)

    @property
    def adapter(self) -> Path | None:
        return self.best.trained.adapter if self.best and self.best.trained else self.course.start
