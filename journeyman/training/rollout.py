"""Practice: groups of attempts at tasks, verified and recorded token by token.

    batch = Batch("261122-0915", tasks, n=8)
    async for trial in rollout(batch, model, store): ...

A group is the attempts of one batch at one task, alike in all but chance: drawn at temperature 1 without a grammar, as
training needs them. What a batch has already is not done again, so that a killed one goes on where it was.
"""

from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from math import inf

import anyio
from anyio.abc import ObjectSendStream

from journeyman.agent.budget import Limits
from journeyman.agent.models.model import Model, Sampling
from journeyman.traces.events import Sample
from journeyman.traces.store import Store
from journeyman.training.attempt import LIMITS, Practice, Trial, attempt, kept_open
from journeyman.training.tasks import Task
from journeyman.verifiers.desk import Desk

ON_POLICY = Sampling(temperature=1.0, top_p=1.0, max_tokens=512, logprobs=True)
"""Every token is drawn from the model's own distribution, and its probability recorded."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be done.

    Args:
        name: of the batch; what the store has of this name is taken as done.
        tasks: each gets a group.
        n: attempts of a group.
        parallel: attempts under way at once.
        mixed: stop when so many groups have both a right and a wrong attempt; 0 for all tasks.
        sampling, limits: of each attempt; its seed counts on with the attempt.
    """

    name: str
    tasks: Sequence[Task]
    n: int = 8
    parallel: int = 1
    mixed: int = 0
    sampling: Sampling = ON_POLICY
    limits: Limits = LIMITS
    seconds: float = 30.0
    """That a verifier may take."""


@dataclass(slots=True)
class Groups:
    """Rewards by task, as they come."""

    n: int
    of: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, task: str, value: float | None) -> None:
        self.of[task].append(value or 0.0)

    @property
    def mixed(self) -> int:
        """Complete groups that teach something: not all attempts are worth the same."""
        return sum(len(values) >= self.n and len(set(values)) > 1 for values in self.of.values())


async def rollout(batch: Batch, model: Model, store: Store) -> AsyncGenerator[Trial]:
    """Each attempt as it is judged; those the store has of this batch are not made again.

    Raises:
        ModelError, StoreError: there is no model or no store to go on with; what was done is stored.
    """
    done = attempts(store, batch.name)
    groups = Groups(batch.n)
    for sample, value in done.values():
        groups.add(sample.task, value)

    todo = iter([(task, index) for task in batch.tasks for index in range(batch.n) if (task.key, index) not in done])
    send, receive = anyio.create_memory_object_stream[Trial](inf)
    async with AsyncExitStack() as stack:
        kept = await stack.enter_async_context(kept_open(model))
        desk = await stack.enter_async_context(Desk(seconds=batch.seconds))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        worker = _Worker(batch, kept, store, desk, groups)
        for _ in range(batch.parallel):
            tasks.start_soon(worker.work, todo, send.clone())

        send.close()
        async with aclosing(receive):
            async for trial in receive:
                yield trial


@dataclass(frozen=True, slots=True)
class _Worker:
    batch: Batch
    model: Model
    store: Store
    desk: Desk
    groups: Groups

    async def work(self, todo: Iterable[tuple[Task, int]], out: ObjectSendStream[Trial]) -> None:
        async with out:
            for task, index in todo:
                if index == 0 and self.batch.mixed and self.groups.mixed >= self.batch.mixed:
                    return

                trial = await self._attempt(task, index)
                self.groups.add(task.key, trial.score.value)
                await out.send(trial)

    async def _attempt(self, task: Task, index: int) -> Trial:
        sampling = self.batch.sampling
        if sampling.seed is not None:
            sampling = sampling.model_copy(update={"seed": sampling.seed + index})

        sample = Sample(
            batch=self.batch.name, task=task.key, index=index, kind=task.kind, split=task.split, source=task.source
        )
        practice = Practice(sampling, self.batch.limits, self.desk)
        return await attempt(self.model, task, self.store, practice, sample)
