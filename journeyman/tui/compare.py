"""One recorded run, read; and two of them side by side, from where they part."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding

from journeyman.safe import prose, safe
from journeyman.tui.bar import Bar
from journeyman.tui.folding import Folding
from journeyman.tui.line import Line, fit, width_of, wrap
from journeyman.tui.pager import Pager
from journeyman.tui.shelf import Record, Shelf
from journeyman.tui.transcript import Transcript

SIDE_BY_SIDE = 90


class Reader(Folding[str]):
    """A run as its transcript. Ends with a filter, where others are to be shown."""

    DEFAULT_CSS = "Reader Transcript { height: 1fr; padding: 0 1; } Reader Bar { background: $surface; }"
    BINDINGS = [
        Binding("escape,q", "dismiss", "back", id="reader.back"),
        Binding("ctrl+up,k", "select(-1)", "select", id="reader.select_up"),
        Binding("ctrl+down,j", "select(1)", show=False, id="reader.select_down"),
        Binding("x,enter", "fold", "unfold", id="reader.unfold"),
        Binding("t", "thoughts", "thoughts", id="reader.thoughts"),
        Binding("c", "candidates", "candidates", id="reader.candidates"),
    ]

    def __init__(self, shelf: Shelf, record: Record) -> None:
        super().__init__()
        self._shelf = shelf
        self._record = record
        self._is_search = bool(shelf.search(record.run_id))

    def compose(self) -> ComposeResult:
        facts = f"{self._record.outcome} · {self._record.steps} steps · {self._record.model}"
        reward = f" · reward {self._record.reward:g}" if self._record.reward is not None else ""
        yield Bar(((f" {self._record.run_id}  ", "bold"), (facts + reward, "dim")))
        yield Transcript()
        candidates = "c its candidates · " if self._is_search else ""
        yield Bar(((f"{candidates}ctrl+↑ ctrl+↓ select · x unfold · t thoughts · esc back", "dim"),))

    def on_mount(self) -> None:
        transcript = self.query_one(Transcript)
        transcript.thoughts = self._is_search
        transcript.load(self._shelf.items(self._record.run_id))
        transcript.focus()
        self.call_after_refresh(transcript.go, 0)

    def action_candidates(self) -> None:
        if self._is_search:
            self.dismiss(f"batch:{self._record.run_id}")


class Compare(Pager):
    """Two runs."""

    def __init__(self, shelf: Shelf, left: str, right: str) -> None:
        super().__init__(f"{left} and {right}", [])
        self._runs = [shelf.events(left), shelf.events(right)]

    def on_resize(self) -> None:
        self._lines = list(compared(*self._runs, max(20, self.size.width - 3)))
        self.draw()


def compared(left: Sequence[Any], right: Sequence[Any], width: int) -> Iterator[Line]:
    """What both say in one column, then each in its own where there is room, else one under the other."""
    from journeyman.traces.diff import diff

    found = diff([each.event for each in left], [each.event for each in right])
    if found.setup:
        yield ((f"Set up otherwise: {', '.join(found.setup)}", "warning"),)

    for line in _told(left[: found.left if found.left is not None else len(left)], width):
        yield tuple((text, "dim") for text, _ in line)

    if found.same:
        yield (("They are the same.", "good"),)
        return

    where = f"in step {found.step}" if found.step else "before the first step"
    yield ((f"── they part {where} ".ljust(width, "─"), "accent"),)
    rest = [_rest(left, found.left), _rest(right, found.right)]
    if width < SIDE_BY_SIDE:
        for sign, role, side in (("- ", "removed", rest[0]), ("+ ", "added", rest[1])):
            yield from (((sign, role), *line) for line in _told(side, width - 2))
        return

    half = (width - 3) // 2
    for mine, other in zip_longest(_told(rest[0], half), _told(rest[1], half), fillvalue=()):
        cut = fit(mine, half)
        yield (*cut, (" " * (half - width_of(cut)), ""), (" │ ", "dim"), *other)


def _rest(stored: Sequence[Any], at: int | None) -> Sequence[Any]:
    return stored[at:] if at is not None else []


def _told(stored: Sequence[Any], width: int) -> Iterator[Line]:
    from journeyman.traces.transcript import lines

    for each in stored:
        for text in lines(each.event, lambda said: safe(said, 2_000)):
            for part in prose(text).split("\n"):
                role = "bold" if part.startswith(("user:", "call ")) else "error" if "error" in part[:8] else ""
                yield from wrap([(part, role)], width, rest=(("    ", ""),))
