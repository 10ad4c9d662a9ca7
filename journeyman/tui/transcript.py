"""The conversation: one widget however long it gets. It lays out what is on the screen and a page above it, and nothing
else; what is streamed is laid out again from its last block on, twelve times a second at most.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import NamedTuple

from rich.style import Style
from textual import events
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip
from textual.timer import Timer

from journeyman.tui.blocks import Look, block, estimate, gap, is_foldable, whole
from journeyman.tui.heights import Heights
from journeyman.tui.items import Card, Item, Said, Thought
from journeyman.tui.rows import Rows
from journeyman.tui.speech import Speech

KEPT = 400
"""Items whose strips are kept."""
FLUSH = 0.08
"""Seconds between two looks of what is streamed, at least."""
SPIN = 0.125


class Laid(NamedTuple):
    item: Item
    look: Look
    strips: list[Strip]


class Transcript(Rows):
    """Items in order; `add`, `replace` and `stream` change its end, arrows and clicks fold and unfold."""

    class Opened(Message):
        """Somebody wants to read an item in full."""

        def __init__(self, item: Item) -> None:
            super().__init__()
            self.item = item

    class Topped(Message):
        """The reader is at the top: if there is more before it, it is wanted now."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[Item] = []
        self.follow = True
        """Stay at the end as it grows."""
        self.selected: int | None = None
        self.thoughts = False
        """Whether thoughts are unfolded."""
        self._heights = Heights()
        self._laid: OrderedDict[int, Laid] = OrderedDict()
        self._folds: dict[int, bool] = {}
        self._since: dict[int, float] = {}
        """When the items that are going on began."""
        self._speech = Speech()
        self._flushing = False
        self._frame = 0
        self._spin: Timer | None = None
        self._settling = False
        self._width = 0

    # What it shows

    def load(self, items: Sequence[Item]) -> None:
        """Show these in the place of all before."""
        self.items = list(items)
        self._folds.clear()
        self._since.clear()
        self._speech = Speech()
        self.selected, self.follow = None, True
        self._measure()

    def prepend(self, items: Sequence[Item]) -> None:
        """Show older ones before all others; the reader stays where they are."""
        count, seen = len(items), self.max_scroll_y - self.scroll_offset.y
        self.items[:0] = items
        self._folds = {at + count: fold for at, fold in self._folds.items()}
        self._since = {at + count: since for at, since in self._since.items()}
        self.selected = None if self.selected is None else self.selected + count
        self._heights = Heights([estimate(item, max(1, self.cells)) for item in self.items])
        self._laid.clear()
        self._resize()
        self.go(max(0, self.max_scroll_y - seen))
        self._redraw()

    def add(self, item: Item) -> int:
        """Show one more; its index."""
        self.close()
        return self._add(item)

    def _add(self, item: Item) -> int:
        self.items.append(item)
        index = len(self.items) - 1
        self._heights.append(estimate(item, max(1, self.cells)))
        self._track(index, item)
        self._redraw()
        return index

    def replace(self, index: int, item: Item) -> None:
        """Show another item in an item's place."""
        self.items[index] = item
        self._track(index, item)
        self._redraw()

    def stream(self, kind: type[Said | Thought], text: str) -> None:
        """More of what the model is saying or thinking; the other kind ends what was open."""
        last = self.items[-1] if self._speech.parts else None
        if not isinstance(last, kind):
            self.close()
            self._add(Said("assistant", "", open=True) if kind is Said else Thought("", open=True))

        self._speech.parts.append(text)
        if not self._flushing:
            self._flushing = True
            self.set_timer(FLUSH, self._flush)

    def close(self) -> None:
        """What was streamed is complete."""
        if not self._speech.parts:
            return

        index, item = len(self.items) - 1, self.items[-1]
        text = self._speech.text
        self._speech = Speech()
        if isinstance(item, Thought):
            self.items[index] = Thought(text, round(monotonic() - self._since.get(index, monotonic()), 1))
        elif isinstance(item, Said):
            self.items[index] = Said("assistant", text)

        self._track(index, self.items[index])
        self._redraw()

    def _flush(self) -> None:
        self._flushing = False
        if not self._speech.parts:
            return

        began = monotonic()
        if isinstance(self.items[-1], Thought):
            self.items[-1] = Thought(self._speech.text, open=True)

        self._laid.pop(len(self.items) - 1, None)
        self._redraw()
        spent = monotonic() - began
        if spent > FLUSH:  # one endless paragraph: leave the loop to others
            self._flushing = True
            self.set_timer(4 * spent, self._flush)

    # Rows

    @property
    def count(self) -> int:
        return self._heights.total

    def _drawn(self, index: int, look: Look) -> list[Strip]:
        item = self.items[index]
        if isinstance(item, Said) and item.open:
            return self._speech.strips(look.width, self.palette)

        return [self.palette.strip(line) for line in block(item, look)]

    def _look(self, index: int) -> Look:
        since = self._since.get(index) if not isinstance(self.items[index], Said) else None
        return Look(
            width=max(8, self._width or self.cells),
            unfolded=self._folds.get(index, self.thoughts and isinstance(self.items[index], Thought)),
            selected=index == self.selected,
            frame=self._frame if since is not None else 0,
            seconds=float(int(monotonic() - since)) if since is not None else 0.0,
        )

    def _strips(self, index: int) -> list[Strip]:
        """An item's rows, the gap before it included; they are its exact height from then on."""
        item, look = self.items[index], self._look(index)
        laid = self._laid.get(index)
        if laid is not None and laid.item is item and laid.look == look:
            self._laid.move_to_end(index)
            return laid.strips

        strips = self._drawn(index, look)
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

    def forget(self) -> None:
        self._speech.forget()
        self._measure()

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

    # What goes on

    def _track(self, index: int, item: Item) -> None:
        running = item.status == "running" if isinstance(item, Card) else getattr(item, "open", False)
        if running:
            self._since.setdefault(index, monotonic())
        else:
            self._since.pop(index, None)

        if self._since and self._spin is None:
            self._spin = self.set_interval(SPIN, self._turn)
        elif not self._since and self._spin is not None:
            self._spin.stop()
            self._spin = None

    def _turn(self) -> None:
        """Turn the spinners, and draw only their lines again."""
        self._frame += 1
        top, bottom = self.scroll_offset.y, self.scroll_offset.y + self.size.height
        for index in self._since:
            row = self._heights.before(index)
            if top <= row + 1 and row < bottom and not isinstance(self.items[index], Said):
                self.refresh_lines(row, 2)

    # Moving about

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

    def select(self, step: int) -> None:
        """Go to the next item that can be unfolded, or the one before."""
        start = self.selected if self.selected is not None else len(self.items)
        found = next(self._foldable(start, step), None)
        if found is None and step > 0:
            self.selected, self.follow = None, True
        elif found is not None:
            self.selected, self.follow = found, False
            self._upwards(found, self.size.height)
            row = self._heights.before(found)
            if not self.scroll_offset.y <= row < self.scroll_offset.y + self.size.height - 2:
                self.go(max(0, row - self.size.height // 3))

        self._redraw()

    def _foldable(self, start: int, step: int) -> Iterator[int]:
        index = start + step
        while 0 <= index < len(self.items):
            if is_foldable(self.items[index]):
                yield index

            index += step

    def fold(self, index: int | None = None) -> None:
        """Fold an item, or unfold it: the selected one, or the newest."""
        index = self.selected if index is None else index
        index = next(self._foldable(len(self.items), -1), None) if index is None else index
        if index is not None:
            self._folds[index] = not self._look(index).unfolded
            self._redraw()

    @property
    def current(self) -> Item | None:
        """The selected item, or the newest."""
        if self.selected is not None:
            return self.items[self.selected]

        return self.items[-1] if self.items else None

    @property
    def quoted(self) -> str:
        """The selected item in full, or the newest answer."""
        if self.selected is not None:
            return whole(self.items[self.selected])

        said = (item for item in reversed(self.items) if isinstance(item, Said))
        return next((item.text for item in said if item.who == "assistant" and item.text), "")

    def fold_thoughts(self) -> None:
        """Unfold all thoughts, or fold them."""
        self.thoughts = not self.thoughts
        self._folds = {at: fold for at, fold in self._folds.items() if not isinstance(self.items[at], Thought)}
        self._redraw()

    def on_click(self, event: events.Click) -> None:
        row = self.scroll_offset.y + event.y
        if not self.items or row >= self.count or self.text_selection is not None:
            return

        index, _ = self._heights.find(row)
        if is_foldable(self.items[index]):
            self.selected = index
            self.fold(index)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        start = selection.start or Offset(0, 0)
        end = selection.end or Offset(10_000, self.count - 1)
        rows = [self.strip_at(row).text for row in range(start.y, min(end.y + 1, self.count))]
        if rows:
            rows[-1] = rows[-1][: end.x]
            rows[0] = rows[0][start.x :]

        return "\n".join(row.rstrip() for row in rows), "\n"
