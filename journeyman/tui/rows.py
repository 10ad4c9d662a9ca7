"""Widgets that draw rows: however many there are, only those on the screen are made."""

from collections.abc import Sequence

from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from journeyman.tui.line import Line
from journeyman.tui.palette import Palette


class Rows(ScrollView, can_focus=True):
    """A number of rows and how to draw each."""

    DEFAULT_CSS = "Rows { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }"

    @property
    def palette(self) -> Palette:
        return self.app.palette  # ty: ignore[unresolved-attribute] - the app that these widgets are made for

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

    def render_line(self, y: int) -> Strip:
        row = self.scroll_offset.y + y
        width, base = self.size.width, self.rich_style
        if row >= self.count:
            return Strip.blank(width, base)

        strip = self.strip_at(row).apply_style(base).crop_extend(0, width, base)
        if (selection := self.text_selection) is not None and (span := selection.get_span(row)) is not None:
            start, end = span[0], span[1] if span[1] >= 0 else width
            marked = strip.crop(start, end).apply_style(self.screen.get_component_rich_style("screen--selection"))
            strip = Strip.join([strip.crop(0, start), marked, strip.crop(end)])

        return strip.apply_offsets(0, row)

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002 - Textual's own
        self.refresh()


class Lines(Rows):
    """Lines that are there already: a result in full, a difference, help."""

    def __init__(self, lines: Sequence[Line] = (), **options: str) -> None:
        super().__init__(**options)
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
