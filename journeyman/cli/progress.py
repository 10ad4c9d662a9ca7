"""A run as a person sees it on stderr: one line for each thing that happens, a live line for what is under way.

Only on a terminal. Everything a model or a tool said goes through `safe`.
"""

import json
import sys
import time
from typing import TextIO

from journeyman.safe import safe
from journeyman.traces.events import (
    ApprovalAnswered,
    BudgetRaised,
    BudgetWarned,
    CallDecided,
    CallFinished,
    CallProgress,
    CallProposed,
    CallStarted,
    CandidateChosen,
    CandidateScored,
    CandidateTried,
    Compacted,
    Event,
    MessageAdded,
    ModelDelta,
    ModelRequested,
    ModelResponded,
    PlanUpdated,
    RunFinished,
    RunResumed,
    RunStarted,
)
from journeyman.traces.transcript import dollars, searched, told

DIM, BOLD, RED, GREEN, YELLOW, CYAN, OFF = "\33[2m", "\33[1m", "\33[31m", "\33[32m", "\33[33m", "\33[36m", "\33[0m"
MARKS = {"done": "x", "active": ">", "pending": " ", "dropped": "-"}
WIDTH = 100


class Progress:
    """A listener that tells a terminal what goes on."""

    def __init__(self, stream: TextIO = sys.stderr, *, color: bool = True) -> None:
        self._stream = stream
        self._color = color
        self._live = ""
        self._written = 0
        self._began = time.perf_counter()
        self._calls: dict[str, str] = {}

    def __call__(self, event: Event) -> None:  # noqa: C901, PLR0912 - one case for each kind of event
        match event:
            case ModelDelta():
                self._delta(event)
            case RunStarted():
                self.line(
                    f"{safe(event.model, WIDTH)}, {len(event.tools)} tools, policy {event.policy.get('name', '?')}", DIM
                )
            case RunResumed():
                self.line("going on with the stored run", DIM)
            case MessageAdded(origin="compaction"):
                self.line("the window is nearly full: asked for a summary", YELLOW)
            case MessageAdded(origin="runtime"):
                self.line(f"asked to mend: {safe(event.text, 200)}", YELLOW)
            case ModelRequested():
                self._written = 0
                self._began = time.perf_counter()
                self.live(f"thinking (step {event.step})")
            case ModelResponded():
                self._responded(event)
            case PlanUpdated():
                for step in event.steps:
                    self.line(f"  [{MARKS[step.status]}] {safe(step.text, WIDTH)}", CYAN)
            case CallProposed():
                self._proposed(event)
            case CallDecided():
                self._decided(event)
            case ApprovalAnswered():
                self.line(f"  {'approved' if event.approved else 'refused'} by {event.by}", DIM)
            case CallStarted():
                self.live(f"running {self._calls.get(event.call_id, '')}")
            case CallProgress():
                self.live(f"{safe(event.text, WIDTH)} {'' if event.fraction is None else f'{event.fraction:.0%}'}")
            case CallFinished():
                self._finished(event)
            case BudgetWarned():
                self.line(f"budget: {event.used:g} of {event.limit:g} {event.what} used", YELLOW)
            case BudgetRaised():
                self.line(f"budget: {event.limit:g} {event.what} from here on", YELLOW)
            case Compacted():
                self.line(told(event), YELLOW)
            case CandidateTried() | CandidateScored() | CandidateChosen():
                for line in searched(event, lambda text: safe(text, WIDTH)):
                    self.line(line, GREEN if isinstance(event, CandidateChosen) else DIM)
            case RunFinished():
                self._ended(event)

    def _delta(self, event: ModelDelta) -> None:
        if event.kind == "status":
            self.live(safe(event.text, WIDTH))
            return

        self._written += 1
        self.live(f"{'thinking' if event.kind == 'thinking' else 'writing'} ({self._written} pieces)")

    def _responded(self, event: ModelResponded) -> None:
        for part in event.message.parts:
            if part.type == "thinking":
                self.line(f"thought{part.shown and f' ({part.shown})'}: {safe(part.text, 3 * WIDTH)}", DIM)

        usage = event.usage
        cached = f" ({usage.cached_tokens} cached)" if usage.cached_tokens else ""
        cost = dollars(event.cost_usd)
        self.line(
            f"step {event.step}: read {usage.prompt_tokens}{cached}, wrote {usage.completion_tokens} tokens"
            f"{cost}, {event.seconds:.1f} s",
            DIM,
        )

    def _proposed(self, event: CallProposed) -> None:
        self._calls[event.call_id] = safe(event.tool, WIDTH)
        if event.problem is not None:
            self.line(f"{safe(event.tool, WIDTH)}: {safe(event.problem, 2 * WIDTH)}", RED)
            return

        arguments = ", ".join(
            f"{safe(name, 40)}={safe(json.dumps(value, ensure_ascii=False), WIDTH)}"
            for name, value in (event.arguments or {}).items()
        )
        self.line(f"{safe(event.tool, WIDTH)}({arguments})", BOLD)

    def _decided(self, event: CallDecided) -> None:
        color = {"allow": GREEN, "ask": YELLOW, "deny": RED}[event.effect]
        self.line(f"  {event.effect}: {safe(event.reason, WIDTH)}", color)

    def _finished(self, event: CallFinished) -> None:
        color = "" if event.status in {"ok", "repeated"} else RED
        text = safe(event.result.text.strip(), 2 * WIDTH)
        self.line(f"  = {text}  {DIM if self._color else ''}[{event.status}, {event.seconds * 1000:.0f} ms]", color)

    def _ended(self, event: RunFinished) -> None:
        usage = event.usage
        self.line(
            f"{event.outcome}: {event.steps} steps, {usage.total_tokens} tokens"
            f"{f' ({usage.cached_tokens} cached)' if usage.cached_tokens else ''}{dollars(event.cost_usd)}, "
            f"{event.seconds:.1f} s"
            f"{f', {event.denied} denied' if event.denied else ''}",
            GREEN if event.outcome == "answered" else RED,
        )

    def line(self, text: str, color: str = "") -> None:
        """Write a line that stays."""
        self._clear()
        self._stream.write(f"{color}{text}{OFF}\n" if self._color and color else f"{text}\n")
        self._stream.flush()

    def live(self, text: str) -> None:
        """Write the line that the next one replaces."""
        if text == self._live or not self._color:
            return

        self._clear()
        self._live = text
        self._stream.write(f"\r{DIM}{text} ...{OFF}")
        self._stream.flush()

    def _clear(self) -> None:
        if self._live:
            self._stream.write("\r\33[2K")
            self._live = ""
