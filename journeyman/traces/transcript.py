"""A stored run as a person reads it: who said what, which calls were made, decided how, and what came of them.

Everything that a model, a tool or a file said is passed through the renderer that is handed in, so that nothing in it
can act on a terminal.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from journeyman.traces.events import (
    ApprovalAnswered,
    BudgetRaised,
    CallDecided,
    CallFinished,
    CallProposed,
    CandidateChosen,
    CandidateScored,
    CandidateTried,
    Compacted,
    Inside,
    MessageAdded,
    ModelResponded,
    PlanUpdated,
    RunFinished,
    RunResumed,
    RunStarted,
    SampleScored,
    StoredEvent,
)
from journeyman.traces.writer import Stored

Safe = Callable[[str], str]
Searched = CandidateTried | CandidateScored | CandidateChosen
MARKS = {"done": "x", "active": ">", "pending": " ", "dropped": "-"}


def transcript(stored: Iterable[Stored], safe: Safe) -> Iterator[str]:
    """The run, a line at a time."""
    ended, search = False, list[Searched]()
    for each in stored:
        ended = isinstance(each.event, RunFinished) or (ended and each.event.type in {"files_kept", "sample_scored"})
        if isinstance(each.event, Searched):
            search.append(each.event)
            if isinstance(each.event, CandidateChosen):
                yield from tree(search, safe)

            continue

        if isinstance(each.event, RunStarted):
            when = datetime.fromtimestamp(each.at / 1e6).astimezone().strftime("%Y-%m-%d %H:%M:%S")
            yield f"run {each.run_id}, {when}, {safe(each.event.model)}, policy {each.event.policy.get('name', '?')}"

        yield from lines(each.event, safe)

    if search and not isinstance(search[-1], CandidateChosen):
        yield from tree(search, safe)

    if not ended:
        yield "(no end: still running, or killed; go on with journeyman run --resume)"


def lines(event: StoredEvent, safe: Safe) -> Iterator[str]:  # noqa: C901, PLR0912 - one case each
    """One event; many have nothing to show."""
    if getattr(event, "secret", False):
        yield "(a secret was typed here: it is not stored, and nothing trains on this run)"

    match event:
        case RunStarted():
            yield from _said("user", event.prompt, safe)
        case MessageAdded():
            yield from _said(event.origin, event.text, safe)
        case ModelResponded():
            for part in event.message.parts:
                if part.type == "thinking":
                    yield from _said(f"thinking{part.shown and f' ({part.shown})'}", part.text, safe)
            if event.message.text:
                yield from _said("assistant", event.message.text, safe)
        case PlanUpdated():
            for step in event.steps:
                yield f"  [{MARKS[step.status]}] {safe(step.text)}"
        case CallProposed(problem=str() as problem):
            yield f"call {safe(event.tool)}: {safe(problem)}"
        case CallProposed():
            yield f"call {safe(event.tool)} {safe(json.dumps(event.arguments, ensure_ascii=False))}"
        case CallDecided():
            yield f"  {event.effect} ({safe(event.reason)})"
        case ApprovalAnswered():
            yield f"  {'approved' if event.approved else 'refused'} by {event.by}"
        case CallFinished():
            yield from _said(f"  {event.status}", event.result.text.removeprefix(f"{event.status}: "), safe)
        case Inside():
            yield from (f"    {line}" for line in lines(event.event, safe))
        case BudgetRaised():
            yield f"budget: {event.limit:g} {event.what} from here on"
        case Compacted():
            yield told(event)
            if event.summary:
                yield from _said("summary", event.summary, safe)
        case RunResumed():
            yield "-- taken up again --"
        case CandidateTried() | CandidateScored() | CandidateChosen():
            yield from searched(event, safe)
        case SampleScored():
            yield f"scored {'-' if event.score is None else f'{event.score:g}'} by {safe(event.verifier)}"
        case RunFinished():
            if event.error:
                yield from _said(f"error ({event.error['kind']})", event.error["message"], safe)

            tokens = f"{event.usage.total_tokens} tokens{dollars(event.cost_usd)}"
            yield f"{event.outcome}: {event.steps} steps, {tokens}, {event.seconds:.1f} s"


def tree(search: Sequence[Searched], safe: Safe) -> Iterator[str]:
    """A search as a tree: under each run those that go on from it or judge it; the chosen one is marked."""
    tried = [event for event in search if isinstance(event, CandidateTried)]
    chosen = next((event for event in search if isinstance(event, CandidateChosen)), None)
    scores: dict[str, list[CandidateScored]] = {}
    for event in search:
        if isinstance(event, CandidateScored):
            scores.setdefault(event.run_id, []).append(event)

    def below(of: str | None, indent: str) -> Iterator[str]:
        siblings = sorted((event for event in tried if event.of == of), key=lambda event: event.index)
        for event in siblings:
            last = event is siblings[-1]
            (line,) = searched(event, safe)
            mark = "* " if chosen and chosen.run_id == event.run_id else ""
            yield f"{indent}{'└─' if last else '├─'} {mark}{line}"
            deeper = f"{indent}{'   ' if last else '│  '}"
            for score in scores.get(event.run_id, ()):
                yield from (f"{deeper}{text}" for text in searched(score, safe))

            yield from below(event.run_id, deeper)

    yield from below(None, "")
    yield from searched(chosen, safe) if chosen else ()


def searched(event: Searched, safe: Safe) -> Iterator[str]:
    """What a search tried, how that was judged, what it took."""
    match event:
        case CandidateTried():
            took = f"{event.usage.completion_tokens} tokens{dollars(event.cost_usd)}, {event.seconds:.1f} s"
            said = safe(event.answer.strip() or event.outcome)
            yield f"{event.role} {event.index} {event.run_id} {safe(event.strategy)}: {said} ({took})"
        case CandidateScored():
            score = "-" if event.score is None else f"{event.score:g}"
            yield f"  {score} by {event.by} for {event.run_id}{event.why and f': {safe(event.why)}'}"
        case CandidateChosen():
            yield f"chosen {event.run_id}: {safe(event.why)}"
            if event.applied:
                yield f"  changed {safe(', '.join(event.applied))}"

            if event.kept_back:
                yield f"  {safe(event.kept_back)}"


def told(event: Compacted) -> str:
    """What was done to make room."""
    what = f"older results were cut to {event.results} characters" if event.results is not None else "a summary stands"
    stays = f"for what came before the last {event.kept} messages" if event.summary else ""
    return " ".join(filter(None, [f"made room ({event.tokens} tokens):", what, stays]))


def dollars(cost: float | None) -> str:
    """Behind a count of tokens: what they cost, that it is not known, or nothing where it is nothing."""
    return ", price unknown" if cost is None else f", ${cost:.4f}" if cost else ""


def _said(who: str, text: str, safe: Safe) -> Iterator[str]:
    first, *rest = text.strip().split("\n")
    yield f"{who}: {safe(first)}"
    for line in rest:
        yield f"    {safe(line)}"
