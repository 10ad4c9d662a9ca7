"""One line across the screen."""

from textual.strip import Strip
from textual.widget import Widget

from journeyman.tui.line import Line, ends, width_of


class Bar(Widget):
    """Something at the left, something at the right; what does not fit is left out from the end."""

    DEFAULT_CSS = "Bar { height: 1; padding: 0 1; }"

    def __init__(self, left: Line = (), right: Line = (), ident: str = "") -> None:
        super().__init__(id=ident or None)
        self.left, self.right = left, right

    def show(self, left: Line, right: Line = ()) -> None:
        if (left, right) != (self.left, self.right):
            self.left, self.right = left, right
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y:
            return Strip.blank(width, self.rich_style)

        right = self.right if width_of(self.right) < width - 2 else ()
        strip = self.app.palette.strip(ends(self.left, right, width))  # ty: ignore[missing-attribute] - our own app
        return strip.apply_style(self.rich_style).crop_extend(0, width, self.rich_style)
