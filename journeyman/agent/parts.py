"""The parts a run is made of, as the loop sees them. Each room gives its own; users may give theirs."""

from collections.abc import Sequence
from typing import Protocol

from pydantic import JsonValue

from journeyman.policies.decision import Decision
from journeyman.tools.tool import Tool
from journeyman.traces.events import ApprovalAnswered, ApprovalRequested, Event, StoredEvent
from journeyman.traces.messages import ToolSpec


class Toolbox(Protocol):
    @property
    def specs(self) -> Sequence[ToolSpec]: ...

    def find(self, name: str) -> Tool | None:
        """The tool with this model-visible name."""
        ...

    def suggest(self, name: str) -> str:
        """A sentence for a model that named no tool: what there is, and what it may have meant."""
        ...


class Watch(Protocol):
    """A policy over one run."""

    def apply(self, event: Event) -> None:
        """Hear what happens in the run, in order."""
        ...

    def decide(self, tool: ToolSpec, arguments: dict[str, JsonValue]) -> Decision: ...


class Policy(Protocol):
    def watch(self, *, remote: bool) -> Watch:
        """Over a new run; `remote`: what its model reads leaves this machine."""
        ...


class Approver(Protocol):
    """Whoever answers when the policy says ask."""

    async def __call__(self, request: ApprovalRequested) -> ApprovalAnswered: ...


class Recorder(Protocol):
    def record(self, event: StoredEvent) -> None:
        """Take the event in order; returns at once."""
        ...

    async def barrier(self) -> None:
        """Wait until everything recorded so far is committed.

        Raises:
            StoreError: it cannot be.
        """
        ...


async def nobody(request: ApprovalRequested) -> ApprovalAnswered:
    """The approver where no one is there to ask."""
    return ApprovalAnswered(
        call_id=request.call_id,
        approved=False,
        by="nobody",
        reason="this needs a person's permission and nobody is there to ask",
    )


class WithOwn:
    """A toolbox, and the run's own tools in it."""

    def __init__(self, toolbox: Toolbox, own: Sequence[Tool]) -> None:
        self.specs: Sequence[ToolSpec] = (*toolbox.specs, *(tool.spec for tool in own))
        self._toolbox = toolbox
        self._own = {tool.spec.name: tool for tool in own}

    def find(self, name: str) -> Tool | None:
        return self._own.get(name) or self._toolbox.find(name)

    def suggest(self, name: str) -> str:
        return self._toolbox.suggest(name)
