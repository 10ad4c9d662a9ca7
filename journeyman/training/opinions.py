"""Ties among verified attempts, broken by a model's opinion; its calls are runs of their own in the same store.

A judge is asked about attempts that were right where their group has several, and its mark stands beside their reward
without changing it: exports of preferences take the better of two right attempts by it. What nothing verified is judged
only where that is asked for.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from journeyman.agent.budget import Limits
from journeyman.agent.models.model import Model, Sampling
from journeyman.agent.order import Order
from journeyman.agent.runtime import Runtime
from journeyman.policies.policy import Policy
from journeyman.tools.catalog import Catalog
from journeyman.traces.events import RunStarted, Sample
from journeyman.traces.export.sequences import reward as worth_of
from journeyman.traces.store import Store
from journeyman.traces.writer import Stored
from journeyman.training.scoring import Again, add, verdict
from journeyman.verifiers.case import Case
from journeyman.verifiers.judge import Opinion, judged

NAME = "judge"
SAMPLING = Sampling(temperature=0.7, max_tokens=256)


@dataclass(frozen=True, slots=True)
class ModelJudge:
    """A model as a judge, with no tools; each of its calls is a run of the batch `judge`, held out of all training."""

    runtime: Runtime

    async def ask(self, question: str, returns: Mapping[str, Any]) -> Opinion:
        """See `Judge`."""
        sample = Sample(batch=NAME, task=NAME, index=0, kind=NAME, split="held_out")
        order = Order(
            question,
            instructions="",
            plan=False,
            returns=returns,
            sampling=SAMPLING,
            limits=Limits(steps=2),
            sample=sample,
        )
        result = await self.runtime.run(order)
        return Opinion(result.answer, result.run_id)


async def break_ties(
    store: Store,
    run_ids: Iterable[str],
    model: Model,
    *,
    everything: bool = False,
    rubric: str = "",
    samples: int = 3,
    report: Callable[[], None] = lambda: None,
) -> Again:
    """Let a model mark right attempts of groups that have several.

    Args:
        store: where the runs are, and where the judge's go.
        run_ids: which.
        model: the judge; closed at the end.
        everything: mark each of them, whatever it was worth.
        rubric: what to look for.
        samples: opinions on each.
        report: called as each run is done.

    Raises:
        ModelError, StoreError: there is no judge, or the store cannot be read or written.
    """
    runs = {run_id: list(store.events(run_id)) for run_id in dict.fromkeys(run_ids)}
    right = {run_id: _group(run) for run_id, run in runs.items() if worth_of(run) == 1}
    several = {group for group, n in Counter(right.values()).items() if group and n > 1}
    done, unjudged, skipped = 0, 0, {}
    async with Runtime(model, Catalog([]), Policy.preset("ask"), store) as runtime:
        for run_id, run in runs.items():
            report()
            if not everything and right.get(run_id) not in several:
                skipped[run_id] = "it breaks no tie: nothing else in its group is right, or it is not"
                continue

            case = Case.of(each.event for each in run)
            score = await judged(case, ModelJudge(runtime), rubric=rubric, samples=samples)
            await add(store, run, [verdict(NAME, score)])
            done, unjudged = done + 1, unjudged + (score.value is None)

    return Again(runs=done, unjudged=unjudged, skipped=skipped)


def _group(run: Sequence[Stored]) -> str:
    """Empty where it is no attempt."""
    started = next((each.event for each in run if isinstance(each.event, RunStarted)), None)
    return f"{started.sample.batch}/{started.sample.task}" if started and started.sample else ""
