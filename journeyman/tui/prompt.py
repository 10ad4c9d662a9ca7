"""Where the user writes: several lines, what was said before, and names completed after `/` and `@`."""

import re

from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.widgets import TextArea

HINT = "Ask for something. / commands, @ files, ! shell, F1 help"


def shown_as(line: str) -> Text:
    """A line that is being edited: nothing in it acts on the terminal, and every character has its place."""
    shown = line if line.isascii() and line.isprintable() else "".join(map(_shown_as, line))
    return Text(_FLOOD.sub(lambda found: "·" * len(found.group()), shown), end="", no_wrap=True)


def _shown_as(char: str) -> str:
    """A character that acts on a terminal, or cannot be seen, is shown as another one."""
    if char.isprintable() or char == "\t":
        return char

    return chr(0x2400 + ord(char)) if char < " " else "·"


_FLOOD = re.compile(
    "(?<=[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})[\u0300-\u036f\u20d0-\u20ff]+"
)


class Prompt(TextArea):
    """Enter says it, shift+enter begins a line.

    The app hears of these keys first, perhaps before letters that were typed earlier have got here; so what they do
    waits its turn in the same queue.
    """

    BINDINGS = [
        Binding("enter", "submit", "send", id="prompt.send", priority=True),
        Binding("shift+enter,ctrl+j,alt+enter", "newline", "new line", id="prompt.newline", show=False, priority=True),
        Binding("up", "older", "said before", show=False, id="prompt.older", priority=True),
        Binding("down", "newer", "said after", show=False, id="prompt.newer", priority=True),
        Binding("tab", "complete", "complete", show=False, id="prompt.complete", priority=True),
    ]

    class Submitted(Message):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Completing(Message):
        """What is being written could be completed: `/` for commands, `@` for files, "" for nothing."""

        def __init__(self, sign: str, typed: str) -> None:
            super().__init__()
            self.sign = sign
            self.typed = typed

    class Key(Message):
        """A key that means something else while names are offered or prompts wait: up, down, enter, tab."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self) -> None:
        super().__init__(
            soft_wrap=True, show_line_numbers=False, compact=True, highlight_cursor_line=False, placeholder=HINT
        )
        self.cursor_blink = False
        self.said: list[str] = []
        self.offering: tuple[str, str] | None = None
        """What names are being offered for: arrows, tab and enter are for them."""
        self._at = 0
        self._draft = ""
        self._spaced: tuple[int, int] | None = None
        """Behind the space that a completion has written: typing it once more writes no second one."""

    def get_line(self, line_index: int) -> Text:
        return shown_as(self.document.get_line(line_index))

    def set(self, text: str) -> None:
        self.text = text
        self.move_cursor(self.document.end)

    def remember(self, text: str) -> None:
        if text and (not self.said or self.said[-1] != text):
            self.said.append(text)

        self._at = len(self.said)

    def action_submit(self) -> None:
        self.call_later(self._submit)

    def _submit(self) -> None:
        if self.offering == self.completed():
            self.post_message(self.Key("enter"))
        elif text := self.text.strip():
            self.remember(text)
            self.set("")
            self.post_message(self.Submitted(text))

    def action_newline(self) -> None:
        self.call_later(self._newline)

    def _newline(self) -> None:
        self.insert("\n")

    def action_complete(self) -> None:
        self.call_later(self._complete)

    def _complete(self) -> None:
        self.post_message(self.Key("tab"))

    def action_older(self) -> None:
        self.call_later(self._older)

    def _older(self) -> None:
        if self.offering or not self.text:
            self.post_message(self.Key("up"))
        elif self.cursor_at_first_line:
            self.recall(-1)
        else:
            self.action_cursor_up()

    def action_newer(self) -> None:
        self.call_later(self._newer)

    def _newer(self) -> None:
        if self.offering:
            self.post_message(self.Key("down"))
        elif self.cursor_at_last_line:
            self.recall(1)
        else:
            self.action_cursor_down()

    def recall(self, step: int) -> None:
        """What was said before, or after."""
        if self._at == len(self.said):
            self._draft = self.text

        at = self._at + step
        if 0 <= at <= len(self.said):
            self._at = at
            self.set(self.said[at] if at < len(self.said) else self._draft)

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        self.post_message(self.Completing(*self.completed()))

    def completed(self) -> tuple[str, str]:
        """The sign and the letters of the word that is being written, as they are now."""
        row, column = self.cursor_location
        return completing(self.document.get_line(row)[:column], self.text)

    def complete(self, word: str) -> None:
        """Put a word in the place of the one that is being written."""
        row, column = self.cursor_location
        _, typed = self.completed()
        self.replace(f"{word} ", (row, column - len(typed)), (row, column))
        self._spaced = self.cursor_location

    def on_key(self, event: events.Key) -> None:
        if event.is_printable:
            spaced, self._spaced = self._spaced, None
            if event.character == " " and spaced == self.cursor_location:
                event.stop()
                event.prevent_default()

    async def _on_paste(self, event: events.Paste) -> None:
        await super()._on_paste(events.Paste(event.text.replace("\r\n", "\n").replace("\r", "\n")))
        event.prevent_default()
        event.stop()


def completing(before: str, text: str) -> tuple[str, str]:
    """The sign and the letters after it, of what stands before the cursor."""
    if text.startswith("/") and before == text and not any(map(str.isspace, text)):
        return "/", before[1:]

    word = before.rpartition(" ")[2]
    return ("@", word[1:]) if word.startswith("@") else ("", "")
