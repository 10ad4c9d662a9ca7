"""Tool servers: how each does, what it said last, and keys to restart it, log in there, or do without it."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textual import on, work
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding
from textual.screen import Screen

from journeyman.errors import JourneymanError
from journeyman.safe import prose, safe
from journeyman.tui.bar import Bar
from journeyman.tui.blocks import lasted
from journeyman.tui.line import Line, ends, width_of, wrap
from journeyman.tui.opening import quietly
from journeyman.tui.rows import Lines, Table

if TYPE_CHECKING:
    from journeyman.tui.chat import Chat

Server = Mapping[str, Any]
EVERY_S = 2.0
KEYS = "r restart · o on, off · l log in · enter all · esc back"
STATES = {"running": "good", "starts at the first call": "dim", "off": "dim", "failed": "error"}


class List(Table):
    """One server a row."""

    def __init__(self, moved: Callable[[], None]) -> None:
        super().__init__()
        self.servers: Sequence[Server] = ()
        self.moved = moved

    @property
    def count(self) -> int:
        return len(self.servers)

    def line(self, row: int) -> Line:
        return told(self.servers[row], self.cells)

    def action_move(self, step: int) -> None:
        super().action_move(step)
        self.moved()


class Servers(Screen):
    """Looked at again every two seconds."""

    DEFAULT_CSS = """
    Servers Bar { background: $surface; }
    Servers List { height: auto; max-height: 50%; padding: 0 1; }
    Servers Lines { height: 1fr; padding: 0 1; border-top: solid $panel; }
    """
    BINDINGS = [
        Binding("escape,q", "dismiss", "back", id="servers.back"),
        Binding("r", "restart", "restart", id="servers.restart"),
        Binding("o", "switch", "on, off", id="servers.switch"),
        Binding("l", "login", "log in", id="servers.login"),
    ]

    def __init__(self, chat: "Chat") -> None:
        super().__init__()
        self._chat = chat
        self._state: Mapping[str, Any] = {}
        self.listed = List(self._detail)
        self.details = Lines()

    def compose(self) -> ComposeResult:
        yield Bar((("Tool servers", "bold"),), ((KEYS, "dim"),), ident="title")
        yield self.listed
        yield self.details

    def on_mount(self) -> None:
        self.details.can_focus = False
        self.listed.focus()
        self.look()
        self.set_interval(EVERY_S, self.look)

    @work(exclusive=True, group="look")
    async def look(self) -> None:
        talk = self._chat.talk
        state = await quietly(self._chat, talk.state) if talk.is_connected else None
        self.show(state or {"notices": ["There is no engine yet."]})

    def show(self, state: Mapping[str, Any]) -> None:
        """With the cursor where it was: on the same server, wherever that stands now."""
        name, self._state = self.picked.get("name"), state
        self.listed.servers = list(state.get("servers") or ())
        self.listed.styles.height = max(1, self.listed.count)
        rows = (row for row, each in enumerate(self.listed.servers) if each.get("name") == name)
        self.listed.reset(next(rows, self.listed.cursor))
        self._detail()

    @property
    def picked(self) -> Server:
        return self.listed.servers[self.listed.cursor] if self.listed.count else {}

    def _detail(self) -> None:
        self.details.show([*details(self._state, self.picked, max(8, self.size.width - 3))], stay=True)

    def on_resize(self) -> None:
        self._detail()

    @on(Table.Chosen)
    def _chosen(self) -> None:
        self._chat.mine.show(str(self.picked["name"]), [*details(self._state, self.picked, 1 << 12)])

    @work(group="mind")
    async def mind(self, server: Server, do: str) -> None:
        """Of the server that was picked when the key was pressed, whichever is by now."""
        if name := server.get("name"):
            self.query_one("#title", Bar).show((("Tool servers", "bold"), (f"  {safe(name)}: {do} …", "warning")))
            try:
                self.show(await self._chat.talk.mind_server(str(name), do))
            except JourneymanError as error:
                self.notify(error.line, severity="error", markup=False)

            self.query_one("#title", Bar).show((("Tool servers", "bold"),), ((KEYS, "dim"),))

    def action_restart(self) -> None:
        self.mind(self.picked, "restart")

    def action_switch(self) -> None:
        self.mind(self.picked, "on" if self.picked.get("off") else "off")

    def action_login(self) -> None:
        """Give the terminal to the command that logs in, and start the server with what came of it."""
        server = self.picked
        name = str(server.get("name", ""))
        try:
            with self.app.suspend():
                subprocess.run([sys.executable, "-m", "journeyman", "mcp", "login", "--", name], check=False)
                input("Enter goes back. ")
        except SuspendNotSupported:
            self.notify(f"Elsewhere: journeyman mcp login {safe(name)}", markup=False)
        else:
            self.mind(server, "restart")


def told(server: Server, width: int) -> Line:
    """A server in one line."""
    state = _state(server)
    name = safe(str(server.get("name", "")), 40)
    facts = [server.get("transport"), server.get("protocol"), f"{server.get('tools', 0)} tools"]
    if server.get("calls"):
        facts += [
            f"{server['calls']} call{'s' * (server['calls'] != 1)}",
            *(f"{p} {lasted(server[p])}" for p in ("p50", "p95") if p in server),
        ]

    wrong = "  !" if server.get("error") else ""
    left: Line = ("● ", STATES[state]), (name, "bold"), (f"  {state}", STATES[state]), (wrong, "error")
    while (
        facts and len(right := " · ".join(safe(str(fact), 60) for fact in facts if fact)) + width_of(left) > width - 2
    ):
        facts.pop(0)

    return ends(left, ((right if facts else "", "dim"),), width)


def _state(server: Server) -> str:
    if server.get("off"):
        return "off"

    return "running" if server.get("protocol") else "starts at the first call" if server.get("tools") else "failed"


def details(state: Mapping[str, Any], server: Server, width: int) -> Iterator[Line]:
    """What went wrong last, the end of stderr, the tools."""
    name = str(server.get("name", ""))
    names = [repr(str(each.get("name", ""))) for each in state.get("servers") or ()]
    for notice in map(str, state.get("notices") or ()):
        if repr(name) in notice or not any(each in notice for each in names):
            yield from wrap([(safe(notice, 600), "warning")], width, first=(("! ", "warning"),))

    if server.get("off"):
        yield (("This session does without it: o takes it in again.", "dim"),)

    if error := str(server.get("error") or ""):
        yield from wrap([(safe(error, 600), "error")], width, first=(("last error: ", "error"),))

    for line in server.get("stderr") or ():
        for part in prose(str(line)).split("\n"):
            yield from wrap([(part, "output")], width, first=(("│ ", "dim"),), rest=(("│ ", "dim"),))

    for tool in state.get("tools") or ():
        if str(tool.get("name", "")).startswith(f"{name}."):
            about = f"  {safe(str(tool.get('description') or ''), 200)}"
            yield (safe(str(tool["name"]), 80), ""), (about, "dim")

    if not server:
        yield (("There is no server. journeyman mcp add NAME COMMAND", "dim"),)
