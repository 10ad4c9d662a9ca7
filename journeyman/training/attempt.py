"""One attempt at a task: the folder laid out, the real agent run in it, what it left judged once it is gone."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, ClassVar

import anyio
from pydantic import JsonValue, TypeAdapter, ValidationError

from journeyman.agent.budget import Limits
from journeyman.agent.models.model import Model, Sampling
from journeyman.agent.models.wrapped import Wrapped
from journeyman.agent.order import Order, Result
from journeyman.agent.outfit import builtins
from journeyman.agent.runtime import Runtime
from journeyman.agent.strategies.strategy import Strategy
from journeyman.errors import ToolError
from journeyman.mcp_servers.registry import SERVERS
from journeyman.policies.policy import Policy
from journeyman.tools.catalog import Catalog
from journeyman.tools.target import Target, target
from journeyman.tools.tool import Output, Report, Tool
from journeyman.traces.events import (
    Event,
    FilesKept,
    ModelResponded,
    Sample,
)
from journeyman.traces.messages import ToolSpec, Usage, Value
from journeyman.traces.store import Store
from journeyman.traces.writer import Stored
from journeyman.training.folder import collect, lay_out
from journeyman.training.judge import judge
from journeyman.training.mixture import spec_of
from journeyman.training.scoring import add, score_run
from journeyman.training.tasks import ExtraTool, Task
from journeyman.verifiers.case import Case
from journeyman.verifiers.desk import Desk
from journeyman.verifiers.recipe import reward
from journeyman.verifiers.score import Score

LIMITS = Limits(steps=12, seconds=300)
_ARGUMENTS: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


class Trial(Value):
    """One task, tried once."""

    task: Task
    run_id: str
    answer: str | None
    score: Score
    """The reward."""
    calls: tuple[str, ...] = ()
    """Aliases or, for tools that do not exist, whatever was called."""
    steps: int = 0
    seconds: float = 0.0
    index: int = 0
    """Which attempt of its group."""
    usage: Usage = Usage()
    usd: float | None = 0.0
    """None: not all of its cost is known."""

    @property
    def right(self) -> bool:
        """A run that gave no answer has failed its task."""
        return self.score.value == 1


@dataclass(frozen=True, slots=True)
class Practice:
    """How attempts are made; by default greedily, as an evaluation does."""

    sampling: Sampling = field(default_factory=Sampling)
    limits: Limits = LIMITS
    desk: Desk | None = None
    """Where attempts are verified; None for quick verifiers of ours, in this process. Scores are stored with a desk."""
    strategy: Strategy | None = None
    others: Mapping[str, Model] = field(default_factory=dict)
    """Models that the strategy asks beside the one that is tried."""


@dataclass(frozen=True, slots=True)
class Canned:
    """A tool invented for one task: it answers the oracle's call, and refuses others in words."""

    tool: ExtraTool
    expected: Mapping[str, JsonValue] | None
    """None: it has nothing to do with the task."""
    contained: ClassVar[bool] = True
    """It changes nothing anywhere: several attempts may call it."""

    @property
    def spec(self) -> ToolSpec:
        return spec_of(self.tool)

    def parse(self, arguments: str) -> dict[str, JsonValue]:
        try:
            return _ARGUMENTS.validate_json(arguments)
        except ValidationError:
            raise ToolError(f"{self.tool.name} takes a JSON object") from None

    async def call(self, arguments: dict[str, JsonValue], report: Report) -> Output:  # noqa: ARG002 - done at once
        if self.expected is None or arguments != self.expected:
            raise ToolError("nothing found")

        return Output(self.tool.result)


async def attempt(
    model: Model, task: Task, store: Store, practice: Practice | None = None, sample: Sample | None = None
) -> Trial:
    """Try a task once, with an open model.

    Raises:
        ModelError, StoreError: there is no model or no store to run with. A run that fails is a trial that fails.
    """
    practice = practice or Practice()
    events: list[Event] = []
    started = perf_counter()
    with TemporaryDirectory() as folder:
        root = Path(folder)
        lay_out(task.files, root)
        order = Order(
            task.prompt,
            limits=practice.limits,
            sampling=practice.sampling,
            root=str(root),
            sample=sample,
            strategy=practice.strategy,
            verify=_verifier(task, practice.desk),
        )
        async with Runtime(model, _catalog(task, root), _policy(task, root), store, others=practice.others) as runtime:
            result = await runtime.run(order, listeners=[events.append])

        files = await anyio.to_thread.run_sync(collect, root)

    if practice.desk is None:
        score = judge(task, Case.of(events, files))
    else:
        score = await _verified(task, files, result, store, practice.desk)

    return Trial(
        task=task,
        run_id=result.run_id,
        answer=result.answer,
        score=score,
        calls=tuple(call.name for event in events if isinstance(event, ModelResponded) for call in event.message.calls),
        steps=result.steps,
        seconds=round(perf_counter() - started, 3),
        index=sample.index if sample else 0,
        usage=result.usage,
        usd=result.cost_usd,
    )


def _verifier(task: Task, desk: Desk | None) -> Callable[[Result, Case], Awaitable[Score]]:
    """The task's own checks, for a strategy that asks them."""

    async def verify(_result: Result, case: Case) -> Score:
        if desk is None:
            return judge(task, case)

        return reward(task.verifiers, await desk.verify(task.verifiers, case))

    return verify


async def _verified(task: Task, files: Mapping[str, str | None], result: Result, store: Store, desk: Desk) -> Score:
    """Keep what the run left, and judge it by its trace; a search by that of the run it chose."""
    run_id = result.run_id
    run = await anyio.to_thread.run_sync(lambda: list(store.events(run_id)))
    chosen = result.chosen
    shown = await anyio.to_thread.run_sync(lambda: list(store.events(chosen))) if chosen else None
    left = {path: text for path, text in files.items() if task.files.get(path) != text}
    gone = tuple(sorted(task.files.keys() - files.keys()))
    if left or gone:
        kept = FilesKept(files=left, gone=gone)
        await add(store, run, [kept])
        run.append(Stored(run_id, run[-1].seq + 1, run[-1].at, kept))

    return await score_run(store, run, task.verifiers, desk, task.files, shown=shown)


def _catalog(task: Task, root: Path) -> Catalog:
    expected = {step.tool: step.arguments for step in task.oracle}
    own = [Canned(tool, expected.get(tool.name)) for tool in task.extra]
    return Catalog(own if task.alone else [*_offered(task, root), *own])


def _offered(task: Task, root: Path) -> list[Tool | Target]:
    if task.tools is None:
        return builtins(root)

    ours = builtins(root, [name for name in task.tools if name in SERVERS])
    return [*ours, *(target(name, None) for name in task.tools if name not in SERVERS)]


def _policy(task: Task, root: Path) -> Policy:
    own = [spec_of(tool).identity for tool in task.extra]
    builtin = [pattern for pattern in task.allow if pattern != "*"]
    policy = Policy.preset("ask").within(root)
    policy = policy.allow(*builtin, *own) if builtin or own else policy
    return policy.deny(*task.deny) if task.deny else policy


@asynccontextmanager
async def kept_open(model: Model) -> AsyncGenerator[Model]:
    """A model that outlives the runtimes it is used in, until the end of the block."""
    try:
        yield _KeptOpen(model)
    finally:
        with anyio.CancelScope(shield=True):
            await model.close()


class _KeptOpen(Wrapped):
    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)  # what few models can do, such as answering a group at once
