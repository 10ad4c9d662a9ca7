"""Scores of stored runs: a run is judged by its trace and the files it left, when it ends or at any time after.

    score = await score_run(store, list(store.events(run_id)), task.verifiers, desk)

Every verdict is an event of the run; a later one of the same name counts in place of the earlier.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import anyio.to_thread

from journeyman.errors import DamagedRun, JourneymanError
from journeyman.traces.events import FilesKept, RunFinished, RunStarted, SampleScored, StoredEvent
from journeyman.traces.export.sequences import reward as worth_of
from journeyman.traces.listed import REWARD
from journeyman.traces.messages import Value
from journeyman.traces.store import Store
from journeyman.traces.writer import Stored
from journeyman.training.tasks import Task
from journeyman.verifiers.case import Case
from journeyman.verifiers.check import Check
from journeyman.verifiers.desk import Desk
from journeyman.verifiers.recipe import reward
from journeyman.verifiers.score import Score


class Again(Value):
    """What judging stored runs anew came to."""

    runs: int = 0
    changed: int = 0
    """Whose reward is another one now."""
    unjudged: int = 0
    skipped: dict[str, str] = {}
    """Why, by run."""


async def score_again(
    store: Store,
    run_ids: Iterable[str],
    tasks: Sequence[Task],
    desk: Desk,
    *,
    extra: Sequence[Check] = (),
    report: Callable[[], None] = lambda: None,
) -> Again:
    """Judge stored runs by their traces, none of them run again.

    Args:
        store: where they are.
        run_ids: which.
        tasks: whose checks make the reward now; a run that tried none of them is left out.
        desk: where verifiers run; as many runs are judged at once as it has workers.
        extra: checks of any run, whose scores stand beside the reward and do not change it.
        report: called as each run is done.

    Raises:
        ConfigError: a check names no verifier.
        StoreError: the store cannot be read or written.
    """
    todo, again = iter(dict.fromkeys(run_ids)), _Again(store, {task.key: task for task in tasks}, desk, extra)
    failed: list[JourneymanError] = []

    async def work() -> None:
        try:
            for run_id in todo:
                await again.judge(run_id)
                report()
        except JourneymanError as error:
            failed.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for _ in range(desk.workers):
            group.start_soon(work)

    if failed:
        raise failed[0]

    return Again(runs=again.runs, changed=again.changed, unjudged=again.unjudged, skipped=again.skipped)


@dataclass(slots=True)
class _Again:
    store: Store
    tasks: Mapping[str, Task]
    desk: Desk
    extra: Sequence[Check]
    runs: int = 0
    changed: int = 0
    unjudged: int = 0
    skipped: dict[str, str] = field(default_factory=dict)

    async def judge(self, run_id: str) -> None:
        try:
            run = await anyio.to_thread.run_sync(lambda: list(self.store.events(run_id)))
        except DamagedRun as damage:
            self.skipped[run_id] = f"it is damaged: {damage}"
            return

        started = next((each.event for each in reversed(run) if isinstance(each.event, RunStarted)), None)
        if not any(isinstance(each.event, RunFinished) for each in run):
            self.skipped[run_id] = "it did not end"
            return

        task = self.tasks.get(started.sample.task) if started and started.sample else None
        if task is None and not self.extra:
            self.skipped[run_id] = "it tried none of these tasks"
            return

        self.runs += 1
        files = task.files if task else {}
        if self.extra:
            await score_run(self.store, run, self.extra, self.desk, files, counts=False)
            run = list(self.store.events(run_id))

        if task is not None:
            score = await score_run(self.store, run, task.verifiers, self.desk, files)
            self.changed += score.value != worth_of(run)
            self.unjudged += score.value is None


async def rate(store: Store, run_id: str, score: float, note: str = "") -> None:
    """Keep what a person thinks of a run: a score called `human`, which counts where nothing else does.

    Args:
        store: where the run is.
        run_id: which.
        score: 0 to 1.
        note: why.

    Raises:
        StoreError: it cannot be stored.
    """
    rating = SampleScored(verifier="human/1", name="human", score=score, evidence={"note": note} if note else None)
    await add(store, list(store.own_events(run_id)), [rating])


async def score_run(
    store: Store,
    run: Sequence[Stored],
    checks: Sequence[Check],
    desk: Desk,
    files: Mapping[str, str | None] = {},
    *,
    counts: bool = True,
    shown: Sequence[Stored] | None = None,
) -> Score:
    """Judge a run, keep the verdicts with it, and return the reward.

    Args:
        store: where the run is.
        run: its events.
        checks: what counts.
        desk: where verifiers run.
        files: as they were laid out for it; what the run itself left of them is in its trace.
        counts: the reward made of them is kept too, and counts.
        shown: what is judged, where that is another run: the one that a search chose.

    Raises:
        ConfigError: a check names no verifier.
        StoreError: the verdicts cannot be stored.
    """
    events = [each.event for each in run]
    case = Case.of([each.event for each in shown] if shown else events, files_after(events, files))
    scores = await desk.verify(checks, case)
    total = reward(checks, scores)
    verdicts = [verdict(check.title, score) for check, score in zip(checks, scores, strict=True)]
    await add(store, run, [*verdicts, verdict(REWARD, total)] if counts else verdicts)
    return total


async def add(store: Store, run: Sequence[Stored], events: Sequence[StoredEvent]) -> None:
    """Store events of a run that has ended."""
    recorder = store.recorder(run[-1].run_id, seq=run[-1].seq)
    for event in events:
        recorder.record(event)

    await recorder.barrier()


def files_after(events: Sequence[StoredEvent], before: Mapping[str, str | None]) -> dict[str, str | None]:
    """The files as a run left them: those it was given, with what it changed."""
    kept = next((event for event in reversed(events) if isinstance(event, FilesKept)), FilesKept(files={}))
    return {path: text for path, text in {**before, **kept.files}.items() if path not in kept.gone}


def verdict(name: str, score: Score) -> SampleScored:
    """A score as an event of the run."""
    return SampleScored(
        verifier=score.verifier,
        name=name,
        score=score.value,
        status=score.status,
        evidence=score.evidence,
        steps=score.steps,
    )
