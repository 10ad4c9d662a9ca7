"""How often the real agent is right on held-out tasks: the whole runtime, each task in a folder of its own.

    report = await evaluate(model, tasks, store)

Nothing is made easier for the evaluation: tools, policy, loop and rendering are those of a normal run, nobody is there
to approve, and what a task may do beyond the default policy is allowed by name.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from pydantic import JsonValue, TypeAdapter, ValidationError

from journeyman.agent.budget import Limits
from journeyman.agent.models.model import Capabilities, Model, Request
from journeyman.agent.outfit import builtins
from journeyman.agent.runtime import Runtime
from journeyman.agent.session import Order
from journeyman.errors import ToolError
from journeyman.policies.policy import Policy
from journeyman.tools.catalog import Catalog
from journeyman.tools.tool import Output, Report
from journeyman.traces.events import Event, ModelDelta, ModelResponded
from journeyman.traces.messages import ToolSpec, Value
from journeyman.traces.store import Store
from journeyman.training.folder import collect, lay_out
from journeyman.training.interval import wilson
from journeyman.training.judge import judge
from journeyman.training.mixture import spec_of
from journeyman.training.tasks import ExtraTool, Task
from journeyman.verifiers.case import Case
from journeyman.verifiers.score import Score

LIMITS = Limits(steps=12, seconds=300)
_ARGUMENTS: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


class Trial(Value):
    """One task, tried once."""

    task: Task
    run_id: str
    answer: str | None
    score: Score
    calls: tuple[str, ...]
    """Aliases or, for tools that do not exist, whatever was called."""
    steps: int
    seconds: float

    @property
    def right(self) -> bool:
        """A run that gave no answer has failed its task."""
        return self.score.value == 1


class Rate(Value):
    right: int
    trials: int
    low: float
    """Of the 95 % Wilson interval."""
    high: float

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> "Rate":
        right = sum(trial.right for trial in trials)
        low, high = wilson(right, len(trials))
        return cls(right=right, trials=len(trials), low=round(low, 4), high=round(high, 4))


@dataclass(frozen=True, slots=True)
class Canned:
    """A tool invented for one task: it answers the oracle's call, and refuses others in words."""

    tool: ExtraTool
    expected: Mapping[str, JsonValue] | None
    """None: it has nothing to do with the task."""

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


async def evaluate(
    model: Model, tasks: Sequence[Task], store: Store, report: Callable[[Trial], None] = lambda _: None
) -> list[Trial]:
    """Try each task once, one after the other, with one open model.

    Raises:
        ModelError, StoreError: there is no model or no store to run with. A run that fails is a trial that fails.
    """
    kept, trials = _KeptOpen(model), []
    try:
        for task in tasks:
            with TemporaryDirectory() as folder:
                trials.append(await _try(kept, task, store, Path(folder)))

            report(trials[-1])
    finally:
        await model.close()

    return trials


def rates(trials: Sequence[Trial]) -> dict[str, dict[str, Rate]]:
    """Kind -> all, seen (templates that training uses) and unseen."""
    table: dict[str, dict[str, Rate]] = {}
    for kind in dict.fromkeys(trial.task.kind for trial in trials):
        ours = [trial for trial in trials if trial.task.kind == kind]
        table[kind] = {
            "all": Rate.of(ours),
            "seen": Rate.of([trial for trial in ours if not trial.task.unseen]),
            "unseen": Rate.of([trial for trial in ours if trial.task.unseen]),
        }

    return table


def outcomes(trials: Sequence[Trial]) -> dict[str, int]:
    """How the wrong ones went wrong, roughly."""
    return dict(Counter(_fault(trial) for trial in trials if not trial.right))


def _fault(trial: Trial) -> str:
    wanted = [step.tool for step in trial.task.oracle]
    if trial.answer is None:
        return "no answer"

    if not trial.calls:
        return "no call" if wanted else "wrong words"

    return "wrong answer" if set(wanted) <= set(trial.calls) else "wrong tools"


async def _try(model: Model, task: Task, store: Store, root: Path) -> Trial:
    lay_out(task.files, root)
    events: list[Event] = []

    started = perf_counter()
    async with Runtime(model, _catalog(task, root), _policy(task, root), store) as runtime:
        result = await runtime.run(Order(task.prompt, limits=LIMITS, root=str(root)), listeners=[events.append])

    return Trial(
        task=task,
        run_id=result.run_id,
        answer=result.answer,
        score=judge(task, Case.of(events, collect(root))),
        calls=tuple(call.name for event in events if isinstance(event, ModelResponded) for call in event.message.calls),
        steps=result.steps,
        seconds=round(perf_counter() - started, 3),
    )


def _catalog(task: Task, root: Path) -> Catalog:
    expected = {step.tool: step.arguments for step in task.oracle}
    own = [Canned(tool, expected.get(tool.name)) for tool in task.extra]
    return Catalog(own if task.alone else [*builtins(root), *own])


def _policy(task: Task, root: Path) -> Policy:
    own = [spec_of(tool).identity for tool in task.extra]
    builtin = [pattern for pattern in task.allow if pattern != "*"]
    policy = Policy.preset("ask").within(root)
    return policy.allow(*builtin, *own) if builtin or own else policy


@dataclass(frozen=True, slots=True)
class _KeptOpen:
    """A model that outlives the runtimes it is used in."""

    model: Model

    @property
    def spec(self) -> str:
        return self.model.spec

    @property
    def capabilities(self) -> Capabilities:
        return self.model.capabilities

    async def open(self) -> Mapping[str, JsonValue]:
        return await self.model.open()

    def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded, None]:
        return self.model.respond(request)

    def forget(self, run_id: str) -> None:
        self.model.forget(run_id)

    async def close(self) -> None:
        """Not yet."""
