"""Stored runs decided again under another policy: who would have been asked, and what would have been stopped.

Nothing is done again. Each decision of the record is made once more at its place, knowing what the run knew there; so
the results that a stopped call would have kept away are still known to those after it.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import JsonValue

from journeyman.policies.policy import STRICTNESS, Policy
from journeyman.traces.events import (
    ApprovalAnswered,
    CallDecided,
    CallProposed,
    Effect,
    Inside,
    RunResumed,
    RunStarted,
    StoredEvent,
)
from journeyman.traces.messages import ToolSpec, Value


class Redecided(Value):
    """A decision that comes out otherwise."""

    run_id: str
    call_id: str
    tool: str
    arguments: dict[str, JsonValue]
    before: Effect
    after: Effect
    reason: str
    rules: tuple[str, ...]

    @property
    def kind(self) -> str:
        """prompt: asked now and not then. block: denied now and not then. looser: the policy is less strict here."""
        if STRICTNESS[self.after] < STRICTNESS[self.before]:
            return "looser"

        return "prompt" if self.after == "ask" else "block"


class Tally(Value):
    runs: int = 0
    decisions: int = 0
    unknown: int = 0
    """Calls of tools that the run's record does not describe."""
    changed: tuple[Redecided, ...] = ()


def redecide(policy: Policy, runs: Iterable[tuple[str, Sequence[StoredEvent]]]) -> Tally:
    """Decide stored runs again: each is given as its id and its events."""
    count = decisions = unknown = 0
    changed: list[Redecided] = []
    for run_id, events in runs:
        count += 1
        for known, each in _again(policy, run_id, events):
            decisions += known
            unknown += not known
            changed += [each] if each and each.before != each.after else []

    return Tally(runs=count, decisions=decisions, unknown=unknown, changed=tuple(changed))


def _again(policy: Policy, run_id: str, events: Sequence[StoredEvent]) -> Iterator[tuple[bool, Redecided | None]]:
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    able = started.model_info.get("capabilities") if started else None
    policy = policy.within(Path(started.root)) if started and started.root else policy
    watch = policy.watch(remote=isinstance(able, dict) and able.get("remote") is True)
    tools: dict[str, ToolSpec] = {}
    calls: dict[str, tuple[str, dict[str, JsonValue]]] = {}
    for each in events:
        event = each.event if isinstance(each, Inside) else each
        if isinstance(event, RunStarted | RunResumed):
            tools |= {tool.identity: tool for tool in event.tools}
        elif isinstance(event, CallProposed) and event.arguments is not None:
            calls[event.call_id] = event.tool, event.arguments
        elif isinstance(event, ApprovalAnswered) and event.arguments is not None and event.call_id in calls:
            calls[event.call_id] = calls[event.call_id][0], event.arguments
        elif isinstance(event, CallDecided) and event.call_id in calls:
            name, arguments = calls[event.call_id]
            if name not in tools:
                yield False, None
            else:
                now = watch.decide(tools[name], arguments)
                yield (
                    True,
                    Redecided(
                        run_id=run_id,
                        call_id=event.call_id,
                        tool=name,
                        arguments=arguments,
                        before=event.effect,
                        after=now.effect,
                        reason=now.reason,
                        rules=now.rules,
                    ),
                )

        watch.apply(event)
