"""Where a course practises and is tested: its attempts, each a run in the store."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio

from journeyman.agent.models.engine import Engine
from journeyman.agent.models.files import ModelFiles
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.model import Sampling
from journeyman.agent.models.requantise import COPY, requantised
from journeyman.agent.models.spec import make_model
from journeyman.errors import UsageError
from journeyman.home import data_dir
from journeyman.traces.store import Store
from journeyman.training.attempt import Trial
from journeyman.training.course import Course, StageName, Test
from journeyman.training.rollout import ON_POLICY, Batch, attempts, rollout, sample_until
from journeyman.training.tally import Tally, tally
from journeyman.training.tasks import Task

GREEDY = Sampling(temperature=0.0, max_tokens=512)
DRAWN: dict[str, Sampling] = {
    "guide": Sampling(temperature=0.8, max_tokens=256),  # under a grammar, so without log-probabilities
    "teach": Sampling(temperature=0.7, max_tokens=2048),  # another's, whose tokens are not needed
}
"""How attempts of a stage are drawn, where not as reinforcement needs them."""


class Ground:
    """A course's own part of the store.

    Args:
        course: what is to be done.
        store: where runs go.
        say: hears what goes on, a line at a time; one that ends in a carriage return is replaced by the next.
    """

    def __init__(self, course: Course, store: Store, say: Callable[[str], None]) -> None:
        self.store = store
        self._course, self._say = course, say
        self._runner = _quick(course.base)

    def batch(self, label: str | int) -> str:
        return f"{self._course.name}.{label}"

    def practise(
        self, number: int, stage: StageName, draw: Callable[[int | None], Sequence[Task]], start: Path | None
    ) -> None:
        """The attempts of a stage; for reinforcement, until enough groups teach something.

        Args:
            number: of the stage.
            stage: what it is.
            draw: the tasks to begin with, for None; else so many of each kind, as for `sample_until`.
            start: the adapter.
        """
        course = self._course
        model = make_model(course.teacher, self._engine()) if stage == "teach" else self._model(start)
        mixed = course.mixed if stage == "grpo" else 0
        sampling = DRAWN.get(stage, ON_POLICY)
        batch = self._drawn(number, draw(None), sampling, n=course.n, mixed=mixed, hint=stage == "guide")
        if mixed:
            anyio.run(sample_until, batch, draw, model, self.store, self._counting(number))
        else:
            anyio.run(rollout, batch, model, self.store, self._counting(number))

    def test(self, label: str, adapter: Path | None, tasks: Sequence[Task]) -> Test:
        """Each task once, greedily. What could not be judged is tried again, and then left out."""
        began = time.monotonic()
        self._attempt(label, tasks, adapter, GREEDY, 1)
        if any(each.reward is None for each in attempts(self.store, self.batch(label)).values()):
            self._attempt(label, tasks, adapter, GREEDY, 1)

        tried = attempts(self.store, self.batch(label))
        right = {key: each.reward == 1 for (key, _), each in tried.items() if each.reward is not None}
        unjudged = f", {len(tried) - len(right)} could not be judged" if len(right) < len(tried) else ""
        self._say(f"{label}: {sum(right.values())} of {len(right)} right{unjudged}")
        kinds = {task.key: task.kind for task in tasks}
        return Test(right=right, kinds=kinds, seconds=round(time.monotonic() - began, 1))

    def several(self, label: str, adapter: Path | None, tasks: Sequence[Task]) -> Tally:
        """Each task `passes` times, at temperature 1."""
        self._attempt(label, tasks, adapter, ON_POLICY, self._course.passes)
        return self.tally(label)

    def tally(self, label: str | int) -> Tally:
        return tally(attempts(self.store, self.batch(label)).values())

    def _attempt(self, label: str, tasks: Sequence[Task], adapter: Path | None, sampling: Sampling, n: int) -> None:
        batch = self._drawn(label, tasks, sampling, n=n)
        anyio.run(rollout, batch, self._model(adapter), self.store, self._counting(label))

    def _drawn(self, label: str | int, tasks: Sequence[Task], sampling: Sampling, **more: Any) -> Batch:
        return Batch(self.batch(label), tasks, parallel=self._course.parallel, sampling=sampling, **more)

    def _counting(self, label: str | int) -> Callable[[Trial], None]:
        done, right = 0, 0

        def report(trial: Trial) -> None:
            nonlocal done, right
            done, right = done + 1, right + trial.right
            self._say(f"{label}: {done} attempts, {right} right\r")

        return report

    def _model(self, adapter: Path | None) -> LlamaModel:
        return LlamaModel(ModelFiles(model=self._runner, adapters=(adapter,) if adapter else ()), self._engine())

    def _engine(self) -> Engine:
        return Engine(parallel=self._course.parallel, stream=False)


def _quick(base: Path) -> Path:
    """A copy of the base that this machine's CPU runs fast, where it needs one; it is made once."""
    copy = data_dir() / "models" / f"{base.stem}.{COPY}.gguf"
    if copy.exists():
        return copy

    try:
        return requantised(base, copy, lambda _done, _all: None)
    except UsageError:
        return base  # it is fast as it is
