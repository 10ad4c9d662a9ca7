"""Scores of stored runs: a run is judged by its trace and the files it left, when it ends or at any time after.

    score = await score_run(store, list(store.events(run_id)), task.verifiers, desk)

Every verdict is an event of the run; a later one of the same name counts in place of the earlier.
"""

from collections.abc import Mapping, Sequence

from journeyman.traces.events import FilesKept, SampleScored, StoredEvent
from journeyman.traces.listed import REWARD
from journeyman.traces.store import Store
from journeyman.traces.writer import Stored
from journeyman.verifiers.case import Case
from journeyman.verifiers.check import Check
from journeyman.verifiers.desk import Desk
from journeyman.verifiers.recipe import reward
from journeyman.verifiers.score import Score


async def score_run(
    store: Store, run: Sequence[Stored], checks: Sequence[Check], desk: Desk, files: Mapping[str, str | None] = {}
) -> Score:
    """Judge a run, keep the verdicts with it, and return the reward.

    Args:
        store: where the run is.
        run: its events.
        checks: what counts.
        desk: where verifiers run.
        files: as they were laid out for it; what the run itself left of them is in its trace.

    Raises:
        ConfigError: a check names no verifier.
        StoreError: the verdicts cannot be stored.
    """
    events = [each.event for each in run]
    case = Case.of(events, files_after(events, files))
    scores = await desk.verify(checks, case)
    total = reward(checks, scores)
    titles = [*(check.title for check in checks), REWARD]
    verdicts = [verdict(name, score) for name, score in zip(titles, [*scores, total], strict=True)]
    await add(store, run, verdicts)
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
