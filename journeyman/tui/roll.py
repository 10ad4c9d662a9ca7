"""Items one under the other, however many: what is on the screen and a page above it is laid out, and nothing else."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from rich.style import Style
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip

from journeyman.tui.blocks import Look, estimate, gap
from journeyman.tui.heights import Heights
from journeyman.tui.items import Item
from journeyman.tui.rows import Rows

KEPT = 400
"""Items whose strips are kept."""


class Laid(NamedTuple):
    item: Item
    look: Look
    strips: list[Strip]


class Roll(Rows):
    """It stays at its end as that grows, or where the reader is."""

    class Topped(Message):
        """The reader is at the top: if there is more before it, it is wanted now."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[Item] = []
        self.follow = True
        """Stay at the end as it grows."""
        self._heights = Heights()
        self._laid: OrderedDict[int, Laid] = OrderedDict()
        self._settling = False
        self._width = 0

    def look(self, index: int) -> Look:
        """How an item is to be shown now."""
        raise NotImplementedError

    def drawn(self, index: int, look: Look) -> list[Strip]:
        raise NotImplementedError

    def load(self, items: Sequence[Item]) -> None:
        """Show these in the place of all before."""
        self.items = list(items)
        self.follow = True
        self._measure()

    def prepend(self, items: Sequence[Item]) -> None:
        """Show older ones before all others; the reader stays where they are."""
        seen = self.max_scroll_y - self.scroll_offset.y
        self.items[:0] = items
        self._heights = Heights([estimate(item, max(1, self.cells)) for item in self.items])
        self._laid.clear()
        self._resize()
        self.go(max(0, self.max_scroll_y - seen))
        self._redraw()

    def _append(self, item: Item) -> int:
        self.items.append(item)
        self._heights.append(estimate(item, max(1, self.cells)))
        self._redraw()
        return len(self.items) - 1

    @property
    def count(self) -> int:
        return self._heights.total

    def _strips(self, index: int) -> list[Strip]:
        """An item's rows, the gap before it included; they are its exact height from then on."""
        item, look = self.items[index], self.look(index)
        laid = self._laid.get(index)
        if laid is not None and laid.item is item and laid.look == look:
            self._laid.move_to_end(index)
            return laid.strips

        strips = self.drawn(index, look)
        if gap(self.items[index - 1] if index else None, item):
            strips = [Strip([]), *strips]

        self._laid[index] = Laid(item, look, strips)
        if len(self._laid) > KEPT:
            self._laid.popitem(last=False)

        if self._heights[index] != len(strips):
            self._heights.set(index, len(strips))

        return strips

    def strip_at(self, row: int) -> Strip:
        index, offset = self._heights.find(row)
        strips = self._strips(index)
        return strips[offset] if offset < len(strips) else Strip([])

    def render_lines(self, crop: Region) -> list[Strip]:
        """The rows with the padding, each kept as long as it is the same: Textual's own way makes all of them anew
        whenever they move, and what it has made of a strip is lost with it.
        """
        self._look_up()
        filters, background = self.get_line_filters(), self.background_colors[1]
        strips = []
        for y in crop.line_range:
            strip = self.render_line(y)
            for each in filters:
                strip = strip.apply_filter(each, background)

            strips.append(strip if crop.column_span == (0, strip.cell_length) else strip.crop(*crop.column_span))

        return strips

    def _styled(self, strip: Strip, row: int, width: int, base: Style) -> Strip:
        left, right = (Strip.blank(each, base) for each in (self.styles.padding.left, self.styles.padding.right))
        return Strip.join([left, super()._styled(strip, row, width, base), right])

    def _measure(self) -> None:
        """Guess all heights anew."""
        top = self._heights.find(self.scroll_offset.y) if len(self._heights) else (0, 0)
        width = max(1, self.cells)
        self._heights = Heights([estimate(item, width) for item in self.items])
        self._laid.clear()
        self._resize()
        if not self.follow and top[0] < len(self.items):
            self.go(self._heights.before(top[0]) + top[1])

        self._redraw()

    def _redraw(self) -> None:
        self._settle()
        self.refresh()

    def _settle(self) -> None:
        """Lay out what is on the screen and a page above, and stay where the reader is."""
        if not self.items or not self.size.height or self._settling:
            return

        self._settling = True
        page = self.size.height
        if self.follow:
            self._upwards(len(self.items) - 1, 2 * page)
        else:
            index, offset = self._heights.find(self.scroll_offset.y)
            before = self._heights.before(index)
            self._upwards(index - 1, page)
            moved = self._heights.before(index) - before
            rows = -offset
            while index < len(self.items) and rows < page:
                rows += len(self._strips(index))
                index += 1

            if moved:
                self._resize()
                self.go(self.scroll_offset.y + moved)

        self._resize()
        if self.follow:
            self.go(self.max_scroll_y)

        self._settling = False

    def _upwards(self, index: int, rows: int) -> None:
        while index >= 0 and rows > 0:
            rows -= len(self._strips(index))
            index -= 1

    def _resize(self) -> None:
        self.grown(Size(self.cells, self._heights.total))

    def on_resize(self) -> None:
        if self.cells != self._width:
            self._width = self.cells
            self._measure()
        else:
            self._settle()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if not self._settling:
            self.follow = round(new_value) >= self.max_scroll_y
            self._settle()
            if not round(new_value):
                self.post_message(self.Topped())

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        start = selection.start or Offset(0, 0)
        end = selection.end or Offset(10_000, self.count - 1)
        rows = [self.strip_at(row).text for row in range(start.y, min(end.y + 1, self.count))]
        if rows:
            rows[-1] = rows[-1][: end.x]
            rows[0] = rows[0][start.x :]

        return "\n".join(row.rstrip() for row in rows), "\n"
