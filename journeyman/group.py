"""A group in Python: one prompt, tried several times and judged, then written for a trainer.

group = agent.rollouts("2+3?", n=8, verify=lambda run: run.answer == "5")
group.export("sft.jsonl", where="reward == 1")
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from journeyman.agent.models.model import Sampling
from journeyman.agent.order import Order, Result
from journeyman.agent.parts import Approver, nobody
from journeyman.agent.runtime import Runtime
from journeyman.errors import UsageError
from journeyman.traces.events import Sample
from journeyman.traces.export import Exported, export
from journeyman.traces.find import find
from journeyman.traces.listed import REWARD
from journeyman.traces.store import Store, new_run_id
from journeyman.training.scoring import add, verdict
from journeyman.training.tasks import Task
from journeyman.verifiers.score import Score

PARALLEL = 8
"""Runs under way at once."""

Verify = Callable[[Result], Any]
"""Judges a run: True, False, a number from 0 to 1, a `Score`, or None where it cannot tell. It may be async."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a group, judged."""

    run: Result
    reward: float | None
    """0 to 1; None where it was not judged."""


@dataclass(frozen=True, slots=True)
class Group:
    """Runs of one prompt that differ by chance alone, in the order they were begun."""

    name: str
    """Of the batch they are stored under: `journeyman traces list batch:NAME`."""
    attempts: tuple[Attempt, ...]
    store: Store | Path | str
    """Where they are."""

    def __iter__(self) -> Iterator[Attempt]:
        return iter(self.attempts)

    def __len__(self) -> int:
        return len(self.attempts)

    @property
    def rewards(self) -> list[float | None]:
        return [each.reward for each in self.attempts]

    @property
    def answers(self) -> list[str | None]:
        return [each.run.answer for each in self.attempts]

    def export(self, out: str | Path, *, form: str = "messages", where: str = "", force: bool = False) -> Exported:
        """Write its runs for a trainer, or those that a filter fits (as in `traces list`).

        `force`: also in place of a file that is there.

        Raises:
            UsageError: there is no such format, the filter makes no sense or fits nothing, or the file cannot be
                written.
            StoreError: the store cannot be read.
        """
        with self._opened() as store:
            chosen = find(store, f"batch:{self.name} {where}", limit=None)
            if not chosen:
                raise UsageError(f"No run of the group fits {where!r}.", fix=f"Its rewards are {self.rewards}.")

            return export(store, [each.run_id for each in reversed(chosen)], Path(out), form, force=force)

    def _opened(self) -> AbstractContextManager[Store]:
        return nullcontext(self.store) if isinstance(self.store, Store) else closing(Store.open(self.store))


async def practise(
    runtime: Runtime, order: Order, n: int, verify: Verify, approver: Approver = nobody
) -> tuple[str, list[Attempt]]:
    """Run one order `n` times and judge each run; the batch they are stored under, and the runs.

    Raises:
        ModelError, StoreError: there is no model or no store to run with.
        Exception: what `verify` raised; the runs that have ended are stored.
    """
    name = f"sdk-{new_run_id()}"
    attempts: list[Attempt | None] = [None] * n
    limiter = anyio.CapacityLimiter(PARALLEL)

    async def one(index: int) -> None:
        async with limiter:
            sample = Sample(batch=name, task=Task(prompt=order.prompt).key, index=index)
            result = await runtime.run(replace(order, sample=sample, sampling=_drawn(order, index)), approver=approver)
            score = await judged(verify, result)
            await add(runtime.store, list(runtime.store.events(result.run_id)), [verdict(REWARD, score)])
            attempts[index] = Attempt(result, score.value)

    try:
        async with anyio.create_task_group() as tasks:
            for index in range(n):
                tasks.start_soon(one, index)
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None

    return name, [each for each in attempts if each]


def _drawn(order: Order, index: int) -> Sampling:
    """Every run draws differently, also where a seed is set."""
    seed = order.sampling.seed
    return order.sampling if seed is None else order.sampling.model_copy(update={"seed": seed + index})


async def judged(verify: Verify, result: Result) -> Score:
    if inspect.iscoroutinefunction(verify):
        said = await verify(result)
    else:
        said = await anyio.to_thread.run_sync(partial(verify, result))

    if isinstance(said, Score):
        return said

    if said is None:
        return Score.missing("verify did not tell")

    if isinstance(said, bool | int | float) and 0 <= said <= 1:
        return Score.of(said)

    raise UsageError(f"verify said {said!r}.", fix="Return True, False, a number from 0 to 1, or None.")
