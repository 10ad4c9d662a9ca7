"""The colours of roles, from the theme that is on."""

from functools import cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip
from textual.theme import Theme

from journeyman.tui.line import Line

DARK = Theme(
    name="journeyman-dark",
    primary="#7aa2c8",
    secondary="#9d8cc2",
    accent="#d8a657",
    warning="#e0af68",
    error="#e06c75",
    success="#8fb573",
    foreground="#d5d1c8",
    background="#16181c",
    surface="#1d2025",
    panel="#262a31",
)
LIGHT = Theme(
    name="journeyman-light",
    primary="#2f5f8a",
    secondary="#6b4f9e",
    accent="#9a5b00",
    warning="#8f5a00",
    error="#b3261e",
    success="#3f6b1f",
    foreground="#2b2b2b",
    background="#faf8f3",
    surface="#f1eee6",
    panel="#e6e2d8",
    dark=False,
)
CONTRAST = Theme(
    name="high-contrast",
    primary="#5ad1ff",
    secondary="#d0b0ff",
    accent="#ffff00",
    warning="#ffd000",
    error="#ff7070",
    success="#60ff60",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#202020",
)
THEMES = (DARK, LIGHT, CONTRAST)

ANSI = {
    "accent": "yellow",
    "heading": "cyan bold",
    "link": "blue underline",
    "user": "bold",
    "good": "green",
    "warning": "yellow",
    "error": "red",
    "code-inline": "cyan",
    "code-comment": "bright_black",
    "code-keyword": "magenta",
    "code-string": "green",
    "code-number": "cyan",
    "code-name": "blue",
    "added": "green",
    "removed": "red",
    "dim": "bright_black",
    "thought": "bright_black italic",
    "picked": "reverse",
}


class Palette:
    """Styles by role, for one theme."""

    def __init__(self, theme: Theme) -> None:
        self.name = theme.name
        self._styles = _ansi() if theme.ansi else _true(theme)
        self.style = cache(self._style)

    def _style(self, roles: str) -> Style:
        return Style.combine([Style.null(), *(self._styles.get(role, Style.null()) for role in roles.split())])

    def strip(self, line: Line) -> Strip:
        """The line in colour."""
        return Strip([Segment(text, self.style(roles)) for text, roles in line])


def _ansi() -> dict[str, Style]:
    return {"bold": Style(bold=True), "italic": Style(italic=True), **{k: Style.parse(v) for k, v in ANSI.items()}}


def _true(theme: Theme) -> dict[str, Style]:
    colors = theme.to_color_system().generate()
    base, back = Color.parse(colors["foreground"]), Color.parse(colors["background"])
    high = theme.name == CONTRAST.name

    def of(color: Color, how: str = "") -> Style:
        return Style(color=color.rich_color) + Style.parse(how)

    def named(name: str, how: str = "") -> Style:
        return of(Color.parse(colors[name]), how)

    dim = base.blend(back, 0.2 if high else 0.45)
    picked = Style(bgcolor=Color.parse(colors["panel"]).rich_color, bold=True)
    return {
        "bold": Style(bold=True),
        "italic": Style(italic=True),
        "dim": of(dim),
        "thought": of(dim, "italic"),
        "output": of(base.blend(back, 0.1 if high else 0.25)),
        "user": of(base, "bold"),
        "accent": named("accent"),
        "heading": named("primary", "bold"),
        "link": named("primary", "underline"),
        "good": named("success"),
        "warning": named("warning"),
        "error": named("error"),
        "code-inline": named("accent"),
        "code-comment": of(dim, "italic"),
        "code-keyword": named("secondary"),
        "code-string": named("success"),
        "code-number": named("warning"),
        "code-name": named("primary"),
        "added": named("success"),
        "removed": named("error"),
        "picked": Style(reverse=True) if high else picked,
    }
