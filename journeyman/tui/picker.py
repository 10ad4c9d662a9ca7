"""Choosing one of many things, by letters and arrows."""

from collections.abc import Sequence

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from journeyman.tui.bar import Bar
from journeyman.tui.rows import Choice, Choices, Table


class Picker(ModalScreen[Choice | None]):
    """A list over the screen; what is typed narrows it. Escape chooses nothing."""

    DEFAULT_CSS = """
    Picker { align: center middle; }
    Picker Vertical { width: 90%; max-width: 110; height: auto; max-height: 80%; background: $surface; padding: 1 1; }
    Picker Bar { background: $surface; }
    Picker Input { border: none; height: 1; margin: 0 1 1 1; padding: 0; background: $panel; }
    Picker Choices { height: 12; background: $surface; }
    """
    BINDINGS = [
        Binding("escape", "dismiss", "back", id="picker.back"),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("enter", "choose", "choose", priority=True),
    ]

    def __init__(self, title: str, choices: Sequence[Choice], *, empty: str = "There is nothing to choose.") -> None:
        super().__init__()
        self._title = title
        self._offered = choices
        self._empty = empty

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Bar(((self._title if self._offered else self._empty, "bold"),))
            yield Input(placeholder="type to narrow, enter to choose, escape to leave", compact=True)
            yield Choices(self._offered)

    def on_mount(self) -> None:
        choices = self.query_one(Choices)
        choices.can_focus = False
        choices.styles.height = max(1, min(len(self._offered), self.app.size.height * 3 // 5 - 4))
        choices.reset()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one(Choices).narrow(event.value)

    def action_move(self, step: int) -> None:
        self.query_one(Choices).action_move(step)

    def action_choose(self) -> None:
        self.dismiss(self.query_one(Choices).picked)

    @on(Table.Chosen)
    def _chosen(self, event: Table.Chosen) -> None:
        event.stop()
        self.action_choose()

    def on_click(self, event: events.Click) -> None:
        if event.widget is self:
            self.dismiss(None)


class Asked(ModalScreen[str | None]):
    """One line from the user."""

    DEFAULT_CSS = """
    Asked { align: center bottom; }
    Asked Vertical { width: 100%; height: auto; background: $surface; padding: 1 1; }
    Asked Bar { background: $surface; }
    Asked Input { border: none; height: 1; margin: 0 1; padding: 0; background: $panel; }
    """
    BINDINGS = [Binding("escape", "dismiss", "back", id="asked.back")]

    def __init__(self, question: str, text: str = "") -> None:
        super().__init__()
        self._question = question
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Bar(((self._question, "bold"),))
            yield Input(self._text, compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value)
