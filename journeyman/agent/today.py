"""A stored run beside today: today's tools or today's model in the place of the recorded ones, and where that differs.

With today's tools the calls really happen, under today's policy. With today's model nothing happens: a call has the
result that the same call had in the record, and a call that was not recorded fails in a way the model can read.
"""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from pydantic import JsonValue

from journeyman.agent.models.model import Model
from journeyman.agent.order import Order, as_limited
from journeyman.agent.parts import Approver, Policy, Toolbox
from journeyman.agent.plan import SPEC as PLAN
from journeyman.agent.played import PlayedModel, Unveiled, output_of
from journeyman.agent.session import Crew, execute
from journeyman.errors import ToolError, UsageError
from journeyman.policies.decision import Decision
from journeyman.tools.tool import Output, Report
from journeyman.traces.diff import Difference, diff
from journeyman.traces.events import (
    ApprovalAnswered,
    ApprovalRequested,
    CallFinished,
    CallProposed,
    Event,
    RunStarted,
    StoredEvent,
)
from journeyman.traces.listed import ADDED
from journeyman.traces.messages import ToolSpec, Value
from journeyman.veil import Veil


@dataclass(slots=True)
class Heard:
    """A recorder that keeps what it is given."""

    events: list[StoredEvent] = field(default_factory=list)

    def record(self, event: StoredEvent) -> None:
        self.events.append(event)

    async def barrier(self) -> None:
        pass


class Today(Value):
    """A recorded run beside what happens today."""

    events: tuple[StoredEvent, ...]
    difference: Difference


async def with_tools(
    events: Sequence[StoredEvent],
    toolbox: Toolbox,
    policy: Policy,
    approver: Approver,
    policy_info: Mapping[str, JsonValue] | None = None,
    *,
    veil: Veil | None = None,
) -> Today:
    """The recorded model with today's tools: the calls really happen, with the secrets that `veil` knows."""
    started = start_of(events)
    order = _order_of(started)
    heard = Heard()
    crew = Crew(PlayedModel(started, events), toolbox, policy, heard, "replay", approver, policy_info=policy_info or {})
    crew = replace(crew, veil=veil) if veil else crew
    await execute(order, crew)
    return Today(events=tuple(heard.events), difference=diff(_own(events), heard.events))


async def with_model(events: Sequence[StoredEvent], model: Model) -> Today:
    """Today's model with the recorded tools: a call that was not recorded fails, and the model reads so."""
    started = start_of(events)
    heard = Heard()
    crew = Crew(model, Remembered(started, events), _Anything(), heard, "replay", _yes, veil=Unveiled())
    await execute(_order_of(started), crew)
    return Today(events=tuple(heard.events), difference=diff(_own(events), heard.events, ignore=_DECISIONS))


def _own(events: Sequence[StoredEvent]) -> list[StoredEvent]:
    """Without what others have said of the run."""
    return [event for event in events if event.type not in ADDED]


def start_of(events: Sequence[StoredEvent]) -> RunStarted:
    """The first event of a run.

    Raises:
        UsageError: these are not the events of one.
    """
    for event in events:
        if isinstance(event, RunStarted):
            return event

    raise UsageError("These are not the events of a run.", fix="journeyman traces list")


def _order_of(started: RunStarted) -> Order:
    return Order(
        prompt=started.prompt,
        instructions=started.instructions,
        returns=started.returns,
        plan=any(spec.identity == PLAN.identity for spec in started.tools),
        **as_limited(started.limits),
    )


_DECISIONS = frozenset({"call_decided", "approval_requested", "approval_answered"})


class _Anything:
    def watch(self, *, remote: bool) -> Self:  # noqa: ARG002 - whoever reads it
        return self

    def apply(self, event: Event) -> None:
        pass

    def decide(self, tool: ToolSpec, arguments: dict[str, JsonValue]) -> Decision:  # noqa: ARG002 - nothing happens
        return Decision(effect="allow", reason="nothing happens: the results are recorded ones")


async def _yes(request: ApprovalRequested) -> ApprovalAnswered:
    return ApprovalAnswered(call_id=request.call_id, approved=True, by="callback")


class Remembered:
    """The recorded results, found by tool and arguments, in the order they came."""

    def __init__(self, started: RunStarted, events: Sequence[StoredEvent]) -> None:
        self.specs = tuple(spec for spec in started.tools if spec.identity != PLAN.identity)
        proposed = {event.call_id: event for event in events if isinstance(event, CallProposed)}
        self._results: dict[str, deque[CallFinished]] = {}
        for event in events:
            call = proposed.get(event.result.call_id) if isinstance(event, CallFinished) else None
            if call is not None and isinstance(event, CallFinished):
                self._results.setdefault(_key(call.tool, call.arguments), deque()).append(event)

    def find(self, name: str) -> "RememberedTool | None":
        spec = next((spec for spec in self.specs if spec.name == name), None)
        return RememberedTool(spec, self) if spec else None

    def suggest(self, name: str) -> str:
        return f"there is no tool {name!r}; there are {', '.join(spec.name for spec in self.specs)}"

    def take(self, tool: str, arguments: dict[str, JsonValue]) -> CallFinished:
        left = self._results.get(_key(tool, arguments))
        if not left:
            raise ToolError("this call was not made in the recorded run, so its result is not known")

        return left.popleft() if len(left) > 1 else left[0]


def _key(tool: str, arguments: Any) -> str:
    return f"{tool} {json.dumps(arguments, sort_keys=True)}"


@dataclass(frozen=True, slots=True)
class RememberedTool:
    spec: ToolSpec
    memory: Remembered

    def parse(self, arguments: str) -> dict[str, JsonValue]:
        try:
            parsed = json.loads(arguments or "{}")
        except ValueError as error:
            raise ToolError(f"the arguments are no JSON: {error}") from error

        if not isinstance(parsed, dict):
            raise ToolError("the arguments are no JSON object")

        return parsed

    async def call(self, arguments: dict[str, JsonValue], report: Report) -> Output:  # noqa: ARG002 - nothing happens
        return output_of(self.memory.take(self.spec.identity, arguments))
