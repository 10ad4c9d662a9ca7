"""Two runs side by side: what they have in common, and where they part.

Events are compared by what was said and done. Times, prices, token counts and the names of calls (`c1`, `call_x7`) say
nothing about that and are left out; what identifies the model and the folder is compared by `run_started` alone.
"""

from collections.abc import Sequence
from typing import Any

from journeyman.traces.events import StoredEvent
from journeyman.traces.messages import Value

_NO_DEED = {"seconds", "usage", "cost_usd", "tokens", "model_info", "root", "parent", "parent_seq", "version", "limits"}
_SILENT = frozenset({"budget_warned"})
"""Of the clock as much as of the run."""


class Difference(Value):
    same: int
    """Events that both begin with."""
    step: int
    """The step in which they part; 0 before the first."""
    left: int | None
    """Index in the first run's events of the first that differs; None where that run has no more."""
    right: int | None


def diff(
    left: Sequence[StoredEvent], right: Sequence[StoredEvent], *, ignore: frozenset[str] = frozenset()
) -> Difference | None:
    """Where two runs part, types of events to `ignore` left out; None where they do the same to their end."""
    ours, theirs = _deeds(left, ignore | _SILENT), _deeds(right, ignore | _SILENT)
    step = 0
    for same, ((at, mine), (other_at, other)) in enumerate(zip(ours, theirs, strict=False)):
        step = mine.get("step", step)
        if mine != other:
            return Difference(same=same, step=step, left=at, right=other_at)

    same = min(len(ours), len(theirs))
    if len(ours) == len(theirs):
        return None

    rest_left, rest_right = ours[same:], theirs[same:]
    return Difference(
        same=same,
        step=step,
        left=rest_left[0][0] if rest_left else None,
        right=rest_right[0][0] if rest_right else None,
    )


def _deeds(events: Sequence[StoredEvent], ignore: frozenset[str]) -> list[tuple[int, dict[str, Any]]]:
    names: dict[str, str] = {}
    return [(at, _deed(event, names)) for at, event in enumerate(events) if event.type not in ignore]


def _deed(event: StoredEvent, names: dict[str, str]) -> dict[str, Any]:
    data = event.model_dump(mode="json", exclude_none=True)
    return _stripped(data, names)


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
