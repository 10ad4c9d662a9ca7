"""The trace browser: all recorded runs, found by the same filters as `journeyman traces list`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Input

from journeyman.errors import JourneymanError
from journeyman.tui.bar import Bar
from journeyman.tui.blocks import lasted
from journeyman.tui.line import Line, Span, fit, width_of
from journeyman.tui.picker import Asked
from journeyman.tui.rows import Table
from journeyman.tui.status import aged, short

if TYPE_CHECKING:
    from journeyman.tui.app import Journeyman
    from journeyman.tui.shelf import Group, Record, Shelf

OUTCOMES = {"answered": ("●", "good"), "unfinished": ("○", "dim"), "interrupted": ("○", "warning")}
COLUMNS = (("run", 8, 0), ("reward", 6, 0), ("steps", 5, 0), ("tokens", 6, 70), ("cost", 7, 110), ("time", 7, 90),
           ("tools", 5, 100), ("denied", 6, 110), ("age", 4, 70))  # fmt: skip
"""Name, width, and from which width of the screen on it is shown."""


class Runs(Table):
    """Runs or groups of them, one a row."""

    def __init__(self) -> None:
        super().__init__()
        self.shelf: Shelf | None = None
        self.groups: list[Group] | None = None
        self.marked: list[str] = []

    @property
    def count(self) -> int:
        if self.groups is not None:
            return len(self.groups)

        return self.shelf.count if self.shelf else 0

    def line(self, row: int) -> Line:
        assert self.shelf is not None  # noqa: S101 - there are rows, so there is one
        if self.groups is not None:
            group = self.groups[row]
            return grouped(group, self.cells, [] if group.task else self.shelf.search(group.batch))

        record = self.shelf[row]
        return recorded(record, self.cells, marked=record.run_id in self.marked)

    @property
    def picked(self) -> "Record | None":
        return self.shelf[self.cursor] if self.shelf and self.count and self.groups is None else None


class Traces(Screen):
    """A filter, and what fits it."""

    DEFAULT_CSS = """
    Traces Bar { background: $surface; }
    Traces Input { border: none; height: 1; margin: 0 1; padding: 0; background: $panel; }
    Traces Runs { height: 1fr; }
    """
    BINDINGS = [
        Binding("escape,q", "dismiss", "back", id="traces.back"),
        Binding("slash", "filter", "filter", id="traces.filter"),
        Binding("g", "group", "groups", id="traces.groups"),
        Binding("space", "mark", "mark", id="traces.mark"),
        Binding("d", "diff", "compare marked", id="traces.compare"),
        Binding("plus,equals_sign", "rate(1)", "good", id="traces.good"),
        Binding("minus", "rate(0)", "bad", id="traces.bad"),
        Binding("e", "export", "export", id="traces.export"),
        Binding("r", "again", "look again", id="traces.again"),
    ]

    def __init__(self, wanted: str = "") -> None:
        super().__init__()
        self._filter = wanted
        self.runs = Runs()
        self._shelf: Shelf | None = None

    @property
    def mine(self) -> "Journeyman":
        return self.app  # ty: ignore[invalid-explicit-return] - our own app

    def compose(self) -> ComposeResult:
        yield Bar(((" Recorded runs", "bold"),), ident="title")
        yield Input(self._filter, placeholder="filter: reward>0.5 tool:files denied>0 since:2d words", compact=True)
        yield Bar(ident="heads")
        yield self.runs
        yield Bar(((KEYS, "dim"),))

    def on_mount(self) -> None:
        self.runs.focus()
        self._open()

    def on_unmount(self) -> None:
        if self._shelf is not None:
            self._shelf.close()

    def on_resize(self) -> None:
        width = self.size.width - 2
        heads = [f"{name:>{room}}" for name, room, wide in COLUMNS if width >= wide]
        self.query_one("#heads", Bar).show(((f"  {'  '.join(heads)}  prompt", "dim"),))

    @work(thread=True, exclusive=True, group="open")
    def _open(self) -> None:
        from journeyman.tui.shelf import Shelf

        try:
            shelf = Shelf()
        except JourneymanError as error:
            self.app.call_from_thread(self._said, error.line, "error")
            return

        self.app.call_from_thread(self._opened, shelf)

    def _opened(self, shelf: "Shelf") -> None:
        self._shelf = self.runs.shelf = shelf
        self.action_again()

    @on(Input.Submitted)
    def _filtered(self, event: Input.Submitted) -> None:
        self._filter = event.value
        self.runs.focus()
        self.action_again()

    def action_again(self) -> None:
        shelf = self._shelf
        if shelf is None:
            return

        if self._done(lambda: shelf.narrow(self._filter)):
            self.runs.groups = shelf.groups() if self.runs.groups is not None else None
            self.runs.reset(self.runs.cursor)
            self._said(f"{self.runs.count:,}")

    def _done(self, work_: Callable[[], Any]) -> bool:
        try:
            work_()
        except JourneymanError as error:
            self._said(error.line, "error")
            return False

        return True

    def _said(self, text: str, role: str = "dim") -> None:
        self.query_one("#title", Bar).show(((" Recorded runs  ", "bold"), (text, role)))

    def action_filter(self) -> None:
        self.query_one(Input).focus()

    def action_group(self) -> None:
        self.runs.groups = None if self.runs.groups is not None else []
        self.runs.cursor = 0
        self.action_again()

    def action_mark(self) -> None:
        if picked := self.runs.picked:
            marked = [each for each in self.runs.marked if each != picked.run_id]
            self.runs.marked = marked if picked.run_id in self.runs.marked else [*marked, picked.run_id]
            self.runs.refresh()
            self.runs.action_move(1)

    def action_rate(self, score: int) -> None:
        if picked := self.runs.picked:
            self.run_worker(self._rate(picked.run_id, score), group="rate")

    async def _rate(self, run_id: str, score: int) -> None:
        assert self._shelf is not None  # noqa: S101 - a run was picked from it
        try:
            await self._shelf.rate(run_id, score)
        except JourneymanError as error:
            self._said(error.line, "error")
        else:
            self.action_again()
            self._said(f"{run_id} is {'good' if score else 'bad'}")

    def action_export(self) -> None:
        self.run_worker(self._export(), group="export", exclusive=True)

    async def _export(self) -> None:
        which = f"the {len(self.runs.marked)} marked runs" if self.runs.marked else "the runs that fit"
        name = await self.app.push_screen_wait(Asked(f"Write {which} to (FILE.jsonl [format])", "runs.jsonl"))
        shelf = self._shelf
        if not name or shelf is None:
            return

        file, _, form = name.strip().partition(" ")
        ids = self.runs.marked or [shelf[row].run_id for row in reversed(range(shelf.count))]
        self._done(lambda: self._said(shelf.export(ids, Path(file), form or "messages"), "good"))

    def action_diff(self) -> None:
        from journeyman.tui.compare import Compare

        if self._shelf is not None and len(self.runs.marked) > 1:
            self.app.push_screen(Compare(self._shelf, *self.runs.marked[-2:]))
        else:
            self._said("Mark two runs with space first.", "warning")

    @on(Table.Chosen)
    def _chosen(self, event: Table.Chosen) -> None:
        from journeyman.tui.compare import Reader

        if self._shelf is None:
            return

        group = self.runs.groups[event.row] if self.runs.groups is not None else None
        if group and group.task:
            self._only(f"batch:{group.batch} task:{group.task}")
        else:
            record = self._shelf.record(group.batch) if group else self._shelf[event.row]
            self.app.push_screen(Reader(self._shelf, record), self._only)

    def _only(self, wanted: str | None) -> None:
        """Show only runs that this filter fits, if there is one."""
        if wanted:
            self.runs.groups = None
            self._filter = self.query_one(Input).value = wanted
            self.runs.cursor = 0
            self.action_again()


KEYS = "enter read · / filter · g groups · space mark · d diff · +- rate · e export"


def recorded(record: "Record", width: int, *, marked: bool = False) -> Line:
    """One run."""
    reward = "–" if record.reward is None else f"{record.reward:.2f}"
    tools = "" if record.calls is None else f"{record.calls}" + (f"!{record.errors}" if record.errors else "")
    values = {
        "run": record.run_id[-8:],
        "reward": reward,
        "steps": f"{record.steps}",
        "tokens": short(record.tokens),
        "cost": f"${record.cost:.4f}" if record.cost else "",
        "time": lasted(record.seconds) if record.seconds else "",
        "tools": tools,
        "denied": f"{record.denied}" if record.denied else "",
        "age": aged(record.started),
    }
    sign, role = OUTCOMES.get(record.outcome, ("✗", "error"))
    spans: list[Span] = [("▌" if marked else " ", "accent"), (sign, role)]
    for name, room, wide in COLUMNS:
        if width >= wide:
            how = _worth(record.reward) if name == "reward" else "error" if name == "denied" else "dim"
            spans.append((f" {values[name]:>{room}} ", how))

    return fit((*spans, (f" {record.prompt} ", ""), (record.answer, "dim")), width)


def grouped(group: "Group", width: int, search: Sequence[tuple[float | None, bool]] = ()) -> Line:
    """One group: a dot for each attempt, filled where it was right; of a search `◆` is what it chose."""
    rewards = [score for score, _ in search] or group.rewards
    dots = [("●" if r == 1 else "·" if r is None else "◐" if r else "○", _worth(r)) for r in rewards[:16]]
    dots = [("◆" if at < len(search) and search[at][1] else sign, role) for at, (sign, role) in enumerate(dots)]
    known = [reward for reward in rewards if reward is not None]
    mean = f"{sum(known) / len(known):.2f}" if known else "–"
    same = len(set(known)) < 2  # noqa: PLR2004 - all alike
    left: Line = ((" ", ""), *dots, (" " * max(1, 18 - len(dots)), ""), (f"{mean:>5}", "dim" if same else "accent"))
    room = width - width_of(left)
    return (*left, *fit(((f"  {aged(group.started):>4}  {group.prompt}", ""),), room))


def _worth(reward: float | None) -> str:
    return "dim" if reward is None else "good" if reward >= 1 else "error" if reward <= 0 else "warning"
