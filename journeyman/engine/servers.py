"""How a session's tool servers do, as far as it has used them: what calls took, and what went wrong last."""

from collections import defaultdict, deque
from typing import Any

from journeyman.traces.events import CallFinished, CallProposed, Event, Inside

NEWEST = 200
"""Calls of a server that count."""
LONGEST = 500
WRONG = {"error", "timeout", "unknown"}


class Calls:
    def __init__(self) -> None:
        self._of: dict[str, str] = {}
        self._took: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=NEWEST))
        self._wrong: dict[str, str] = {}

    def hear(self, event: Event) -> None:
        match event:
            case Inside():
                self.hear(event.event)
            case CallProposed():
                self._of[event.call_id] = event.tool.partition(".")[0]
            case CallFinished():
                server = self._of.pop(event.result.call_id, "")
                if event.status in {"ok", *WRONG}:
                    self._took[server].append(event.seconds)

                if event.status in WRONG:
                    self._wrong[server] = event.result.text[:LONGEST]

    def told(self, server: str) -> dict[str, Any]:
        """What `wire.ServerState` says of them; seconds."""
        took = sorted(self._took.get(server, ()))
        shares = {f"p{share}": took[min(len(took) * share // 100, len(took) - 1)] for share in (50, 95) if took}
        return {"calls": len(took), "error": self._wrong.get(server, ""), **shares}
