"""One prompt of a session: what was said, who said it, and how it ended."""

from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import anyio

from journeyman.agent.order import Result
from journeyman.engine.peer import Peer
from journeyman.errors import JourneymanError

Json = dict[str, Any]
STOPS = {"answered": "end_turn", "budget": "max_turn_requests", "interrupted": "cancelled"}


@dataclass(slots=True)
class Turn:
    text: str
    asker: Peer | None
    command: str = ""
    """To be run in place of asking the model."""
    id: str = field(default_factory=lambda: token_hex(4))
    ended: anyio.Event = field(default_factory=anyio.Event)
    result: Result | None = None
    error: JourneymanError | None = None

    @property
    def stop(self) -> str:
        """ACP's word for how it ended."""
        if self.result is None:
            return "end_turn" if self.error else "cancelled"

        refused = self.error is not None and self.error.kind == "refusal"
        return "refusal" if refused else STOPS.get(self.result.outcome, "end_turn")


def ended(turn: Turn) -> Json:
    """What a `wire.Turn` says at the end."""
    result, error = turn.result, turn.error
    known = {}
    if result is not None:
        known = {
            "outcome": result.outcome,
            "usage": result.usage.model_dump(),
            "cost_usd": result.cost_usd,
            "seconds": result.seconds,
            "denied": result.denied,
        }

    outcome = {"outcome": "failed" if error else "interrupted"}
    return {"running": False, "stopReason": turn.stop, "error": error.told if error else None, **outcome, **known}
