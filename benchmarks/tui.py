"""The terminal UI in CPU seconds, in a real terminal (a pty): first paint, a long session, keys, streaming, idling.

Beside them a bare Textual app (the floor of the first paint), one widget a message (what most do), and, where
`PEER_TUI` is the command of another agent UI, that one's first paint (`PEER_TUI=/tmp/peer/bin/vibe`).
"""

import asyncio
import fcntl
import os
import pty
import resource
import select
import shlex
import struct
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from journeyman.tui.app import Journeyman
from journeyman.tui.items import Card, Said, Thought
from journeyman.tui.opening import Opening

TICKS = os.sysconf("SC_CLK_TCK")
COLUMNS, ROWS = 120, 36
EVENTS = 100_000
TOKENS = 10_000
KEYS = 60
RUNS = 5
SCREENFUL = 6_000
PAGE_UP, PAGE_DOWN = b"\x1b[5~", b"\x1b[6~"


class Terminal:
    """A program in a terminal of its own; everything it writes is read."""

    def __init__(self, command: Sequence[str], home: str) -> None:
        self.written = b""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", JOURNEYMAN_HOME=home)
            os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
            os.execvp(command[0], list(command))  # noqa: S606 - the benchmark's own

        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

    def until(self, done: Callable[[bytes], bool], seconds: float = 60.0) -> bool:
        """Read until enough was written."""
        deadline = time.monotonic() + seconds
        while not done(self.written) and time.monotonic() < deadline:
            self.read(0.02)

        return done(self.written)

    def read(self, seconds: float) -> None:
        if select.select([self._fd], [], [], seconds)[0]:
            try:
                self.written += os.read(self._fd, 1 << 16)
            except OSError:
                time.sleep(seconds)

    def settle(self, quiet: float = 0.4) -> None:
        """Read until nothing has been written for a while."""
        size = -1
        while size != len(self.written):
            size = len(self.written)
            deadline = time.monotonic() + quiet
            while time.monotonic() < deadline:
                self.read(0.05)

    def press(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    @property
    def cpu(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @property
    def megabytes(self) -> float:
        return int(Path(f"/proc/{self.pid}/statm").read_text("utf-8").split()[1]) * resource.getpagesize() / 1e6

    def end(self) -> None:
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self._fd)


HELLO = """
from textual.app import App
from textual.widgets import Static
class Hello(App):
    def compose(self):
        yield Static("F1 help")
Hello().run()
"""
WIDGETS = """
from textual.app import App
from textual.containers import VerticalScroll
from textual.widgets import Markdown
class Widgets(App):
    def compose(self):
        with VerticalScroll():
            for at in range(300):
                yield Markdown(f"**{at}** some words of an answer, `code`")
    def on_mount(self):
        self.call_after_refresh(self.query_one(VerticalScroll).focus)
Widgets().run()
"""


def long_session() -> None:
    """The app with a hundred thousand items and no engine; keys and appends come from outside."""
    _alone([_item(at) for at in range(EVENTS)], appends=True)


def streaming() -> None:
    """The app, told ten thousand tokens at 1,000 a second."""
    _alone([], tokens=TOKENS)


def _item(at: int):
    match at % 5:
        case 0:
            return Said("user", f"question {at}: what comes next, and why would it?")
        case 1:
            return Thought(f"thinking about {at} " * 12, 1.5)
        case 2:
            return Said("assistant", f"**Answer {at}**: some words and `code`.\n\n- one\n- two\n\nAnd an end to it.")
        case _:
            return Card(f"c{at}", "files.read", f'path="{at}.txt"', status="ok", effect="allow", output="a\nb\nc\nd")


def _alone(items: list, *, appends: bool = False, tokens: int = 0) -> None:
    app = Journeyman(Opening(Path.cwd()))
    app.chat.talk.run = _nothing

    async def go() -> None:
        begin = time.process_time()
        app.chat.transcript.load(items)
        app.chat.say(f"loaded in {time.process_time() - begin:.3f}")
        for at in range(tokens):
            app.chat.transcript.stream(Said, ("\n\n" if at % 80 == 79 else "word " if at % 7 else "`code` "))
            if at % 10 == 9:
                await asyncio.sleep(0.01)

        if tokens:
            app.chat.transcript.close()
            app.chat.say("all-told")

        while appends:
            await asyncio.sleep(0.05)
            if app.chat.prompt.text == "+":
                app.chat.prompt.set("")
                for at in range(KEYS):
                    app.chat.transcript.add(_item(at))
                    await asyncio.sleep(0.02)

                app.chat.say("all-added")

    app.call_later(lambda: app.run_worker(go()))
    app.run()


async def _nothing() -> None: ...


def _child(name: str) -> list[str]:
    return [sys.executable, "-c", f"from benchmarks.tui import {name}; {name}()"]


def _first_paint(command: Sequence[str], text: bytes, home: str) -> tuple[float, float]:
    """CPU seconds and megabytes when the text is on the screen, or a screenful where there is none; the least."""
    best = (float("inf"), 0.0)
    for _ in range(RUNS if text else 2):
        terminal = Terminal(command, home)
        shown = terminal.until(lambda written: text in written if text else len(written) > SCREENFUL)
        best = min(best, (terminal.cpu, terminal.megabytes)) if shown else best
        terminal.end()

    return best


def main() -> None:
    with TemporaryDirectory() as home:
        print(f"terminal UI, CPU seconds in a {COLUMNS}x{ROWS} pty")
        ui = [sys.executable, "-c", "from pathlib import Path; from journeyman.tui.app import start; start(Path.cwd())"]
        _paints(ui, home)
        _long(home)
        _streams(home)
        _idle(home)


def _paints(ui: Sequence[str], home: str) -> None:
    for name, command, text in (
        ("first paint, a bare Textual app (floor)", [sys.executable, "-c", HELLO], b"F1 help"),
        ("first paint, ours", ui, b"F1 help"),
        *(
            (("first screenful, the peer", shlex.split(os.environ["PEER_TUI"]), b""),)
            if "PEER_TUI" in os.environ
            else ()
        ),
    ):
        cpu, megabytes = _first_paint(command, text, home)
        print(f"  {cpu:7.3f} s {megabytes:6.0f} MB  {name}")


def _long(home: str) -> None:
    terminal = Terminal(_child("long_session"), home)
    terminal.until(lambda written: b"loaded in" in written)
    terminal.settle()
    told = terminal.written.split(b"loaded in ")[1][:5].decode()
    print(f"  {told:>7} s {terminal.megabytes:6.0f} MB  {EVENTS:,} events opened")
    for name, key in (("page up", PAGE_UP), ("a letter", b"x")):
        print(f"  {_per_key(terminal, key):7.1f} ms          a key ({name}) with {EVENTS:,} events")

    terminal.press(b"\x7f" * KEYS)
    terminal.settle()
    before = terminal.cpu
    terminal.press(b"+")
    terminal.until(lambda written: b"all-added" in written)
    print(f"  {1000 * (terminal.cpu - before) / KEYS:7.1f} ms          an event appended")
    terminal.end()
    widgets = Terminal([sys.executable, "-c", WIDGETS], home)
    widgets.until(lambda written: b"299" in written or len(written) > 200_000, 30)
    widgets.settle()
    print(f"  {_per_key(widgets, PAGE_DOWN):7.1f} ms          a key with 300 Markdown widgets (what most do)")
    widgets.end()


def _per_key(terminal: Terminal, key: bytes) -> float:
    before = terminal.cpu
    for _ in range(KEYS):
        terminal.press(key)
        terminal.read(0.03)
        terminal.read(0.03)

    terminal.settle()
    return 1000 * (terminal.cpu - before) / KEYS


def _streams(home: str) -> None:
    terminal = Terminal(_child("streaming"), home)
    terminal.until(lambda written: b"loaded in" in written)
    cpu, megabytes = terminal.cpu, terminal.megabytes
    terminal.until(lambda written: b"all-told" in written)
    grown = terminal.megabytes - megabytes
    print(f"  {terminal.cpu - cpu:7.2f} s {grown:+6.0f} MB  {TOKENS:,} tokens streamed")
    terminal.end()


def _idle(home: str) -> None:
    terminal = Terminal(_child("streaming"), home)
    terminal.until(lambda written: b"all-told" in written)
    terminal.settle()
    before = terminal.cpu
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        terminal.read(0.2)

    print(f"  {10 * (terminal.cpu - before):7.2f} %           idling, of one core")
    terminal.end()


if __name__ == "__main__":
    main()
