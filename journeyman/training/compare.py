"""What more thinking buys: the same tasks under several strategies, what came of each, and what it took.

    comparison = await compare(Plan("261122", strategies, tasks), model, store)

Every attempt is stored, in a batch for each strategy, so that one that was cut off goes on where it was. The strategies
take turns at each task: what is cut off is even. Each is set against the first by the tasks they both tried.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from journeyman.agent.budget import Limits
from journeyman.agent.models.model import Model, Sampling
from journeyman.agent.session import Order
from journeyman.agent.strategies.strategy import Strategy
from journeyman.traces.events import Sample
from journeyman.traces.messages import Value
from journeyman.traces.store import Store
from journeyman.training.attempt import LIMITS, Practice, Trial, attempt, kept_open
from journeyman.training.interval import mcnemar, wilson
from journeyman.training.rollout import attempts, demand_model, settled
from journeyman.training.tally import Tried
from journeyman.training.tasks import Task
from journeyman.verifiers.desk import Desk


@dataclass(frozen=True, slots=True)
class Plan:
    """What is compared.

    Args:
        name: of the comparison; what the store has of this name is taken as done.
        strategies: the first is what the others are set against.
        tasks: each is tried once by each.
        sampling, limits: of each attempt, whatever its strategy; a search shares the limits among its candidates.
    """

    name: str
    strategies: Sequence[Strategy]
    tasks: Sequence[Task]
    sampling: Sampling = field(default_factory=lambda: Sampling(seed=1, max_tokens=512))
    limits: Limits = LIMITS

    def batch(self, strategy: Strategy) -> str:
        """Where its attempts are kept."""
        return f"{self.name}/{strategy}"


class Arm(Value):
    """One strategy over all tasks, or over those of one kind."""

    strategy: str
    tasks: int
    """That it tried and that could be judged."""
    right: int
    low: float
    """Of the 95 % Wilson interval of the share that was right."""
    high: float
    tokens: float
    """That the model wrote, a task; judgements and what was not chosen included."""
    seconds: float
    """A task."""
    usd: float | None
    """A task; None where a price is not known."""
    unjudged: int = 0
    """Attempts that are neither right nor wrong: nothing above counts them."""
    better: int = 0
    """Tasks that it got right and the first strategy did not."""
    worse: int = 0
    p: float = 1.0
    """Of so uneven a split by chance alone (exact McNemar test, two-sided)."""


class Comparison(Value):
    name: str
    model: str
    arms: tuple[Arm, ...]
    kinds: dict[str, tuple[Arm, ...]]


async def compare(
    plan: Plan,
    model: Model,
    store: Store,
    report: Callable[[Strategy, Trial], None] = lambda *_: None,
    others: Mapping[str, Model] | None = None,
) -> Comparison:
    """Make the attempts that are missing, and add them up; `others` are the models that strategies name.

    Raises:
        UsageError: a strategy cannot do its work with this model, or the comparison was begun with another.
        ModelError, StoreError: there is no model or no store to go on with; what was done is stored.
    """
    done = {}
    for batch in map(plan.batch, plan.strategies):
        demand_model(batch, model.spec, store)
        done[batch] = settled(batch, plan.tasks, store)

    if all((task.key, 0) in tried for tried in done.values() for task in plan.tasks):
        return compared(plan, model.spec, store)  # told without any model

    async with kept_open(model) as kept, Desk() as desk, AsyncExitStack() as stack:
        more = {spec: await stack.enter_async_context(kept_open(each)) for spec, each in (others or {}).items()}
        for each in (kept, *more.values()):  # one that cannot be had is no wrong answer
            await each.open()  # only then is known what it can do

        for strategy in plan.strategies:
            strategy.needs(Order("", check=lambda _answer: None), kept.capabilities)

        for task in plan.tasks:
            for strategy in plan.strategies:
                batch = plan.batch(strategy)
                if (task.key, 0) not in done[batch]:
                    sample = Sample(batch=batch, task=task.key, index=0, kind=task.kind, split=task.split)
                    practice = Practice(plan.sampling, plan.limits, desk, strategy, more)
                    report(strategy, await attempt(kept, task, store, practice, sample))

    return compared(plan, model.spec, store)


def compared(plan: Plan, model: str, store: Store) -> Comparison:
    """What the store has of a comparison. Raises `StoreError`: it cannot be read."""
    kinds = {task.key: task.kind for task in plan.tasks}
    tried = {
        str(each): {task: one for (task, _), one in attempts(store, plan.batch(each)).items() if task in kinds}
        for each in plan.strategies
    }
    of_kind = {kind: [key for key, its in kinds.items() if its == kind] for kind in dict.fromkeys(kinds.values())}
    return Comparison(
        name=plan.name,
        model=model,
        arms=_arms(tried, kinds),
        kinds={kind: _arms(tried, keys) for kind, keys in of_kind.items()} if len(of_kind) > 1 else {},
    )


def _arms(tried: Mapping[str, Mapping[str, Tried]], keys: Iterable[str]) -> tuple[Arm, ...]:
    keys = list(keys)
    first = next(iter(tried.values()))
    return tuple(arm(name, {key: by[key] for key in keys if key in by}, first) for name, by in tried.items())


def arm(strategy: str, tried: Mapping[str, Tried], first: Mapping[str, Tried]) -> Arm:
    """Attempts by task, added up and set against those of the first strategy."""
    everything, tried, first = len(tried), _judged(tried), _judged(first)
    right = {key for key, one in tried.items() if one.reward == 1}
    both = tried.keys() & first.keys()
    base = {key for key in both if first[key].reward == 1}
    better, worse = len(right & both - base), len(base - right)
    low, high = wilson(len(right), len(tried))
    n = max(len(tried), 1)
    costs = [one.usd for one in tried.values()]
    return Arm(
        strategy=strategy,
        tasks=len(tried),
        right=len(right),
        low=round(low, 4),
        high=round(high, 4),
        tokens=round(sum(one.tokens for one in tried.values()) / n, 1),
        seconds=round(sum(one.seconds for one in tried.values()) / n, 2),
        usd=None if None in costs else sum(cost for cost in costs if cost) / n,
        unjudged=everything - len(tried),
        better=better,
        worse=worse,
        p=round(mcnemar(better, worse), 4),
    )


def _judged(tried: Mapping[str, Tried]) -> dict[str, Tried]:
    return {key: one for key, one in tried.items() if one.reward is not None}
