"""The terminal UI. Nothing heavy is imported before the first paint: the engine is another process."""

import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.screen import Screen

from journeyman.errors import JourneymanError
from journeyman.tui import choice as choices
from journeyman.tui.chat import Chat
from journeyman.tui.commands import COMMANDS
from journeyman.tui.copying import copy
from journeyman.tui.items import Question
from journeyman.tui.line import Line
from journeyman.tui.opening import Opening, quietly
from journeyman.tui.palette import THEMES, Palette
from journeyman.tui.picker import Asked, Picker
from journeyman.tui.rows import Choice, Rows

OPTIONS = ("model", "think", "effort")
PANELS = ("sandbox", "policy", "cost")


class Journeyman(App[str]):
    """Ends with the id of the session that was open."""

    TITLE = "journeyman"
    CSS = """
    Screen { background: $background; }
    Toast { background: $panel; }
    """
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS = [
        Binding("f1", "do('help')", "help", id="app.help", priority=True),
        Binding("f2", "do('mcp')", "servers", id="app.mcp", show=False, priority=True),
        Binding("f3", "do('policy')", "policy", id="app.policy", show=False, priority=True),
        Binding("f4", "do('traces')", "traces", id="app.traces", show=False, priority=True),
        Binding("f5", "do('training')", "training", id="app.training", show=False, priority=True),
        Binding("ctrl+q", "leave", "quit", id="app.quit", show=False, priority=True),
    ]

    def __init__(self, opening: Opening, choice: choices.Choice | None = None) -> None:
        super().__init__(ansi_color=True if os.environ.get("NO_COLOR") else None)  # else it would be shades of grey
        self.opening = opening
        self.choice = choice or choices.Choice()
        self.animation_level = "none"
        self.chat = Chat(opening)
        for theme in THEMES:
            self.register_theme(theme)

        self.palette = Palette(THEMES[0])
        self._is_away = False
        self._answering: tuple[Question, Screen] | None = None

    def on_load(self) -> None:
        wished = choices.theme(self.choice)
        self.theme = wished if wished in self.available_themes else THEMES[0].name
        self.set_keymap(self.choice.keys)

    def get_default_screen(self) -> Screen:
        return self.chat

    def watch_theme(self) -> None:
        self.palette = Palette(self.current_theme)
        for screen in self.screen_stack if self._screen_stacks.get("_default") else ():
            for rows in screen.query(Rows):
                rows.forget()

    def get_system_commands(self, screen: Screen) -> Iterable[SystemCommand]:  # noqa: ARG002 - Textual's own
        for command in COMMANDS:
            name = f"{command.name} {command.argument}".strip()
            yield SystemCommand(name, command.about, lambda name=command.name: self.chat.command(name))

    def action_do(self, name: str) -> None:
        if isinstance(self.screen, Chat):
            self.chat.command(name)

    # Commands

    def do(self, name: str, argument: str) -> None:
        """Do what a command says."""
        if name in OPTIONS:
            self._option(name, argument)
        elif name in PANELS:
            self._panel(name)
        else:
            getattr(self, f"do_{name}")(argument)

    def _option(self, option: str, value: str) -> None:
        from journeyman.tui.panels import option_choices

        talk = self.chat.talk
        if value:
            self.chat.doing(lambda: talk.set_option(option, value))
        else:
            self._pick(option, option_choices(talk.options, option), lambda key: talk.set_option(option, key))

    def _panel(self, name: str) -> None:
        from journeyman.tui.panels import Panel

        self.push_screen(Panel(name, self.chat))

    def _pick(self, title: str, choices: Sequence[Choice], do: Callable[[Any], Awaitable[Any]]) -> None:
        self.run_worker(self._picked(title, choices, do), group="pick", exclusive=True)

    async def _picked(self, title: str, choices: Sequence[Choice], do: Callable[[Any], Awaitable[Any]]) -> None:
        """Have one picked, and do something with its key."""
        picked = await self.push_screen_wait(Picker(title, choices))
        if picked is not None:
            await quietly(self.chat, lambda: do(picked.key))

    def do_help(self, _argument: str) -> None:
        from journeyman.tui.panels import help_lines

        self.show("Keys and commands", help_lines(self.chat, self.approvals()))

    def approvals(self) -> list[Binding]:
        return [binding for _, binding in self.chat.approval._bindings]  # noqa: SLF001 - Textual lists them nowhere else

    def do_new(self, _argument: str) -> None:
        self.chat.doing(self.chat.talk.new)

    def do_resume(self, argument: str) -> None:
        if argument:
            self.chat.doing(lambda: self.chat.talk.open(argument))
        else:
            self.run_worker(self._resume(), group="pick", exclusive=True)

    async def _resume(self) -> None:
        from journeyman.tui.panels import session_choices

        talk = self.chat.talk
        if (listed := await quietly(self.chat, talk.sessions)) is not None:
            await self._picked("Sessions of this folder", session_choices(listed), talk.open)

    def do_rewind(self, _argument: str) -> None:
        async def rewind(seq: int) -> None:
            self.chat.prompt.set(await self.chat.talk.rewind(seq))

        turns = [Choice(seq, said.replace("\n", " ")[:200]) for seq, said in reversed(self.chat.feed.turns)]
        self._pick("Go back to before (files stay as they are)", turns, rewind)

    def do_fork(self, _argument: str) -> None:
        self.chat.doing(self.chat.talk.fork)

    def do_mode(self, argument: str) -> None:
        talk = self.chat.talk
        if argument:
            self.chat.doing(lambda: talk.set_mode(argument))
        else:
            modes = [(str(m["id"]), str(m.get("name") or m["id"]), str(m.get("description") or "")) for m in talk.modes]
            self._pick("Permission policy", [Choice(*mode) for mode in modes], talk.set_mode)

    def do_steer(self, argument: str) -> None:
        if argument:
            self.chat.doing(lambda: self.chat.talk.steer(argument))

    def do_continue(self, _argument: str) -> None:
        self.chat.doing(self.chat.talk.go_on)

    def do_stop(self, _argument: str) -> None:
        self.chat.doing(self.chat.talk.interrupt)

    def do_mcp(self, _argument: str) -> None:
        from journeyman.tui.servers import Servers

        self.push_screen(Servers(self.chat))

    def do_plan(self, _argument: str) -> None:
        from journeyman.tui.panels import plan_lines

        self.show("The plan", plan_lines(self.chat.transcript.items))

    def do_traces(self, argument: str) -> None:
        from journeyman.tui.traces import Traces

        self.push_screen(Traces(argument))

    def do_training(self, _argument: str) -> None:
        from journeyman.tui.practice import Practice

        self.push_screen(Practice())

    def do_copy(self, _argument: str) -> None:
        self.chat.action_copy()

    def do_thoughts(self, _argument: str) -> None:
        self.chat.action_thoughts()

    def do_theme(self, argument: str) -> None:
        async def take(name: str) -> None:
            self.theme = name

        if argument in self.available_themes:
            self.theme = argument
            return

        offered = [Choice(name, name, "dark" if t.dark else "light") for name, t in self.available_themes.items()]
        ours = {theme.name for theme in THEMES}
        self._pick("Theme", sorted(offered, key=lambda each: (each.key not in ours, each.key)), take)

    def do_quit(self, _argument: str) -> None:
        self.leave()

    def leave(self) -> None:
        self.exit(self.chat.talk.session_id)

    def action_leave(self) -> None:
        self.leave()

    # Screens over it

    def show(self, title: str, lines: list[Line]) -> None:
        from journeyman.tui.pager import Pager

        self.push_screen(Pager(title, lines))

    def read(self, text: str) -> None:
        from journeyman.tui.pager import Pager

        self.push_screen(Pager("In full", [((line, ""),) for line in text.split("\n")]))

    def edit(self, question: Question) -> None:
        from journeyman.tui.pager import Editor

        self._answer_with(question, Editor(question, lambda text: self.chat.edited(question, text)))

    def refuse(self, question: Question) -> None:
        asked = Asked("No, because (the model reads it; escape: do not answer yet)")
        self._answer_with(question, asked, lambda reason: self._refused(question, reason))

    def _answer_with(self, question: Question, screen: Screen, done: Callable[[Any], None] | None = None) -> None:
        """One screen at most, and only for a question that is still open."""
        if self.screen is self.chat and question in self.chat.approval.questions:
            self._answering = question, screen
            self.push_screen(screen, done)

    def settled(self) -> None:
        """Questions were answered: a screen that was to answer one of them closes."""
        question, screen = self._answering or (None, None)
        if screen is not None and question not in self.chat.approval.questions:
            self._answering = None
            if screen in self.screen_stack:
                self.notify("That question was answered elsewhere, or withdrawn.", markup=False)

            while screen in self.screen_stack:
                self.screen.dismiss()

    def _refused(self, question: Question, reason: str | None) -> None:
        if reason is not None:
            self.chat.answer(question, "no", reason=reason)

    def copied(self, text: str) -> None:
        try:
            self.notify(copy(text, self.copy_to_clipboard) if text else "There is nothing to copy.", markup=False)
        except JourneymanError as error:
            self.notify(error.line, severity="error", markup=False)

    # Whether somebody is looking

    def on_app_blur(self) -> None:
        self._is_away = True

    def on_app_focus(self) -> None:
        self._is_away = False

    def notice(self) -> None:
        """Something waits for the user: ring where they look elsewhere."""
        if self.choice.bell and self._is_away:
            self.bell()


def start(
    cwd: Path,
    *,
    session: str = "",
    settings: dict[str, Any] | None = None,
    socket: Path | None = None,
    inline: bool = False,
) -> str:
    """Run it in this terminal, to its end; the id of the session that was open.

    Args:
        cwd: the folder to work in, absolute.
        session: one to go on with, or `last`.
        settings: `wire.Settings`.
        socket: of an engine; that of this user by default.
        inline: below what the terminal shows already, and leave it there.

    Raises:
        ConfigError: `tui.toml` makes no sense.
    """
    choice = choices.chosen()
    app = Journeyman(Opening(cwd, session, settings or {}, socket), choice)
    return cast("str", app.run(inline=inline, inline_no_clear=inline, mouse=choice.mouse) or "")
