"""What the model is saying just now: every word is laid out once, however long it gets."""

from textual.strip import Strip

from journeyman.tui.blocks import mark
from journeyman.tui.line import Line
from journeyman.tui.markdown import Markdown
from journeyman.tui.palette import Palette


class Speech:
    """Pieces of a text as they come, and their strips."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._markdown: Markdown | None = None
        self._done: list[Strip] = []
        self._fed = 0

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def forget(self) -> None:
        """Lay all of it out anew: there are other colours."""
        self._markdown = None

    def strips(self, width: int, palette: Palette) -> list[Strip]:
        """Of the lines that are done, the strips are kept."""

        def drawn(line: Line) -> Strip:
            return palette.strip((mark(selected=False), *line) if line else ())

        if self._markdown is None or self._markdown.width != width - 2:
            self._markdown, self._fed, self._done = Markdown(width - 2), 0, []

        self._markdown.feed("".join(self.parts[self._fed :]))
        self._fed = len(self.parts)
        tail = self._markdown.tail()
        self._done += map(drawn, self._markdown.done[len(self._done) :])
        return [*self._done, *map(drawn, tail)]
