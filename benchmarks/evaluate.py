"""How often the real agent is right on held-out tasks: the whole runtime, each task in a folder of its own.

    trials = await evaluate(model, tasks, store)

Nothing is made easier for the evaluation: tools, policy, loop and rendering are those of a normal run, nobody is there
to approve, and what a task may do beyond the default policy is allowed by name.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from journeyman.agent.models.model import Model
from journeyman.traces.messages import Value
from journeyman.traces.store import Store
from journeyman.training.attempt import Trial, attempt, kept_open
from journeyman.training.interval import wilson
from journeyman.training.tasks import Task


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


async def evaluate(
    model: Model, tasks: Sequence[Task], store: Store, report: Callable[[Trial], None] = lambda _: None
) -> list[Trial]:
    """Try each task once, greedily, one after the other, with one open model.

    Raises:
        ModelError, StoreError: there is no model or no store to run with. A run that fails is a trial that fails.
    """
    trials = []
    async with kept_open(model) as kept:
        for task in tasks:
            trials.append(await attempt(kept, task, store))
            report(trials[-1])

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
