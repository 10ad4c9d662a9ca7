"""Screens over the conversation: something to read in full, arguments to edit."""

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import TextArea

from journeyman.tui.bar import Bar
from journeyman.tui.items import Question
from journeyman.tui.line import Line, chop
from journeyman.tui.prompt import shown_as
from journeyman.tui.rows import Lines


class Pager(Screen):
    """Lines under a title; escape leaves."""

    DEFAULT_CSS = """
    Pager Lines { height: 1fr; padding: 0 1; }
    Pager Bar { background: $surface; }
    """
    BINDINGS = [
        Binding("escape,q", "dismiss", "back", id="pager.back"),
        Binding("c,ctrl+y", "copy", "copy", id="pager.copy"),
    ]

    def __init__(self, title: str, lines: Sequence[Line], keys: str = "") -> None:
        super().__init__()
        self._title = title
        self._keys = keys
        self._lines = lines

    def compose(self) -> ComposeResult:
        yield Bar(((self._title, "bold"),), ((f"{self._keys}c copy · esc back", "dim"),))
        yield Lines()

    def on_mount(self) -> None:
        self.query_one(Lines).focus()

    def on_resize(self) -> None:
        self.draw()

    def draw(self) -> None:
        shown = self.query_one(Lines)
        width = max(8, shown.cells)
        shown.show([part for line in self._lines for part in chop(line, width)], stay=True)

    def action_copy(self) -> None:
        text = self.get_selected_text() or "\n".join("".join(text for text, _ in line) for line in self._lines)
        self.app.copied(text)  # ty: ignore[missing-attribute] - our own app


class Arguments(TextArea):
    """JSON, with everything in it visible."""

    def get_line(self, line_index: int):  # noqa: ANN201 - rich's Text
        return shown_as(self.document.get_line(line_index))


class Editor(Screen):
    """A call's arguments, to be changed before they are allowed. They are checked and decided like the model's own."""

    DEFAULT_CSS = """
    Editor Bar { background: $surface; }
    Editor TextArea { height: 1fr; border: none; }
    """
    BINDINGS = [
        Binding("escape", "dismiss", "back", id="editor.back", priority=True),
        Binding("ctrl+s", "allow", "allow these", id="editor.allow", priority=True),
    ]

    def __init__(self, question: Question, allow: Callable[[str], str]) -> None:
        super().__init__()
        self._question = question
        self._allow = allow

    def compose(self) -> ComposeResult:
        title = ((f"Arguments of {self._question.tool}", "bold"),)
        yield Bar(title, (("ctrl+s allow these once · escape back", "dim"),), ident="title")
        yield Arguments(self._question.arguments, compact=True)
        yield Bar(ident="wrong")

    def on_mount(self) -> None:
        self.query_one(Arguments).focus()

    def action_allow(self) -> None:
        wrong = self._allow(self.query_one(Arguments).text)
        if wrong:
            self.query_one("#wrong", Bar).show(((wrong, "error"),))
        else:
            self.dismiss()
