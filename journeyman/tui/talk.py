"""The conversation with the engine: what the user wants goes there, and what it says comes to the screen."""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from journeyman.errors import Disconnected, JourneymanError
from journeyman.tui.feed import Feed, Listed, items_of, question
from journeyman.tui.items import Question
from journeyman.tui.opening import Opening
from journeyman.tui.status import Status

if TYPE_CHECKING:
    from journeyman.engine.client import Ask, Client, Message
    from journeyman.tui.chat import Chat

OURS = "journeyman"
_MENTIONED = re.compile(r"(?<!\S)@(\S+)")
PAGE = 400
"""Stored events of a session that are asked for at once."""


class Talk:
    """One session at a time, over one connection."""

    def __init__(self, chat: "Chat", opening: Opening) -> None:
        self._chat = chat
        self._opening = opening
        self._client: Client | None = None
        self._asks: dict[str, Ask] = {}
        self._held: list[Message] | None = None
        """What came while what was before it is still being read."""
        self._before: int | None = None
        self._reading = False
        self.session_id = ""
        self.is_connected = False
        """The session is open."""
        self.modes: list[dict[str, Any]] = []
        self.options: list[dict[str, Any]] = []
        self.running = False
        self._broken = False
        """It cannot be opened as it is set up now."""
        self.queue: list[dict[str, Any]] = []

    # The connection

    async def run(self) -> None:
        """Connect, open the session, and listen until the engine is gone."""
        from journeyman.engine.client import connect

        try:
            async with connect(self._opening.socket) as client:
                self._client = client
                await self._begin()
                async for message in client.messages:
                    self._take(message)

            raise Disconnected("The engine is gone; the session is stored.", fix="Write on to start another.")
        except JourneymanError as error:
            self._gone(error)

    def _gone(self, error: JourneymanError) -> None:
        self._client = None
        self.is_connected = self.running = False
        self._asks.clear()
        self._chat.settle("")
        self._chat.feed.stopped()
        waiting, self.queue = [str(each.get("text", "")) for each in self.queue], []
        self._state("gone")
        self._chat.waiting.keep(*waiting, first=True)
        self._chat.told(error)

    @property
    def client(self) -> "Client":
        """The connection.

        Raises:
            Disconnected: there is none.
        """
        if self._client is None:
            raise Disconnected("There is no engine yet.", fix="Wait until it has started.")

        return self._client

    async def _begin(self) -> None:
        wanted = self.session_id or self._opening.session
        if wanted == "last":
            listed = await self.client.sessions(self._opening.cwd)
            wanted = next((each["sessionId"] for each in listed.get("sessions", ())), "")

        if wanted:
            await self.open(wanted)
        else:
            await self.new()

    # Sessions

    async def new(self) -> None:
        """Another session."""
        with self._holding():
            self._opened(await self.client.new(self._opening.cwd, self._settings), "")
            self._chat.show_history([], Feed(Listed()))

    async def open(self, session_id: str) -> None:
        """Go on with a session: its newest page is shown, older ones come when they are looked for."""
        with self._holding() as held:
            self._opened(await self.client.resume(session_id, self._opening.cwd, self._settings), session_id)
            page = await self.client.history(self.session_id, limit=PAGE)
            newest = max((_seq(update) for update in page["updates"]), default=0)
            held[:] = [each for each in held if not 0 < _seq(getattr(each, "update", {})) <= newest]
            items, feed = items_of(page["updates"])
            self._before = page["before"]
            if not self.running:
                feed.stopped()

            self._chat.show_history(items, feed)
            for update in page["updates"]:
                self._meanwhile(update)

    @contextmanager
    def _holding(self) -> "Generator[list[Message]]":
        """What comes meanwhile is taken afterwards: it is about what is only being opened, a question too."""
        self._held = held = []
        try:
            yield held
        finally:
            self._held = None
            for message in held:
                self._take(message)

    @property
    def _settings(self) -> Any:
        return dict(self._opening.settings) or None

    async def older(self) -> None:
        """The page before the oldest that is shown."""
        if self._before is None or self._reading:
            return

        self._reading = True
        try:
            page = await self.client.history(self.session_id, before=self._before, limit=PAGE)
        finally:
            self._reading = False

        self._before = page["before"]
        items, feed = items_of(page["updates"], self._chat.feed.orphans)
        self._chat.feed.orphans = feed.orphans
        self._chat.feed.turns[:0] = feed.turns
        self._chat.feed.shift(len(items))
        self._chat.transcript.prepend(items)

    def _opened(self, result: Mapping[str, Any], session_id: str) -> None:
        ours = (result.get("_meta") or {}).get(OURS) or {}
        modes = result.get("modes") or {}
        self.session_id = str(ours.get("sessionId") or result.get("sessionId") or session_id)
        self.modes = list(modes.get("availableModes") or ())
        self.options = list(result.get("configOptions") or ())
        self.running = bool(ours.get("running"))
        self.is_connected, self._broken = True, False
        self._asks.clear()
        self._queued({"items": ours.get("queue") or [], "held": bool(ours.get("held"))})
        state = "working" if self.running else "ready"
        self._chat.show_status(Status(state, str(ours.get("model") or ""), str(modes.get("currentModeId") or "")))

    async def fork(self) -> None:
        """A session that begins with all that was said in this one."""
        result = await self.client.fork(self.session_id, self._opening.cwd)
        await self.open(str(result["sessionId"]))

    async def rewind(self, seq: int) -> str:
        """Go back to before one of the user's messages; what it said."""
        rewound = await self.client.rewind(self.session_id, seq)
        await self.open(rewound["sessionId"])
        return str(rewound["prompt"])

    async def sessions(self) -> list[dict[str, Any]]:
        """The folder's, newest first."""
        return list((await self.client.sessions(self._opening.cwd)).get("sessions") or ())

    async def state(self) -> Mapping[str, Any]:
        return await self.client.state(self.session_id)

    async def mind_server(self, name: str, do: str) -> Mapping[str, Any]:
        """Restart a server, or do without it; what the session is made of then."""
        return await self.client.mind_server(self.session_id, name, do)

    # What the user wants

    async def say(self, text: str) -> None:
        """Say something, or with `!` run it; it waits for the turn under way. To the end of its turn."""
        client = self.client
        with suppress(Disconnected):  # `run` tells of it
            if is_command(text):
                await client.shell(self.session_id, text[1:])
            else:
                await client.prompt(self.session_id, _MENTIONED.sub(self._named, text))

    def _named(self, found: "re.Match[str]") -> str:
        """A file of the folder as tools name it, without the `@`."""
        path = found[1]
        is_file = any((self._opening.cwd / each).is_file() for each in (path, path.rstrip(".,;:!?)")))
        return path if is_file else found[0]

    async def steer(self, text: str) -> None:
        if is_command(text):
            await self.interrupt()
            await self.say(text)
        else:
            await self.client.steer(self.session_id, text)

    async def interrupt(self) -> None:
        await self.client.cancel(self.session_id)

    async def drop(self) -> str:
        """Take back what waits last; what it says."""
        if not self.queue:
            return ""

        last = self.queue[-1]
        self._queued(await self.client.queue(self.session_id, drop=last["id"]))
        return str(last["text"])

    async def go_on(self) -> None:
        """Go on with what an interrupt held up."""
        await self.client.queue(self.session_id, resume=True)

    async def set_mode(self, mode: str) -> None:
        await self.client.set_mode(self.session_id, mode)
        self._chat.show_status(self._chat.status._replace(mode=mode))

    async def next_mode(self) -> None:
        """The next of the modes, in a circle."""
        names = [str(mode["id"]) for mode in self.modes]
        if names:
            at = names.index(self._chat.status.mode) if self._chat.status.mode in names else -1
            await self.set_mode(names[(at + 1) % len(names)])

    async def set_option(self, option: str, value: str) -> None:
        await self.client.set_option(self.session_id, option, value)
        if option == "model":
            self._chat.show_status(self._chat.status._replace(model=value))

    async def answer(self, asked: Question, option: Any, **more: Any) -> None:
        """Answer a question; another client may have been quicker."""
        ask = self._asks.pop(str(asked.id), None)
        if ask is not None:
            await self.client.answer(ask, option, **more)

        self._chat.settle(str(asked.id))
        self._turned()

    # What the engine says

    def _take(self, message: "Message") -> None:
        from journeyman.engine.client import Ask, Note, Update

        if self._held is not None:
            self._held.append(message)
        elif getattr(message, "session_id", None) not in {None, self.session_id}:
            return
        elif isinstance(message, Update):
            self._meanwhile(message.update)
            self._chat.feed.take(message.update)
        elif isinstance(message, Ask):
            self._ask(message)
        elif isinstance(message, Note) and message.params.get("sessionId") in {None, self.session_id}:
            self._note(message.method.rpartition("/")[2], message.params)

    def _meanwhile(self, update: Mapping[str, Any]) -> None:
        ours = (update.get("_meta") or {}).get(OURS) or {}
        match update.get("sessionUpdate"):
            case "usage_update":
                self._chat.show_status(self._chat.status.spent(update, ours))
            case "current_mode_update":
                self._chat.show_status(self._chat.status._replace(mode=str(update.get("currentModeId", ""))))
            case "config_option_update":
                self.options = list(update.get("configOptions") or self.options)

    def _ask(self, ask: "Ask") -> None:
        token = str(ask.ours.get("token") or ask.id)
        self._asks[token] = ask
        asked = question(token, ask.call, ask.ours)
        self._chat.feed.asked(asked.call_id)
        self._chat.show_question(asked)
        self._state("waiting for you")

    def _note(self, what: str, params: Mapping[str, Any]) -> None:
        match what:
            case "note" if params.get("kind") == "status":
                self._chat.show_word(str(params.get("text", "")))
            case "note":
                self._chat.feed.note(kind := str(params.get("kind", "")), str(params.get("text", "")))
                if kind in {"error", "good"}:
                    self._broken = kind == "error"
                    self._turned()
            case "settled":
                self._asks.pop(str(params.get("token")), None)
                self._chat.settle(str(params.get("token")))
                self._turned()
            case "queue":
                self._queued(params)
            case "turn":
                self._turn(params)

    def _turn(self, params: Mapping[str, Any]) -> None:
        self.running = bool(params.get("running"))
        if not self.running:
            self._asks.clear()
            self._chat.settle("")
            self._chat.feed.stopped()
            if error := params.get("error"):
                said = "\n".join(filter(None, [str(error.get("message", "")), str(error.get("fix") or "")]))
                self._chat.feed.note("error", said)
            elif params.get("outcome") == "interrupted":
                self._chat.feed.note("notice", "interrupted")

        self._turned()

    def _turned(self) -> None:
        idle = "not ready" if self._broken else "ready"
        self._state("waiting for you" if self._asks else "working" if self.running else idle)

    def _state(self, state: str) -> None:
        self._chat.show_word("")
        self._chat.show_status(self._chat.status._replace(state=state))

    def _queued(self, queue: Any) -> None:
        self.queue = list(queue.get("items") or ())
        self._chat.waiting.tell([str(each.get("text", "")) for each in self.queue], held=bool(queue.get("held")))


def is_command(text: str) -> bool:
    """`!ls`; two exclamation marks begin words."""
    return text.startswith("!") and not text.startswith("!!")


def _seq(update: Mapping[str, Any]) -> int:
    return int(((update.get("_meta") or {}).get(OURS) or {}).get("seq") or 0)
