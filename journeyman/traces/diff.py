"""Two runs side by side: what they have in common, and where they part.

Events are compared by what was said and done. Times, prices, token counts and the names of calls (`c1`, `call_x7`) say
nothing about that and are left out, and so is where a run was taken up again or forked. What the runs were set up with
(model, tools, policy ...) is told beside it.
"""

from collections.abc import Sequence
from typing import Any

from journeyman.traces.events import RunStarted, StoredEvent
from journeyman.traces.messages import Value

SETUP = ("model", "model_info", "instructions", "tools", "policy", "limits", "returns", "root", "seed")
_NO_DEED = frozenset({"seconds", "usage", "cost_usd", "tokens"})
_SILENT = frozenset({"budget_warned", "run_resumed"})


class Difference(Value):
    events: int
    """How many both begin with."""
    step: int = 0
    """The step in which they part; 0 before the first."""
    left: int | None = None
    """Index in the first run's events of the first that differs; None where that run has no more."""
    right: int | None = None
    setup: tuple[str, ...] = ()
    """Fields of `run_started` that differ."""

    @property
    def same(self) -> bool:
        """They do the same to their end."""
        return self.left is None and self.right is None


def diff(
    left: Sequence[StoredEvent], right: Sequence[StoredEvent], *, ignore: frozenset[str] = frozenset()
) -> Difference:
    """Where two runs part; types of events to `ignore` are left out."""
    ours, theirs = _deeds(left, ignore | _SILENT), _deeds(right, ignore | _SILENT)
    setup = _setup(left, right)
    step = 0
    for events, ((at, mine), (other_at, other)) in enumerate(zip(ours, theirs, strict=False)):
        step = mine.get("step", step)
        if mine != other:
            return Difference(events=events, step=step, left=at, right=other_at, setup=setup)

    events = min(len(ours), len(theirs))
    rest = [run[events][0] if len(run) > events else None for run in (ours, theirs)]
    return Difference(events=events, step=step, left=rest[0], right=rest[1], setup=setup)


def _setup(left: Sequence[StoredEvent], right: Sequence[StoredEvent]) -> tuple[str, ...]:
    """As the runs go on now: of a fork, its own."""
    ours, theirs = (next((e for e in reversed(run) if isinstance(e, RunStarted)), None) for run in (left, right))
    if ours is None or theirs is None:
        return ()

    return tuple(name for name in SETUP if getattr(ours, name) != getattr(theirs, name))


def _deeds(events: Sequence[StoredEvent], ignore: frozenset[str]) -> list[tuple[int, dict[str, Any]]]:
    names: dict[str, str] = {}
    seen = [(at, event) for at, event in enumerate(events) if event.type not in ignore]
    return [(at, _deed(event, names)) for at, event in seen if at == 0 or event.type != "run_started"]


def _deed(event: StoredEvent, names: dict[str, str]) -> dict[str, Any]:
    if isinstance(event, RunStarted):
        return {"type": event.type, "prompt": event.prompt}

    return _stripped(event.model_dump(mode="json", exclude_none=True), names)


def _stripped(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_stripped(item, names) for item in value]

    if not isinstance(value, dict):
        return value

    kept = {key: _stripped(item, names) for key, item in value.items() if key not in _NO_DEED}
    for key in ("call_id", "id"):
        if (key == "call_id" or kept.get("type") == "tool_call") and isinstance(kept.get(key), str):
            kept[key] = names.setdefault(kept[key], f"call {len(names) + 1}")

    return kept
