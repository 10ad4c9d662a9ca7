"""The same practice on a Ray cluster: workers with a model each, and one PostgreSQL store that all of them write to.

A worker makes a whole group at a time, so that its attempts share what the model has read. The store is the queue's
memory: what is in it is done, whoever dies. Ray knows where its cluster is by RAY_ADDRESS; without it, it is this
machine. Nothing is sent to Ray's makers.
"""

import os
from collections.abc import Callable
from typing import Any

from sqlalchemy import make_url

from journeyman.agent.models.spec import Engine, make_model
from journeyman.errors import ConfigError, JourneymanError, ModelError, UsageError, install
from journeyman.traces.store import Store
from journeyman.training.attempt import Trial, kept_open
from journeyman.training.rollout import Batch, Groups, demand_same, settled, work_on
from journeyman.training.tasks import Task


def fan_out(
    batch: Batch,
    spec: str,
    engine: Engine,
    where: str,
    *,
    workers: int | None = None,
    report: Callable[[Trial], None] = lambda _: None,
) -> None:
    """Make the attempts of a batch that are missing, with workers on a cluster.

    Args:
        batch: `parallel` counts for each worker.
        spec: the model's; each worker makes its own.
        engine: of a local model.
        where: the store's URL, as every worker reaches it.
        workers: by default one for each core that the cluster has.
        report: told of each attempt.

    Raises:
        UsageError: the store is a file, or the batch is of other tasks or another model.
        ConfigError: Ray is not installed, or there is no cluster.
        ModelError, StoreError: a worker has no model or no store; what was done is stored.
    """
    if "://" not in where or not make_url(where).drivername.startswith("postgresql"):
        fix = "Set JOURNEYMAN_STORE=postgresql://USER:PASSWORD@HOST/NAME, as every worker reaches it"
        raise UsageError("Workers on other machines cannot write to a file on this one.", fix=fix)

    with Store.open(where) as store:
        demand_same(batch, make_model(spec, engine).spec, store)
        done = settled(batch.name, batch.tasks, store)

    groups = Groups(batch.n)
    for each in done.values():
        groups.add(each.task, each.reward)

    missing = ((task, [n for n in range(batch.n) if (task.key, n) not in done]) for task in batch.tasks)
    todo = [(task, indexes) for task, indexes in missing if indexes]
    if not todo:
        return

    ray = _ray()
    count = min(workers or int(ray.cluster_resources().get("CPU", 1)), len(todo))
    actor = ray.remote(Worker)
    free = [actor.options(num_cpus=1, max_restarts=2).remote(batch, spec, engine, where) for _ in range(count)]
    try:
        _deal(ray, free, todo, groups, batch=batch, report=report)
    finally:
        for each in free:
            ray.kill(each)


def _deal(
    ray: Any, workers: list[Any], todo: list[tuple[Task, list[int]]], groups: Groups, *, batch: Batch, report: Any
) -> None:
    """A group to whoever is free, until there is none or enough of them teach something."""
    free, busy = list(workers), {}
    while busy or (todo and not (batch.mixed and groups.mixed >= batch.mixed)):
        while free and todo and not (batch.mixed and groups.mixed >= batch.mixed):
            worker = free.pop()
            busy[worker.practise.remote(*todo.pop(0))] = worker

        (ready, *_), _ = ray.wait(list(busy))
        free.append(busy.pop(ready))
        for trial in _result(ray, ready):
            groups.add(trial.task.key, trial.score.value)
            report(trial)


def _result(ray: Any, reference: Any) -> list[Trial]:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, JourneymanError):
            raise error.cause from None

        raise
    except ray.exceptions.RayActorError as error:
        raise ModelError(f"A worker died: {error}", fix="Go on with the batch; what was done is stored.") from None


class Worker:
    """What runs on the cluster: one model, kept open, and one store."""

    def __init__(self, batch: Batch, spec: str, engine: Engine, where: str) -> None:
        self._batch = batch
        self._store = Store.open(where)
        self._kept = kept_open(make_model(spec, engine))
        self._model: Any = None

    async def practise(self, task: Task, indexes: list[int]) -> list[Trial]:
        """The attempts of one group."""
        if self._model is None:
            self._model = await self._kept.__aenter__()

        return await work_on(self._batch, [(task, index) for index in indexes], self._model, self._store)


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise ConfigError("Ray is not installed.", fix=install("journeyman[ray,postgres]")) from None

    try:
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
    except (ConnectionError, RuntimeError, OSError, ValueError) as error:
        raise ConfigError(
            f"Ray does not start: {error}", fix="See that RAY_ADDRESS names a cluster, or unset it."
        ) from None

    return ray
