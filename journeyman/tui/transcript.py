"""The conversation: one widget however long it gets. What is streamed is laid out again from its last block on, twelve
times a second at most.
"""

from collections.abc import Iterator, Sequence
from time import monotonic

from textual import events
from textual.strip import Strip
from textual.timer import Timer

from journeyman.tui.blocks import Look, block, is_foldable, whole
from journeyman.tui.items import Card, Item, Said, Thought
from journeyman.tui.roll import Roll
from journeyman.tui.speech import Speech

FLUSH = 0.08
"""Seconds between two looks of what is streamed, at least."""
SPIN = 0.125


class Transcript(Roll):
    """Items in order; `add`, `replace` and `stream` change its end, arrows and clicks fold and unfold."""

    def __init__(self) -> None:
        super().__init__()
        self.selected: int | None = None
        self.thoughts = False
        """Whether thoughts are unfolded."""
        self._folds: dict[int, bool] = {}
        self._since: dict[int, float] = {}
        """When the items that are going on began."""
        self._speech = Speech()
        self._flushing = False
        self._frame = 0
        self._spin: Timer | None = None

    def load(self, items: Sequence[Item]) -> None:
        self._folds.clear()
        self._since.clear()
        self._speech = Speech()
        self.selected = None
        super().load(items)

    def prepend(self, items: Sequence[Item]) -> None:
        count = len(items)
        self._folds = {at + count: fold for at, fold in self._folds.items()}
        self._since = {at + count: since for at, since in self._since.items()}
        self.selected = None if self.selected is None else self.selected + count
        super().prepend(items)

    def add(self, item: Item) -> int:
        """Show one more; its index."""
        self.close()
        return self._add(item)

    def _add(self, item: Item) -> int:
        self._track(len(self.items), item)
        return self._append(item)

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

    def drawn(self, index: int, look: Look) -> list[Strip]:
        item = self.items[index]
        if isinstance(item, Said) and item.open:
            return self._speech.strips(look.width, self.palette)

        return [self.palette.strip(line) for line in block(item, look)]

    def look(self, index: int) -> Look:
        since = self._since.get(index) if not isinstance(self.items[index], Said) else None
        return Look(
            width=max(8, self._width or self.cells),
            unfolded=self._folds.get(index, self.thoughts and isinstance(self.items[index], Thought)),
            selected=index == self.selected,
            frame=self._frame if since is not None else 0,
            seconds=float(int(monotonic() - since)) if since is not None else 0.0,
        )

    def forget(self) -> None:
        self._speech.forget()
        self._measure()

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
            self._folds[index] = not self.look(index).unfolded
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
