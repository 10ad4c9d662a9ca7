"""Stops a model that goes round in circles: the same call again and again, or calls that cannot be made.

First it must answer without tools. A model that nothing binds to that (one drawn freely, for training) may call all the
same; where it keeps on, the run is lost.

A fold over the run's events. Repeating a call that succeeded is as much a circle as repeating one that failed; but
after something was changed, or the user has said more, looking again is not.
"""

import json
from dataclasses import dataclass, field

from journeyman.agent.rest import GO_ON
from journeyman.traces.events import (
    CallFinished,
    CallProposed,
    Compacted,
    Event,
    MessageAdded,
    ModelRequested,
    RunResumed,
    RunStarted,
)
from journeyman.traces.messages import ToolResult

_sorted = json.JSONEncoder(sort_keys=True).encode
DONE = {"ok", "error", "timeout", "unknown"}
"""How a call ends that may have changed something."""
PATIENCE = 3
"""Calls in a row that cannot be made, until the model must answer without tools; and how often it is asked to."""


@dataclass(slots=True)
class Guard:
    repeats: int = 3
    """How often the same call may be made with nothing changed in between."""
    stop: bool = False
    """The next model call must answer."""
    _readers: set[str] = field(default_factory=set)
    """Tools that change nothing."""
    _proposed: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Tool and key of calls that have no result yet."""
    _times: dict[str, int] = field(default_factory=dict)
    _results: dict[str, ToolResult] = field(default_factory=dict)
    _invalid: int = 0
    _for_words: int = 0
    """How often it was asked to answer since it last made a call that was new."""
    _summing: bool = False
    """The next answer is a summary of the run so far, and not what `stop` waits for."""

    def apply(self, event: Event) -> None:
        if type(event) is CallProposed:
            self._propose(event)
        elif type(event) is CallFinished:
            self._finish(event)
        elif type(event) is ModelRequested and event.choice == "none":
            self._for_words += not self._summing
            self.stop = self.stop and self._summing
        elif type(event) is MessageAdded or type(event) is Compacted:
            self._summing = type(event) is MessageAdded and event.origin == "compaction"
            asked_anew = type(event) is MessageAdded and event.origin == "user"
            if asked_anew or type(event) is Compacted:  # else what was read may have been left out
                self._times.clear()

            if asked_anew:
                self.stop, self._invalid, self._for_words = False, 0, 0
        elif type(event) is RunStarted or type(event) is RunResumed:
            self._readers |= {tool.identity for tool in event.tools if tool.read_only}
            self._for_words = 0

    @property
    def lost(self) -> bool:
        """It was asked to answer, and goes on with its circle."""
        return self._for_words >= PATIENCE

    def repeated(self, call_id: str) -> ToolResult | None:
        """The earlier result of a call that was made often enough."""
        _, key = self._proposed.get(call_id, ("", ""))
        return self._results.get(key) if self._times.get(key, 0) > self.repeats else None

    def _propose(self, event: CallProposed) -> None:
        if event.problem is not None:
            self._invalid += 1
            self.stop = self.stop or self._invalid >= PATIENCE
            return

        self._invalid = 0
        key = f"{event.tool} {_sorted(event.arguments)}"
        self._proposed[event.call_id] = (event.tool, key)
        self._times[key] = self._times.get(key, 0) + 1

    def _finish(self, event: CallFinished) -> None:
        proposed = self._proposed.pop(event.result.call_id, None)
        if event.status == "repeated":
            self.stop = True
        elif proposed is not None:
            self._for_words = 0
            tool, key = proposed
            if event.result.text.endswith(GO_ON):
                self._times[key] = 0  # the same call reads on
            elif key in self._results and self._results[key].text != event.result.text:
                self._times[key] = 1  # it brings something new each time: no circle

            self._results[key] = event.result
            if tool not in self._readers and event.status in DONE:  # what was read before may be read again
                self._times = {key: self._times.get(key, 1)}
