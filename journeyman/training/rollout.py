"""Practice: groups of attempts at tasks, verified and recorded token by token.

    batch = Batch("261122-0915", tasks, n=8)
    trials = await rollout(batch, model, store)

A group is the attempts of one batch at one task, alike in all but chance: drawn at temperature 1 without a grammar, as
training needs them. What a batch has already is not done again, so that a killed one goes on where it was.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import anyio
from sqlalchemy import select

from journeyman.agent.budget import Limits
from journeyman.agent.models.model import Model, Sampling
from journeyman.errors import JourneymanError, UsageError
from journeyman.traces.events import Sample
from journeyman.traces.listed import REWARD
from journeyman.traces.project import refresh
from journeyman.traces.projections import reward
from journeyman.traces.schema import run
from journeyman.traces.store import Store
from journeyman.training.attempt import LIMITS, Practice, Trial, attempt, kept_open
from journeyman.training.guide import Guided
from journeyman.training.tally import Tried, tally
from journeyman.training.taskfile import A_FEW
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
    hint: bool = False
    """Give the task's own order of tools."""


@dataclass(slots=True)
class Groups:
    """Rewards by task, as they come; what could not be judged is neither right nor wrong."""

    n: int
    of: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, task: str, value: float | None) -> None:
        if value is not None:
            self.of[task].append(value)

    @property
    def mixed(self) -> int:
        """Complete groups that teach something: not all attempts are worth the same."""
        return sum(len(values) >= self.n and len(set(values)) > 1 for values in self.of.values())


async def rollout(
    batch: Batch, model: Model, store: Store, report: Callable[[Trial], None] = lambda _: None
) -> list[Trial]:
    """Make the attempts that are missing, each reported as it is judged, and return them.

    Raises:
        UsageError: the store has a batch of that name, of other tasks or another model.
        ModelError, StoreError: there is no model or no store to go on with; what was done is stored.
    """
    demand_same(batch, model.spec, store)
    done = settled(batch.name, batch.tasks, store)
    groups = Groups(batch.n)
    for each in done.values():
        groups.add(each.task, each.reward)

    todo = [(task, index) for task in batch.tasks for index in range(batch.n) if (task.key, index) not in done]
    return await work_on(batch, todo, model, store, groups=groups, report=report)


async def work_on(
    batch: Batch,
    todo: Iterable[tuple[Task, int]],
    model: Model,
    store: Store,
    *,
    groups: Groups | None = None,
    report: Callable[[Trial], None] = lambda _: None,
) -> list[Trial]:
    """Make these attempts, each a task and its number in the group.

    Raises:
        ModelError, StoreError: as `rollout`.
    """
    todo, groups = iter(todo), groups or Groups(batch.n)
    async with kept_open(model) as kept, Desk(seconds=batch.seconds) as desk, anyio.create_task_group() as tasks:
        crew = _Crew(batch, kept, store, desk, groups, tasks.cancel_scope, report)
        for _ in range(batch.parallel):
            tasks.start_soon(crew.work, todo)

    if crew.failed:
        raise crew.failed[0]

    return crew.trials


@dataclass(slots=True)
class _Crew:
    batch: Batch
    model: Model
    store: Store
    desk: Desk
    groups: Groups
    scope: anyio.CancelScope
    report: Callable[[Trial], None]
    trials: list[Trial] = field(default_factory=list)
    failed: list[JourneymanError] = field(default_factory=list)

    async def work(self, todo: Iterable[tuple[Task, int]]) -> None:
        """Take one attempt after the other, with others who do the same."""
        for task, index in todo:
            if index == 0 and self.batch.mixed and self.groups.mixed >= self.batch.mixed:
                return

            try:
                trial = await self._attempt(task, index)
            except JourneymanError as error:  # not of the run: of what all runs need
                self.failed.append(error)
                self.scope.cancel()
                return

            self.groups.add(task.key, trial.score.value)
            self.trials.append(trial)
            self.report(trial)

    async def _attempt(self, task: Task, index: int) -> Trial:
        sampling = self.batch.sampling
        if sampling.seed is not None:
            sampling = sampling.model_copy(update={"seed": sampling.seed + index})

        sample = Sample(
            batch=self.batch.name, task=task.key, index=index, kind=task.kind, split=task.split, source=task.source
        )
        practice = Practice(sampling, self.batch.limits, self.desk)
        model = Guided(self.model, task) if self.batch.hint else self.model
        return await attempt(model, task, self.store, practice, sample)


def demand_same(batch: Batch, model: str, store: Store) -> None:
    """A group is of one task and one model, so a batch is gone on with as it was begun.

    Raises:
        UsageError: it would not be.
    """
    wanted = {task.key for task in batch.tasks}
    if others := demand_model(batch.name, model, store) - wanted:
        message = f"The batch {batch.name} has {len(others)} tasks that are not among the {len(wanted)} asked for."
        raise UsageError(message, fix="Go on with the tasks it was begun with, or name another --batch.")


def demand_model(batch: str, model: str, store: Store) -> set[str]:
    """The tasks that a batch was begun with.

    Raises:
        UsageError: it was begun with another model.
    """
    tasks, models = _begun(batch, store)
    if others := models - {model}:
        message = f"The batch {batch} was begun with {', '.join(sorted(others))}, not {model}."
        raise UsageError(message, fix="Go on with that model (--model), or name another --batch.")

    return tasks


def _begun(batch: str, store: Store) -> tuple[set[str], set[str]]:
    """Tasks and models of a batch's runs, whatever became of them."""
    with store.reading() as connection:
        rows = connection.execute(select(run.c.task, run.c.model).where(run.c.batch == batch).distinct()).all()

    return {row.task for row in rows}, {row.model for row in rows}


def learnable(store: Store, batch: str) -> set[str]:
    """Keys of the tasks that were both right and wrong in a batch: those a model is about to learn.

    Raises:
        UsageError: there is no such batch, or it has no such task.
    """
    groups: dict[str, set[float | None]] = defaultdict(set)
    for each in attempts(store, batch).values():
        groups[each.task].add(each.reward)

    found = {task for task, rewards in groups.items() if len(rewards - {None}) > 1}
    if not found:
        why = "has no task that was right once and wrong once" if groups else "is not in the store"
        raise UsageError(f"The batch {batch} {why}.", fix="See which there are: journeyman traces list is:mixed")

    return found


async def sample_until(
    batch: Batch,
    draw: Callable[[int], Sequence[Task]],
    model: Model,
    store: Store,
    report: Callable[[Trial], None] = lambda _: None,
) -> None:
    """Practise ever more tasks until `batch.mixed` groups teach something, or there are no more.

    One that was killed is gone on with: as many are drawn at once as it had.

    Args:
        batch: what to begin with.
        draw: so many tasks of each kind, those of fewer among them; the same again where there are no more.
        model: as for `rollout`.
        store: the same.
        report: the same.

    Raises:
        UsageError, ModelError, StoreError: as `rollout`.
    """
    n = A_FEW
    had, _ = _begun(batch.name, store)
    while had - {task.key for task in batch.tasks} and len(more := draw(2 * n)) > len(batch.tasks):
        n, batch = 2 * n, replace(batch, tasks=more)

    while True:
        await rollout(batch, model, store, report)
        n *= 2
        more = draw(n)
        if len(more) <= len(batch.tasks) or tally(attempts(store, batch.name).values()).mixed >= batch.mixed:
            return

        batch = replace(batch, tasks=more)


def attempts(store: Store, batch: str) -> dict[tuple[str, int], Tried]:
    """The attempts of a batch that a verifier looked at, by task and number; the last where there are several.

    Raises:
        StoreError: the store cannot be read.
    """
    refresh(store)
    columns = run.c["task", "attempt", "reward", "completion_tokens", "seconds", "cost_usd"]
    judged = reward.select().where(reward.c.run_id == run.c.run_id, reward.c.name == REWARD).exists()
    with store.reading() as connection:
        rows = connection.execute(select(*columns).where(run.c.batch == batch, judged).order_by(run.c.started_at)).all()

    return {
        (row.task, row.attempt): Tried(
            task=row.task,
            reward=row.reward,
            tokens=row.completion_tokens,
            seconds=row.seconds or 0.0,
            usd=row.cost_usd,
        )
        for row in rows
    }


def settled(name: str, tasks: Iterable[Task], store: Store) -> dict[tuple[str, int], Tried]:
    """The attempts of a batch that are not made again: they have a reward, or wait for a person to give it.

    Raises:
        StoreError: the store cannot be read.
    """
    waiting = {task.key for task in tasks if any(check.verifier == "human" for check in task.verifiers)}
    found = attempts(store, name)
    return {key: each for key, each in found.items() if each.reward is not None or each.task in waiting}


def runs_of(store: Store, batch: str) -> list[str]:
    """Ids of a batch's runs, oldest first.

    Raises:
        StoreError: the store cannot be read.
    """
    with store.reading() as connection:
        return list(
            connection.execute(select(run.c.run_id).where(run.c.batch == batch).order_by(run.c.run_id)).scalars()
        )
