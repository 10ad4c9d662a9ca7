"""Widgets that draw rows: however many there are, only those on the screen are made."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from journeyman.tui.line import Line, ends, fit, plain
from journeyman.tui.palette import Palette

KEPT = 2_000
"""Rows whose last look is kept."""


class Rows(ScrollView, can_focus=True):
    """A number of rows and how to draw each."""

    DEFAULT_CSS = """
    Rows { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; scrollbar-background: $background;
           scrollbar-color: $panel; }
    Rows.-fits { scrollbar-color: $background; }
    """

    _base = Style.null()

    def __init__(self, ident: str = "") -> None:
        super().__init__(id=ident or None)
        self._looks: dict[int, tuple[Strip, Strip]] = {}
        """Rows as they were drawn last, and of what: Textual keeps what it makes of a strip with the strip."""
        self._looks_for = (self._base, 0)

    @property
    def palette(self) -> Palette:
        return self.app.palette  # ty: ignore[missing-attribute] - the app that these widgets are made for

    @property
    def cells(self) -> int:
        """The width that rows have, the scroll bar's not counted."""
        return self.scrollable_size.width

    @property
    def count(self) -> int:
        raise NotImplementedError

    def strip_at(self, row: int) -> Strip:
        raise NotImplementedError

    def grown(self, size: Size) -> None:
        """It has so many rows now: the scroll bar is told, and the rest of the screen is not laid out again."""
        self.set_reactive(ScrollView.virtual_size, size)
        self.set_class(size.height <= self.size.height, "-fits")
        self._scroll_update(size)

    def go(self, row: float) -> None:
        """Scroll at once. An animation's own way of doing it may not be used while one is under way."""
        self.scroll_target_y = row = max(0, min(row, self.max_scroll_y))
        self.scroll_y = row

    def action_scroll_up(self) -> None:
        self.go(self.scroll_offset.y - 1)

    def action_scroll_down(self) -> None:
        self.go(self.scroll_offset.y + 1)

    def action_page_up(self) -> None:
        self.go(self.scroll_offset.y - self.size.height + 1)

    def action_page_down(self) -> None:
        self.go(self.scroll_offset.y + self.size.height - 1)

    def action_scroll_home(self) -> None:
        self.go(0)

    def action_scroll_end(self) -> None:
        self.go(self.max_scroll_y)

    def forget(self) -> None:
        """The theme has changed: draw all anew."""
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        self._look_up()
        return super().render_lines(crop)

    def _look_up(self) -> None:
        """What all rows are drawn with."""
        base = self.rich_style  # once for all rows: it is looked up along the tree
        if (base, self.size.width) != self._looks_for:
            self._looks_for = base, self.size.width
            self._looks.clear()

        self._base = base

    def render_line(self, y: int) -> Strip:
        row = self.scroll_offset.y + y
        width, base = self.size.width, self._base
        if row >= self.count:
            return self._styled(Strip([]), row, width, base)

        strip = self.strip_at(row)
        kept = self._looks.get(row)
        if kept is not None and kept[0] is strip and self.text_selection is None:
            return kept[1]

        drawn = self._styled(strip, row, width, base)
        if len(self._looks) > KEPT:
            self._looks.clear()

        if self.text_selection is None:
            self._looks[row] = strip, drawn

        return drawn

    def _styled(self, strip: Strip, row: int, width: int, base: Style) -> Strip:
        strip = strip.apply_style(base).crop_extend(0, width, base)
        if (selection := self.text_selection) is not None and (span := selection.get_span(row)) is not None:
            start, end = span[0], span[1] if span[1] >= 0 else width
            marked = strip.crop(start, end).apply_style(self.screen.get_component_rich_style("screen--selection"))
            strip = Strip.join([strip.crop(0, start), marked, strip.crop(end)])

        return strip.apply_offsets(0, row)

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002 - Textual's own
        self.refresh()


class Lines(Rows):
    """Lines that are there already: a result in full, a difference, help."""

    def __init__(self, lines: Sequence[Line] = (), ident: str = "") -> None:
        super().__init__(ident)
        self.lines: Sequence[Line] = lines

    def show(self, lines: Sequence[Line], *, stay: bool = False) -> None:
        """Show others; from the top unless told to stay."""
        self.lines = lines
        self.grown(Size(self.size.width, len(lines)))
        if not stay:
            self.scroll_to(y=0, animate=False)

        self.refresh()

    def on_mount(self) -> None:
        self.show(self.lines)

    @property
    def count(self) -> int:
        return len(self.lines)

    def strip_at(self, row: int) -> Strip:
        return self.palette.strip(self.lines[row])

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        return selection.extract("\n".join(self.strip_at(row).text for row in range(self.count))), "\n"


class Table(Rows):
    """Rows of which one is picked."""

    BINDINGS = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "move(-1000000000)", show=False),
        Binding("end", "move(1000000000)", show=False),
        Binding("enter", "choose", "open", show=False),
    ]

    class Chosen(Message):
        """Enter, or a click, on a row."""

        def __init__(self, table: "Table", row: int) -> None:
            super().__init__()
            self.table = table
            self.row = row

        @property
        def control(self) -> "Table":
            return self.table

    def __init__(self, ident: str = "") -> None:
        super().__init__(ident)
        self.cursor = 0

    def line(self, row: int) -> Line:
        raise NotImplementedError

    def strip_at(self, row: int) -> Strip:
        line = fit(self.line(row), self.cells)
        if row != self.cursor:
            return self.palette.strip(line)

        picked = self.palette.style("picked")
        strip = self.palette.strip(((plain(line), ""),) if picked.reverse else line)
        return strip.extend_cell_length(self.cells).apply_style(picked)

    def reset(self, cursor: int = 0) -> None:
        """Other rows than before."""
        self.cursor = max(0, min(cursor, self.count - 1))
        self.grown(Size(self.cells, self.count))
        self._reveal()
        self.refresh()

    def action_move(self, step: int) -> None:
        before = self.cursor
        self.cursor = max(0, min(self.cursor + step, self.count - 1))
        if self.cursor != before:
            self._reveal()
            self.refresh()

    def action_page(self, step: int) -> None:
        self.action_move(step * max(1, self.size.height - 1))

    def action_choose(self) -> None:
        if self.count:
            self.post_message(self.Chosen(self, self.cursor))

    def _reveal(self) -> None:
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if self.cursor < top:
            self.go(self.cursor)
        elif self.cursor >= top + height:
            self.go(self.cursor - height + 1)

    def on_click(self, event: events.Click) -> None:
        row = self.scroll_offset.y + event.y
        if row < self.count:
            again = row == self.cursor
            self.action_move(row - self.cursor)
            if again or event.chain > 1:
                self.action_choose()


class Choice(NamedTuple):
    """One of several things."""

    key: Any
    text: str
    about: str = ""


class Choices(Table):
    """Things to choose from, those that fit what was typed first."""

    def __init__(self, choices: Sequence[Choice] = (), ident: str = "") -> None:
        super().__init__(ident)
        self._all = tuple(choices)
        self.shown = self._all

    @property
    def count(self) -> int:
        return len(self.shown)

    @property
    def picked(self) -> Choice | None:
        return self.shown[self.cursor] if self.shown else None

    def line(self, row: int) -> Line:
        choice = self.shown[row]
        return ends(((f" {choice.text}", ""),), ((f"  {choice.about} ", "dim"),) if choice.about else (), self.cells)

    def offer(self, choices: Sequence[Choice], typed: str = "") -> None:
        """Other things."""
        self._all = tuple(choices)
        self.narrow(typed)

    def narrow(self, typed: str) -> None:
        """Only those that have the letters typed, in order; the best first."""
        found = [
            (rank, at) for at, choice in enumerate(self._all) if (rank := _rank(typed.lower(), choice)) is not None
        ]
        self.shown = tuple(self._all[at] for _, at in sorted(found))
        self.reset()


def _rank(typed: str, choice: Choice) -> int | None:
    """How well a choice fits what was typed, 0 the best; None: it does not have its letters."""
    text = choice.text.lower()
    found = text.find(typed)
    if found >= 0:
        return 0 if not found or not text[found - 1].isalnum() else 1

    letters = iter(text)
    if all(letter in letters for letter in typed):
        return 2

    return 3 if typed in choice.about.lower() else None
