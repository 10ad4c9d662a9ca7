"""Where a right and a wrong attempt at one task part: the same conversation, and two different next turns.

Trainers of preferences have no mask for what tools said: given whole runs they would train on it as if the model had
written it. So only the one turn is compared in which two runs of a group first differ.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from journeyman.traces.events import SampleScored
from journeyman.traces.export import Skip
from journeyman.traces.export.messages import conversation
from journeyman.traces.export.sequences import demand_trainable, reward
from journeyman.traces.writer import Stored

Turn = dict[str, Any]


class Pair(NamedTuple):
    prompt: list[Turn]
    chosen: Turn
    rejected: Turn
    tools: str


def candidate(run: Sequence[Stored]) -> Iterator[str]:
    """A run as `pairs` reads it."""
    started = demand_trainable(run)
    if started.sample is None or started.parent is not None:
        raise Skip("it is not an attempt of a group")

    value = reward(run)
    if value is None:
        raise Skip("it was not scored")

    messages, tools = conversation(run)
    group = f"{started.sample.batch}/{started.sample.task}"
    row = {"group": group, "reward": value, "judge": _opinion(run), "messages": messages, "tools": tools}
    yield json.dumps(row, ensure_ascii=False)


def _opinion(run: Sequence[Stored]) -> float:
    """A judge's newest mark, which parts two runs that are both right."""
    marks = [each.event.score for each in run if isinstance(each.event, SampleScored) and each.event.name == "judge"]
    return (marks[-1] if marks else None) or 0.0


def pairs(candidates: Iterable[str]) -> Iterator[Pair]:
    """Each wrong run against the right one that goes with it furthest, the same pair once.

    Of two such right ones that is taken which a judge thinks better of.
    """
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in candidates:
        row = json.loads(line)
        groups[row["group"]].append(row)

    seen: set[str] = set()
    for group in groups.values():
        best = max(row["reward"] for row in group)
        right = sorted((row for row in group if row["reward"] == best), key=lambda row: -row["judge"])
        for wrong in (row for row in group if row["reward"] < best):
            pair = max((each for row in right if (each := _parted(row, wrong))), key=_length, default=None)
            key = json.dumps(pair, sort_keys=True)
            if pair is not None and key not in seen:
                seen.add(key)
                yield pair


def _length(pair: Pair) -> int:
    return len(pair.prompt)


def _parted(right: dict[str, Any], wrong: dict[str, Any]) -> Pair | None:
    """None where it is not the model that parts them: a tool said something else, or one simply goes on."""
    for at, (one, other) in enumerate(zip(right["messages"], wrong["messages"], strict=False)):
        if one != other:
            both = one["role"] == other["role"] == "assistant"
            return Pair(right["messages"][:at], one, other, right["tools"]) if both else None

    return None
