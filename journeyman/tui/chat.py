"""The screen that one works on: the transcript, what waits, the question, the prompt, and the status below."""

import json
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding

from journeyman.errors import JourneymanError
from journeyman.safe import prose, safe
from journeyman.tui import status as statuses
from journeyman.tui.approval import Approval
from journeyman.tui.bar import Bar
from journeyman.tui.blocks import whole
from journeyman.tui.commands import NAMES
from journeyman.tui.feed import Feed
from journeyman.tui.folding import Folding
from journeyman.tui.items import Item, Question
from journeyman.tui.names import Names
from journeyman.tui.opening import Opening, quietly
from journeyman.tui.prompt import Prompt
from journeyman.tui.rows import Choice, Choices, Table
from journeyman.tui.talk import Talk, is_command
from journeyman.tui.transcript import Transcript
from journeyman.tui.waiting import Waiting

if TYPE_CHECKING:
    from journeyman.tui.app import Journeyman

TWICE_S = 0.6
"""Within it a second escape means more than one."""
SHELL = "This runs in the sandbox: it sees a folder of its own, not yours."
AGAIN_S = 3.0
"""Within it a second ctrl+c quits."""


class Chat(Folding):
    """One session."""

    DEFAULT_CSS = """
    Chat Transcript { height: 1fr; padding: 0 1; }
    Chat #word, Chat #shell { display: none; }
    Chat Prompt { height: auto; min-height: 1; max-height: 10; margin: 0 1; padding: 0 1; background: $surface;
                  border-left: thick $primary-darken-2; }
    Chat.-tall Prompt { margin: 1 1 0 1; }
    Chat Prompt:focus { border-left: thick $primary; }
    """
    VERTICAL_BREAKPOINTS = [(0, "-low"), (20, "-tall")]
    BINDINGS = [
        Binding("escape", "back", "stop", id="chat.stop"),
        Binding("shift+tab", "mode", "mode", id="chat.mode", priority=True),
        Binding("ctrl+up", "select(-1)", "select above", id="chat.select_up", priority=True),
        Binding("ctrl+down", "select(1)", "select below", show=False, id="chat.select_down", priority=True),
        Binding("ctrl+o", "fold", "unfold", id="chat.unfold", priority=True),
        Binding("ctrl+e", "read", "read all", show=False, id="chat.read", priority=True),
        Binding("ctrl+t", "thoughts", "thoughts", id="chat.thoughts", priority=True),
        Binding("ctrl+s", "steer", "steer now", show=False, id="chat.steer", priority=True),
        Binding("ctrl+y", "copy", "copy", show=False, id="chat.copy", priority=True),
        Binding("ctrl+r", "app.do('resume')", "sessions", show=False, id="chat.sessions", priority=True),
        Binding("ctrl+b", "app.do('rewind')", "rewind", show=False, id="chat.rewind", priority=True),
        Binding("pageup", "page(-1)", "page up", show=False, id="chat.page_up", priority=True),
        Binding("pagedown", "page(1)", "page down", show=False, id="chat.page_down", priority=True),
        Binding("ctrl+home", "end(-1)", "top", show=False, id="chat.top", priority=True),
        Binding("ctrl+end", "end(1)", "bottom", show=False, id="chat.bottom", priority=True),
        Binding("ctrl+c", "clear", "clear", show=False, id="chat.clear", priority=True),
    ]

    def __init__(self, opening: Opening) -> None:
        super().__init__()
        self.transcript = Transcript()
        self.prompt = Prompt()
        self.names = Names(opening.cwd)
        self.approval = Approval(self.prompt)
        self.waiting = Waiting()
        self.feed = Feed(self.transcript)
        self.status = statuses.Status()
        self.opening = opening
        self.talk = Talk(self, opening)
        self._escaped = 0.0
        self._left = -AGAIN_S

    @property
    def mine(self) -> "Journeyman":
        return cast("Journeyman", self.app)

    def compose(self) -> ComposeResult:
        yield self.transcript
        yield Bar(ident="word")
        yield self.names
        yield self.waiting
        yield self.approval
        yield Bar(((SHELL, "dim"),), ident="shell")
        yield self.prompt
        yield Bar(ident="status")

    def on_mount(self) -> None:
        self.prompt.focus()
        self.show_status(self.status)
        self.call_after_refresh(self.connect)

    def on_resize(self) -> None:
        self.show_status(self.status)

    @work(exclusive=True, group="engine")
    async def connect(self) -> None:
        await self.talk.run()

    # What the engine says

    def show_status(self, status: statuses.Status) -> None:
        self.status = status
        self.query_one("#status", Bar).show(*statuses.line(status, self.size.width))
        if status.state in {"ready", "working"} and self.waiting.unsent:
            self._send_unsent()

    def show_history(self, items: list[Item], feed: Feed) -> None:
        feed.move(self.transcript)
        self.feed = feed
        self.settle("")
        self.transcript.load(items)
        for _, said in feed.turns:
            self.prompt.remember(said)

    def show_word(self, text: str) -> None:
        word = self.query_one("#word", Bar)
        word.display = bool(text)
        word.show(((safe(text, 200), "dim"),))

    def show_question(self, question: Question) -> None:
        self.approval.ask(question)
        self._aim()
        self.mine.notice()

    def settle(self, token: str) -> None:
        if token:
            self.approval.settle(token)
        else:
            self.approval.clear()

        self.mine.settled()
        if not self.approval.questions and not isinstance(self.focused, Transcript):
            self.prompt.focus()

    def told(self, error: JourneymanError) -> None:
        self.feed.note("error", "\n".join(filter(None, [str(error), error.fix])))

    # What the user says

    @on(Prompt.Submitted)
    def _submitted(self, event: Prompt.Submitted) -> None:
        self.names.offer_for("", "")
        self.transcript.follow = True
        text = event.text
        if text.startswith("/") and not text.startswith("//"):
            self.command(text[1:])
        elif self.talk.is_connected:
            self._say(text)
        else:
            self.waiting.keep(text)
            if self.status.state == "gone":
                self.show_status(self.status._replace(state="starting"))
                self.connect()

    def _send_unsent(self) -> None:
        if self.talk.is_connected:
            for text in self.waiting.taken({str(each.get("text", "")) for each in self.talk.queue}):
                self._say(text)

    @work(group="say")
    async def _say(self, text: str) -> None:
        await quietly(self, lambda: self.talk.say(text))

    def command(self, text: str) -> None:
        """Do what a `/` command says."""
        name, _, argument = text.strip().partition(" ")
        known = NAMES.get(name)
        if known is None:
            self.feed.note("notice", f"There is no /{safe(name, 40)}. F1 lists what there is.")
        elif self.talk.running and not known.busy:
            self.feed.note("notice", f"/{name} waits for the end of the turn: escape stops it.")
        else:
            self.mine.do(name, argument.strip())

    @work(group="do")
    async def doing(self, work_: Callable[[], Awaitable[Any]]) -> None:
        """Do something with the engine; what goes wrong is told."""
        await quietly(self, work_)

    # Completion

    @on(Prompt.Completing)
    def _completing(self, event: Prompt.Completing) -> None:
        self.names.offer_for(event.sign, event.typed)
        self._aim()
        self.query_one("#shell").display = is_command(self.prompt.text)

    def _aim(self) -> None:
        """While a question is open, keys are for it where nothing is being written, else for the prompt."""
        aimed = self.prompt if self.prompt.text else self.approval
        if self.approval.questions and self.focused is not aimed:
            self.set_focus(aimed)

    @on(Names.Offering)
    def _offering(self, event: Names.Offering) -> None:
        self.prompt.offering = event.of

    @on(Prompt.Key)
    def _key(self, event: Prompt.Key) -> None:
        if self.prompt.offering and event.key in {"up", "down"}:
            self.names.action_move(-1 if event.key == "up" else 1)
            return

        if event.key == "tab":
            self.names.offer_for(*self.prompt.completed())

        if event.key in {"enter", "tab"} and self.names.display and self.names.picked:
            self._complete(self.names.picked, done=event.key == "enter")
        elif event.key == "up" and self.talk.queue:
            self.doing(self._take_back)
        elif event.key == "up":
            self.prompt.recall(-1)
        elif event.key == "tab" and not self.prompt.text:
            self.transcript.focus()

    def _complete(self, choice: Choice, *, done: bool) -> None:
        command = NAMES.get(choice.key) if choice.text.startswith("/") else None
        if command is None:
            self.prompt.complete(choice.key)
        elif done and not command.argument:
            self.names.offer_for("", "")
            self.prompt.set("")
            self.command(command.name)
        else:
            self.prompt.set(f"/{command.name} ")

    @on(Table.Chosen, "Names")
    def _clicked(self, event: Table.Chosen) -> None:
        event.stop()
        if picked := cast("Choices", event.table).picked:
            self._complete(picked, done=False)

    async def _take_back(self) -> None:
        self.prompt.set(await self.talk.drop())

    # Answers

    @on(Approval.Answered)
    def _answered(self, event: Approval.Answered) -> None:
        question = event.questions[0]
        if event.answer == "edit":
            self.mine.edit(question)
        elif event.answer == "why":
            self.mine.refuse(question)
        else:
            for each in event.questions:
                also = {"also": [ident for ident, _ in each.then]} if event.answer == "all" else {}
                self.answer(each, "once" if also else event.answer, **also)

    @work(group="answer")
    async def answer(self, question: Question, option: str, **more: Any) -> None:
        await quietly(self, lambda: self.talk.answer(question, option, **more))

    def edited(self, question: Question, text: str) -> str:
        """Answer with these arguments; what is wrong with them, if anything."""
        try:
            arguments = json.loads(text)
        except ValueError as error:
            return f"This is no JSON: {error}"

        if not isinstance(arguments, dict):
            return "The arguments are an object: { ... }"

        self.answer(question, "once", arguments=arguments)
        return ""

    # Keys

    def on_key(self, event: events.Key) -> None:
        """Letters typed elsewhere are for the prompt."""
        if event.is_printable and event.character and isinstance(self.focused, Transcript | None):
            event.stop()
            self.prompt.focus()
            self.prompt.insert(event.character)

    def action_back(self) -> None:
        now = monotonic()
        if self.prompt.offering:
            self.names.offer_for("", "")
        elif self.talk.running:
            self.doing(self.talk.interrupt)
        elif not isinstance(self.focused, Prompt):
            self.transcript.selected = None
            self.transcript.refresh()
            self.prompt.focus()
        elif now - self._escaped < TWICE_S:
            self.command("rewind")
            now = 0.0

        self._escaped = now

    def action_clear(self) -> None:
        if self.screen.get_selected_text():
            self.action_copy()
        elif self.prompt.text:
            self.prompt.remember(self.prompt.text)
            self.prompt.set("")
        elif self.talk.queue:
            self.doing(self.talk.drop)
        elif monotonic() - self._left < AGAIN_S:
            self.mine.leave()
        else:
            self._left = monotonic()
            self.mine.notify("ctrl+c again to quit", timeout=AGAIN_S)

    def action_steer(self) -> None:
        text = self.prompt.text.strip()
        if text and self.talk.running:
            self.prompt.remember(text)
            self.prompt.set("")
            self.doing(lambda: self.talk.steer(text))

    def action_mode(self) -> None:
        self.doing(self.talk.next_mode)

    def action_page(self, step: int) -> None:
        if step < 0:
            self.transcript.action_page_up()
        else:
            self.transcript.action_page_down()

    def action_end(self, step: int) -> None:
        self.transcript.go(0 if step < 0 else self.transcript.max_scroll_y)

    @on(Transcript.Topped)
    def _topped(self) -> None:
        if self.talk.is_connected:
            self.doing(self.talk.older)

    def action_read(self) -> None:
        if (item := self.transcript.current) is not None:
            self.mine.read(whole(item))

    def action_copy(self) -> None:
        """The selected text, the selected item, or the newest answer."""
        self.mine.copied(self.screen.get_selected_text() or self.transcript.quoted)

    def say(self, text: str) -> None:
        """A word of this UI's own."""
        self.feed.note("info", prose(text))
